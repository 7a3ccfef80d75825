"""Stores the responses that are returned again when a request is repeated under its idempotency key."""

from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.model import Notified
from notifyflow.storage.models import IdempotentResponseRow
from notifyflow.storage.unit import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotentResponse:
    """The response to a request.

    Attributes:
        fingerprint: The request's.
        notified: What ``notify()`` returned.
    """

    fingerprint: str
    notified: Notified


class IdempotentResponses(Unit):
    """Responses under an API key's idempotency keys."""

    def idempotent_response(self, api_key_id: str, idempotency_key: str, *, now: datetime) -> IdempotentResponse | None:
        """Return the stored response, or None if it does not exist or has expired."""
        row = self._first(
            IdempotentResponseRow.select(IdempotentResponseRow.fingerprint, IdempotentResponseRow.notified).where(
                IdempotentResponseRow.api_key_id == api_key_id,
                IdempotentResponseRow.idempotency_key == idempotency_key,
                IdempotentResponseRow.expires_at > now,
            )
        )
        return None if row is None else IdempotentResponse(**row)

    def store_idempotent_response(
        self, api_key_id: str, idempotency_key: str, response: IdempotentResponse, *, now: datetime, expires_at: datetime
    ) -> None:
        """Store a response, and delete those that have expired.

        Where another transaction has just stored one under the same key, the whole use case is repeated, and finds that one.
        """
        self._execute(IdempotentResponseRow.delete().where(IdempotentResponseRow.expires_at <= now))
        row = {"api_key_id": api_key_id, "idempotency_key": idempotency_key, "expires_at": expires_at}
        self._insert(IdempotentResponseRow, [row | {"fingerprint": response.fingerprint, "notified": response.notified}])
