"""Keeps what the transactions of a set return, noted before each commit, for the case that their thread is cut short.

Then the set is handled once more, from its start, by the thread that goes on with it. Each of its transactions returns, or
raises, what it did the first time, and the log says whether the last one was done. No other begins.
"""

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import TypeVar, cast

T = TypeVar("T")


class CutShort(BaseException):
    """Raised in place of a transaction of which nothing was stored, since its thread was cut short."""


@dataclass(slots=True)
class Note:
    """What is known of one transaction.

    Attributes:
        done: What it returns if it is committed; None before its use case has run to its end.
        is_committed: Whether it is known to be committed.
        error: What it raised instead; nothing of it is stored.
        is_old: Whether it was begun before the set is handled once more.
    """

    done: object = None
    is_committed: bool = False
    error: Exception | None = None
    is_old: bool = False


class Journal:
    """The notes of a set, in the order of its transactions."""

    def __init__(self) -> None:
        self._notes: list[Note] = []
        self._next = 0
        self._is_old = False

    def keep(self, handle: Callable[[], T]) -> T:
        """Handle a set, and note its transactions; nothing of the context outlasts the call, even if it is cut short."""
        return copy_context().run(self._keep, handle)

    def _keep(self, handle: Callable[[], T]) -> T:
        _JOURNAL.set(self)
        return handle()

    def read_again(self) -> None:
        """Begin with the first note again, and begin no other transaction.

        Raises:
            CutShort: When there is none.
        """
        if not self._notes:
            raise CutShort
        self._next, self._is_old = 0, True
        for note in self._notes:
            note.is_old = True

    def next_note(self) -> Note:
        """Return the note of the next transaction."""
        if self._next == len(self._notes):
            self._notes.append(Note(is_old=self._is_old))
        self._next += 1
        return self._notes[self._next - 1]


_JOURNAL: ContextVar[Journal | None] = ContextVar("notifyflow_journal", default=None)


def next_note() -> Note:
    """Return the note of the transaction that this thread begins."""
    journal = _JOURNAL.get()
    return Note() if journal is None else journal.next_note()


def noted(draw: Callable[[], T]) -> T:
    """Return what a set depends on beside its transactions, as it was when it was handled first."""
    note = next_note()
    if not note.is_committed:
        note.done, note.is_committed = draw(), True
    return cast(T, note.done)


def is_kept() -> bool:
    """Return whether this thread handles a set whose transactions are noted."""
    return _JOURNAL.get() is not None


def is_looked_up(error: BaseException) -> bool:
    """Return whether what this thread has committed is looked up after an error that cuts it short."""
    return is_kept() and not isinstance(error, Exception | CutShort)


def aside(act: Callable[[], T]) -> T:
    """Do what is no part of the set."""
    return copy_context().run(_aside, act)


def _aside(act: Callable[[], T]) -> T:
    _JOURNAL.set(None)
    return act()
