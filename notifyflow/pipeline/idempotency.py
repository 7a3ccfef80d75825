"""Returns the same response to a request that comes again under its idempotency key, and does nothing else."""

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
        api_key_id: Whose request it is.
        idempotency_key: What its sender calls it.
        fingerprint: What it says, so that another one is recognised.
    """

    api_key_id: str
    idempotency_key: str
    fingerprint: str

    def guard(self, body: Callable[[Transaction], Notified]) -> Callable[[Transaction], Notified]:
        """Let a use case run once; its response is stored in its own transaction, for a day.

        Of two that run at once the second to store a response breaks a unique rule, runs again, and finds the first one's.
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
