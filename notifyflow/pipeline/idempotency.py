"""Makes a request that comes again under its idempotency key do nothing, and be answered as it was."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from notifyflow.core.model import Notified
from notifyflow.errors import IdempotencyMismatch
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.idempotency import Answer

_KEPT_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """What names one request.

    Attributes:
        api_key_id: Whose request it is.
        idempotency_key: What its sender calls it.
        fingerprint: What it says, so that another one is told apart.
    """

    api_key_id: str
    idempotency_key: str
    fingerprint: str

    def guard(self, body: Callable[[Transaction], Notified]) -> Callable[[Transaction], Notified]:
        """Let a use case run once, its answer being kept in its own transaction, for a day.

        Of two that run at once the second to keep an answer breaks a unique rule, runs again, and finds the first one's.
        """

        def guarded(tx: Transaction) -> Notified:
            known = tx.ledger.answer(self.api_key_id, self.idempotency_key, now=tx.now)
            if known is None:
                answer = Answer(fingerprint=self.fingerprint, notified=body(tx))
                until = tx.now + _KEPT_FOR
                tx.ledger.keep_answer(self.api_key_id, self.idempotency_key, answer, now=tx.now, expires_at=until)
                return answer.notified
            if known.fingerprint != self.fingerprint:
                raise IdempotencyMismatch
            return known.notified

        return guarded
