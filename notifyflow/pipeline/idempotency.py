"""Returns the stored response to a request that is repeated under its idempotency key, and does nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from notifyflow.core.model import Notified
from notifyflow.errors import IdempotencyMismatch
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.idempotency import IdempotentResponse

_KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Identifies one request.

    Attributes:
        api_key_id: The API key of the request.
        idempotency_key: The sender's name for the request.
        fingerprint: A digest of its content, by which a different request is recognised.
    """

    api_key_id: str
    idempotency_key: str
    fingerprint: str

    def guard(self, body: Callable[[Transaction], Notified]) -> Callable[[Transaction], Notified]:
        """Return a use case that runs once and stores its response, for a day, in the same transaction.

        If two run at once, the second one violates a unique constraint, runs again, and finds the response of the first.
        """

        def guarded(tx: Transaction) -> Notified:
            known = tx.ledger.idempotent_response(self.api_key_id, self.idempotency_key, now=tx.now)
            if known is None:
                response = IdempotentResponse(fingerprint=self.fingerprint, notified=body(tx))
                until = tx.now + _KEPT_FOR
                tx.ledger.store_idempotent_response(self.api_key_id, self.idempotency_key, response, now=tx.now, expires_at=until)
                return response.notified
            if known.fingerprint != self.fingerprint:
                raise IdempotencyMismatch
            return known.notified

        return guarded
