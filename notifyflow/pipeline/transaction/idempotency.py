"""Returns the stored response when a request is repeated under its idempotency key, and does nothing else."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from notifyflow.core.delivery.model import Notified
from notifyflow.errors import IdempotencyMismatch
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.delivery.idempotency import IdempotentResponse

_KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Identifies one request.

    Attributes:
        idempotency_key: The sender's name for the request.
        fingerprint: A digest of its content, which reveals a different request.
    """

    api_key_id: str
    idempotency_key: str
    fingerprint: str

    @property
    def name(self) -> tuple[str, str]:
        """The API key's id and the idempotency key; no two requests have the same."""
        return self.api_key_id, self.idempotency_key


class Responses:
    """The responses to the requests of one transaction: the stored ones, and new ones, which it stores for a day.

    If two transactions handle one request at once, the second one violates a unique constraint, runs again, and finds the first
    one's response.
    """

    def __init__(self, tx: Transaction, requests: Collection[Once]) -> None:
        """Read the stored responses to some requests."""
        self._known = dict(tx.ledger.responses.get([each.name for each in requests], now=tx.now))
        self._new: dict[tuple[str, str], IdempotentResponse] = {}

    def __contains__(self, once: Once) -> bool:
        return once.name in self._known

    def to(self, once: Once) -> Notified | None:
        """Return the response to a request, or None if it is new.

        Raises:
            IdempotencyMismatch: When another request came under its idempotency key.
        """
        known = self._known.get(once.name)
        if known is None:
            return None
        if known.fingerprint != once.fingerprint:
            raise IdempotencyMismatch
        return known.notified

    def add(self, once: Once, notified: Notified) -> None:
        """Add the response to a new request."""
        response = IdempotentResponse(fingerprint=once.fingerprint, notified=notified)
        self._known[once.name] = self._new[once.name] = response

    def store(self, tx: Transaction) -> None:
        """Store the added responses, at the end of the transaction."""
        tx.ledger.responses.store(self._new, now=tx.now, expires_at=tx.now + _KEPT_FOR)
