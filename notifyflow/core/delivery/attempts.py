"""The attempts of a notification: which of them count, and the state that follows from them; pure."""

from notifyflow.core.copies import replace
from notifyflow.core.delivery import calls
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import AttemptState, NotificationState, Result
from notifyflow.errors import StorageError

BROKE_OFF = "broke_off"
"""The code of an attempt whose channel raised an error that it must not raise, as one that cannot render the message may."""

_ACCEPTED = (Result.ACCEPTED, Result.DELIVERED)


def counted(row: NotificationFacts) -> tuple[AttemptFacts, ...]:
    """Return the attempts whose results count: all but those not sent."""
    return tuple(attempt for attempt in row.attempts if attempt.state is not AttemptState.NOT_SENT)


def used_up(row: NotificationFacts) -> tuple[AttemptFacts, ...]:
    """Return the attempts that count for the policy's number: those that were sent, unless their message was halved."""
    return tuple(attempt for attempt in counted(row) if not attempt.is_halved)


def was_accepted(row: NotificationFacts) -> bool:
    """Return whether a provider accepted any attempt, in its response or a later report, whatever its result."""
    return any(attempt.evidence is not None or attempt.result in _ACCEPTED for attempt in counted(row))


def doubt_of(row: NotificationFacts) -> AttemptFacts | None:
    """Return the latest attempt if it is in doubt; None otherwise."""
    latest = counted(row)[-1:]
    return latest[0] if latest and latest[0].result is Result.IN_DOUBT else None


def state_of(row: NotificationFacts) -> NotificationState:
    """Return the state that follows from the attempts and from why the row was ended. CANCELLED rows never move."""
    attempts = counted(row)
    if any(attempt.result is Result.DELIVERED for attempt in attempts):
        return NotificationState.DELIVERED
    if any(attempt.state is AttemptState.RUNNING for attempt in attempts):
        return NotificationState.SENDING
    latest = attempts[-1].result if attempts else None
    if latest is Result.ACCEPTED:
        return NotificationState.SENT
    used = used_up(row)
    is_over = row.ended or len(used) >= row.max_attempts or calls.is_unheard(used)
    if latest is Result.PERMANENT_FAILURE or is_over:
        return NotificationState.FAILED
    return NotificationState.CANCELLED if row.is_stopped else NotificationState.QUEUED


def attempt_of(row: NotificationFacts, attempt_id: str) -> AttemptFacts:
    """Return an attempt of a row.

    Raises:
        StorageError: When the row has no such attempt.
    """
    for attempt in row.attempts:
        if attempt.id == attempt_id:
            return attempt
    raise StorageError(f"notification {row.id} has no attempt {attempt_id}")


def with_attempt(row: NotificationFacts, changed: AttemptFacts) -> NotificationFacts:
    """Return a row with one of its attempts changed."""
    return replace(row, attempts=tuple(changed if attempt.id == changed.id else attempt for attempt in row.attempts))
