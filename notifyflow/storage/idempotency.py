"""Answers that are given again to a request that comes again under its idempotency key."""

from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.model import Notified
from notifyflow.storage.models import AnswerRow
from notifyflow.storage.moves import Moves


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a request was answered.

    Attributes:
        fingerprint: The request's.
        notified: The answer.
    """

    fingerprint: str
    notified: Notified


class Answers(Moves):
    """Answers under an API key's idempotency keys."""

    def answer(self, api_key_id: str, idempotency_key: str, *, now: datetime) -> Answer | None:
        """Read the answer that was given; None where there is none, or it has expired."""
        row = self._first(
            AnswerRow.select(AnswerRow.fingerprint, AnswerRow.notified).where(
                AnswerRow.api_key_id == api_key_id, AnswerRow.idempotency_key == idempotency_key, AnswerRow.expires_at > now
            )
        )
        return None if row is None else Answer(**row)

    def keep_answer(self, api_key_id: str, idempotency_key: str, answer: Answer, *, now: datetime, expires_at: datetime) -> None:
        """Keep an answer, and drop those that have expired.

        Where another transaction has just kept one under the same key, the whole use case is repeated, and finds that one.
        """
        AnswerRow.delete().where(AnswerRow.expires_at <= now).execute(self._db)
        row = {"api_key_id": api_key_id, "idempotency_key": idempotency_key, "expires_at": expires_at}
        self._insert(AnswerRow, [row | {"fingerprint": answer.fingerprint, "notified": answer.notified}])
