"""Stores responses, which are returned again when a request is repeated under its idempotency key."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.delivery.model import Notified
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import IdempotentResponseRow


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotentResponse:
    """The response to a request.

    Attributes:
        fingerprint: The digest of the request.
    """

    fingerprint: str
    notified: Notified


Request = tuple[str, str]
"""A request: its API key's id, and its idempotency key."""


class StoredResponses(Repository):
    """Responses by idempotency key."""

    def get(self, requests: Collection[Request], *, now: datetime) -> Mapping[Request, IdempotentResponse]:
        """Return the stored responses to requests; expired ones are left out."""
        if not requests:
            return {}
        found = {}
        for row in self._unit.rows(_RESPONSES(*map(sorted, map(set, zip(*requests, strict=True))), now)):
            request = row.pop("api_key_id"), row.pop("idempotency_key")
            found[request] = IdempotentResponse(**row)
        return found

    def store(self, responses: Mapping[Request, IdempotentResponse], *, now: datetime, expires_at: datetime) -> None:
        """Store responses, and delete expired ones.

        If another transaction has just stored a response under the same key, the whole use case is repeated and finds it.
        """
        if responses:
            self._unit.execute(_DELETE_EXPIRED(now))
            rows = [
                {
                    "api_key_id": api_key_id,
                    "idempotency_key": idempotency_key,
                    "expires_at": expires_at,
                    "fingerprint": response.fingerprint,
                    "notified": response.notified,
                }
                for (api_key_id, idempotency_key), response in responses.items()
            ]
            self._unit.insert_set(IdempotentResponseRow, rows)


_RESPONSES = Statement(
    lambda param: IdempotentResponseRow.select(
        IdempotentResponseRow.api_key_id,
        IdempotentResponseRow.idempotency_key,
        IdempotentResponseRow.fingerprint,
        IdempotentResponseRow.notified,
    ).where(
        param.any_of(IdempotentResponseRow.api_key_id),
        param.any_of(IdempotentResponseRow.idempotency_key),
        IdempotentResponseRow.expires_at > param(IdempotentResponseRow.expires_at),
    )
)
_DELETE_EXPIRED = Statement(
    lambda param: IdempotentResponseRow.delete().where(
        IdempotentResponseRow.expires_at <= param(IdempotentResponseRow.expires_at)
    )
)
