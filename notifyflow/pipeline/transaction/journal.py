"""Notes the results of a set's transactions, before each commit, in case their thread is cut short.

Then another thread handles the set again from its start. Each transaction returns or raises its first result, and the log shows
whether the last one was committed. No other transaction begins.
"""

from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from typing import TypeVar, cast

T = TypeVar("T")


class CutShort(BaseException):
    """Raised in place of a transaction that stored nothing, since its thread was cut short."""


@dataclass(slots=True)
class JournalEntry:
    """The note of one transaction.

    Attributes:
        done: Its result if it is committed; None before its use case has run to its end.
        is_committed: Whether it is known to be committed.
        error: The error that it raised; nothing is stored then.
        is_old: Whether it was begun before the set is handled again.
    """

    done: object = None
    is_committed: bool = False
    error: Exception | None = None
    is_old: bool = False


class Journal:
    """The notes of a set, in the order of its transactions."""

    def __init__(self) -> None:
        self._notes: list[JournalEntry] = []
        self._next = 0
        self._is_old = False

    def context(self) -> Context:
        """Return a context whose transactions are noted; it ends with its ``run``, even if that is cut short."""
        return _context(self)

    def read_again(self) -> None:
        """Start again at the first note, and begin no other transaction.

        Raises:
            CutShort: When there is none.
        """
        if not self._notes:
            raise CutShort
        self._next, self._is_old = 0, True
        for note in self._notes:
            note.is_old = True

    def next_note(self) -> JournalEntry:
        """Return the note of the next transaction."""
        if self._next == len(self._notes):
            self._notes.append(JournalEntry(is_old=self._is_old))
        self._next += 1
        return self._notes[self._next - 1]


_JOURNAL: ContextVar[Journal | None] = ContextVar("notifyflow_journal", default=None)


def next_note() -> JournalEntry:
    """Return the note for the transaction that this thread begins."""
    journal = _JOURNAL.get()
    return JournalEntry() if journal is None else journal.next_note()


def noted(draw: Callable[[], T]) -> T:
    """Return a value that a set depends on beside its transactions; the same as when the set was first handled."""
    note = next_note()
    if not note.is_committed:
        note.done, note.is_committed = draw(), True
    return cast(T, note.done)


def is_kept() -> bool:
    """Return whether this thread handles a set with notes."""
    return _JOURNAL.get() is not None


def is_looked_up(error: BaseException) -> bool:
    """Return whether this thread's commit is looked up after an error that cuts it short."""
    return is_kept() and not isinstance(error, Exception | CutShort)


def aside(act: Callable[[], T]) -> T:
    """Run code that does not belong to the set."""
    return _context(None).run(act)


def _context(journal: Journal | None) -> Context:
    context = copy_context()
    context.run(_JOURNAL.set, journal)
    return context
