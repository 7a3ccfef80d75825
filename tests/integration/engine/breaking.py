"""A database whose connection breaks during a commit, and which is away for a while afterwards."""

from collections.abc import Callable
from typing import Any, TypeVar

from notifyflow.core.delivery.model import AttemptState, NotificationState
from notifyflow.errors import CommitUnknown, StorageUnavailable
from notifyflow.storage.ledger import Ledger
from tests.patience import PatientStore

T = TypeVar("T")

Meant = Callable[[Ledger], bool]
"""Whether the commit of a transaction, at its end, is the one that a test means."""


class BreakingStore(PatientStore):
    """A store that does not learn how one commit ended, and is away for some transactions after it.

    Attributes:
        away_for: How many transactions more it is away for.
    """

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.away_for = 0
        self._is_meant: Meant | None = None
        self._is_done = False
        self._then_away_for = 0

    def break_at(self, is_meant: Meant, *, is_done: bool, then_away_for: int = 1) -> None:
        """Break at the first commit that is meant, which is done or not."""
        self._is_meant, self._is_done, self._then_away_for = is_meant, is_done, then_away_for

    @property
    def has_broken(self) -> bool:
        """Whether it came to that commit."""
        return self._is_meant is None

    def run(self, use_case: Callable[[Ledger], T], **limits: Any) -> T:
        if self.away_for:
            self.away_for -= 1
            raise StorageUnavailable(0.0)
        unsure: list[T] = []

        def body(ledger: Ledger) -> T:
            result = use_case(ledger)
            if self._is_meant is not None and self._is_meant(ledger):
                unsure.append(result)
                if not self._is_done:
                    raise _Undone
            return result

        try:
            result = super().run(body, **limits)
        except _Undone:
            result = unsure[-1]
        if unsure:
            self._is_meant = None
            self.away_for = self._then_away_for
            raise CommitUnknown(0.0, result)
        return result


class _Undone(Exception):
    """Raised to roll back."""


def attempts_become(state: AttemptState, *notification_ids: str) -> Meant:
    """Mean the commit after which the last attempts of some notifications have a state."""

    def is_meant(ledger: Ledger) -> bool:
        rows = [ledger.notifications.get(each) for each in notification_ids]
        return all(row.attempts and row.attempts[-1].state is state for row in rows)

    return is_meant


def becomes(state: NotificationState, notification_id: str) -> Meant:
    """Mean the commit after which a notification has a state."""
    return lambda ledger: ledger.notifications.get(notification_id).state is state
