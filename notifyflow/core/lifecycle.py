"""The notification's life: what each event makes of the row and its attempts. Pure; the row's state is a function of its attempts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from notifyflow.core.facts import AttemptFacts, NotificationFacts, Outcome
from notifyflow.core.model import Ended, Receipt
from notifyflow.core.policy import Schedule

Stop = Literal["acknowledged", "resolved", "replaced"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What an event made of a notification.

    Attributes:
        after: The row, with its attempts, as it is now.
        event: The machine's event, for the transition log.
        has_moved: Whether the state is another one; if not, there is nothing to log, but the row or an attempt may have changed.
    """

    after: NotificationFacts
    event: str
    has_moved: bool


def claim(row: NotificationFacts, attempt: AttemptFacts, *, now: datetime) -> Moved:
    """Begin an attempt; the caller made it with its lease, its token and (where a receipt is awaited) ``receipt_due_at``."""
    raise NotImplementedError


def record(
    row: NotificationFacts, attempt_id: str, outcome: Outcome, *, schedule: Schedule, now: datetime, fraction: float
) -> Moved:
    """Record what came of the running attempt."""
    raise NotImplementedError


def release(row: NotificationFacts, attempt_id: str, *, now: datetime) -> Moved:
    """Give the running attempt back unsent: it counts for nothing, and the row is due at once."""
    raise NotImplementedError


def lose(row: NotificationFacts, attempt_id: str, *, schedule: Schedule, now: datetime, fraction: float) -> Moved:
    """Put the running attempt in doubt, since its lease has expired; the row is due at once."""
    raise NotImplementedError


def receive(
    row: NotificationFacts, attempt_id: str, receipt: Receipt, *, schedule: Schedule, now: datetime, fraction: float
) -> Moved:
    """Hear a provider's word about one attempt."""
    raise NotImplementedError


def end(row: NotificationFacts, why: Ended, *, reason: str, now: datetime) -> Moved:
    """End a queued row ourselves."""
    raise NotImplementedError


def stop(row: NotificationFacts, event: Stop, *, now: datetime) -> Moved:
    """Let no further attempt begin: what is queued, or would be, is CANCELLED."""
    raise NotImplementedError
