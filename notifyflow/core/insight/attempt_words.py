"""Words for a notification and its attempts, the same on pages and on the terminal; pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.delivery.attempts import counted, used_up
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import AttemptState, DeferralReason, NotificationState, Result
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.insight import bundled_words
from notifyflow.core.insight.timeline import Explain
from notifyflow.core.insight.timeline_words import DEFERRED
from notifyflow.core.insight.views import Note
from notifyflow.core.messages.evidence import VOUCHED
from notifyflow.core.messages.looks import ATTEMPTS, StateLook

Brief = Callable[[datetime], str]
"""Writes a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptView:
    """One attempt.

    Attributes:
        look: The look of its result.
        details: All else that is known of it.
    """

    facts: AttemptFacts
    look: StateLook
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptWords:
    """Describes notifications by their attempts.

    Attributes:
        brief: Writes a time.
        explain: Returns the meaning of a code from the tables of a channel.
        notes: What providers reported that changed no state.
        others: How many other pages the messages of attempts carried, by the ids of the attempts.
    """

    brief: Brief
    explain: Explain
    notes: Sequence[Note] = ()
    others: Mapping[str, int] = FrozenDict()

    def attempt(self, row: NotificationFacts, attempt: AttemptFacts) -> AttemptView:
        """Describe one attempt of a notification."""
        return AttemptView(facts=attempt, look=look(attempt), details=tuple(self._details(row, attempt)))

    def because(self, row: NotificationFacts) -> str:
        """Return why a notification is in its state, by its latest attempt; may be empty."""
        latest = counted(row)[-1:]
        if not latest:
            return row.reason or ("was not sent" if row.state is NotificationState.CANCELLED else "")
        last = latest[0]
        match row.state:
            case NotificationState.SENT | NotificationState.DELIVERED:
                vouched = VOUCHED[last.evidence] if last.evidence else ""
                return ", ".join(filter(None, (vouched, in_one_message(row.channel, last, self.others))))
            case NotificationState.SENDING:
                return f"being sent over {last.provider}"
            case _:
                reason = self._reason(row, last)
                return f"{row.reason}; the last attempt: {reason}" if row.ended and reason else reason or row.reason

    def line(self, row: NotificationFacts, *, is_reached: bool = False) -> str:
        """Return how a notification went, in a line.

        Args:
            row: The notification.
            is_reached: Whether its escalation is REACHED, and no longer waits for its receipt.
        """
        made, used, waits = counted(row), len(used_up(row)), self._waits(row)
        if not made:
            return self.because(row) or waits
        last = made[-1]
        parts = [last.provider]
        if not last.is_halved and (used > 1 or last.result not in (Result.ACCEPTED, Result.DELIVERED)):
            parts.append(f"attempt {used} of {row.max_attempts}")
        if len(made) > 1 and made[-2].result is Result.IN_DOUBT:
            parts.append("tried again after a doubt")
        parts.append(self._ended(row, last))
        parts.append(in_one_message(row.channel, last, self.others))
        if last.result is Result.ACCEPTED and last.receipt_due_at is not None:
            parts.append("unconfirmed" if is_reached else "waiting for a receipt")
        parts += [f"noted: {coded(note.code, note.reason)}" for note in self._noted(*row.attempts)]
        parts.append(waits)
        if last.ended_at is None:
            end = "given up" if used >= row.max_attempts or row.is_stopped else "tried again"
            parts.append(f"its worker has until {self.brief(last.lease_until)}, then it is {end}")
        return ", ".join(dict.fromkeys(filter(None, parts)))

    def _ended(self, row: NotificationFacts, attempt: AttemptFacts) -> str:
        word, reason = look(attempt).word, self._reason(row, attempt)
        match attempt.result:
            case Result.ACCEPTED | Result.DELIVERED:
                return VOUCHED[attempt.evidence] if attempt.evidence else word
            case Result.IN_DOUBT:
                return f"{word}: {reason}" if reason else word
            case _:
                return reason or word

    def _waits(self, row: NotificationFacts) -> str:
        """Return the obstacle that a queued notification waits for, and until when; empty for any other."""
        if row.state is not NotificationState.QUEUED or row.due_at is None:
            return ""
        until = self.brief(row.due_at)
        if row.waits_until is not None:
            return f"waits for {bundled_words.waiting_for(row.channel)} until {until} at the latest"
        if row.deferred_by is None:
            return f"next attempt at {until}" if row.attempts else f"due at {until}"
        if row.deferred_by is DeferralReason.PAUSE:
            return f"paused until {until}"
        latest = " at the latest" if row.deferred_by is DeferralReason.SILENCE else ""
        return f"deferred {DEFERRED[row.deferred_by]} until {until}{latest}"

    def _details(self, row: NotificationFacts, attempt: AttemptFacts) -> Iterator[str]:
        if attempt.state is AttemptState.NOT_SENT:
            yield from self._unsent(row, attempt)
            return
        if attempt.result is None:
            yield f"counts as in doubt at {self.brief(attempt.lease_until)} unless its result is recorded"
            return
        if reason := self._reason(row, attempt):
            yield reason
        if attempt.evidence is not None:
            yield VOUCHED[attempt.evidence]
        if others := in_one_message(row.channel, attempt, self.others):
            yield others
        yield from (words for words, holds in self._remarks(attempt) if holds)
        for note in self._noted(attempt):
            yield f"noted at {self.brief(note.received_at)}: {coded(note.code, note.reason)}"
        if attempt.ended_at is not None:
            yield f"took {(attempt.ended_at - attempt.started_at).total_seconds():.1f} s"

    def _unsent(self, row: NotificationFacts, attempt: AttemptFacts) -> Iterator[str]:
        if attempt.is_halved:
            yield f"its message was refused for its content, with others: {self._reason(row, attempt)}"

    def _remarks(self, attempt: AttemptFacts) -> Iterator[tuple[str, bool]]:
        awaited_at = attempt.receipt_due_at if attempt.result is Result.ACCEPTED else None
        yield "" if awaited_at is None else f"a receipt is due by {self.brief(awaited_at)}", awaited_at is not None
        yield "was in doubt", attempt.is_doubted and attempt.result is not Result.IN_DOUBT
        yield "the provider refuses us, not the recipient", attempt.is_our_fault
        is_refused = attempt.is_halved and attempt.result is Result.TEMPORARY_FAILURE
        yield "its message was refused for its content, with others, which uses up no attempt", is_refused
        yield f"the provider asked to wait {attempt.retry_after_s or 0:g} s", attempt.retry_after_s is not None

    def _noted(self, *attempts: AttemptFacts) -> Iterator[Note]:
        ids = {attempt.id for attempt in attempts}
        return (note for note in self.notes if note.attempt_id in ids)

    def _reason(self, row: NotificationFacts, attempt: AttemptFacts) -> str:
        """Return the meaning of an attempt's code; empty if it has none."""
        return coded(attempt.code, attempt.reason or (self.explain(row.channel, attempt.code) if attempt.code else ""))


def look(attempt: AttemptFacts) -> StateLook:
    """Return the look of an attempt's result, or of its state without one."""
    if attempt.state is AttemptState.NOT_SENT:
        return ATTEMPTS[AttemptState.NOT_SENT]
    return ATTEMPTS[attempt.result or AttemptState.RUNNING]


def in_one_message(channel: str, attempt: AttemptFacts, others: Mapping[str, int]) -> str:
    """Return how the message of an attempt told of its incident and of others; empty if it was about this one only.

    Args:
        channel: The channel of its notification.
        attempt: The attempt.
        others: How many other pages the messages of attempts carried, by the ids of the attempts.
    """
    if attempt.sent_with is None:
        return ""
    return bundled_words.in_one_message(
        channel,
        others.get(attempt.id, 0),
        is_named=attempt.is_named,
        is_accepted=attempt.result is Result.ACCEPTED,
        is_delivered=attempt.result is Result.DELIVERED,
    )


def coded(code: str, meaning: str) -> str:
    """Return a meaning with its code: ``the number is a landline (30006)``."""
    return f"{meaning} ({code})" if code and meaning else code or meaning
