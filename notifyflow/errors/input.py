"""Faults of input, and the errors that list them."""

from collections.abc import Iterable
from dataclasses import dataclass

from notifyflow.errors.root import NotifyflowError

NAMED = 20
"""How many faults are named at most; the others are counted, since a document may have as many as it has bytes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with an input: where it is, what is wrong, what to do.

    Attributes:
        where: The field, as a path: ``recipients[2].phone``.
        what: What is wrong with it, as a sentence without its full stop.
        remedy: What to do about it, as a sentence without its full stop.
        count: How many faults it stands for; more than 1 where it only counts them.
        is_unset: Whether it only says that something optional is not set, so that a part is not used.
        line: The line of the file on which the field stands; None if that is not known.
    """

    where: str
    what: str
    remedy: str
    count: int = 1
    is_unset: bool = False
    line: int | None = None

    @property
    def place(self) -> str:
        """The field, with its line if that is known: ``routes[0].to (line 12)``."""
        return self.where if self.line is None else f"{self.where} (line {self.line})"

    def __str__(self) -> str:
        return f"{self.place}: {self.what}. {self.remedy}."


def named(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the first faults, and one more that counts the others."""
    first: list[Fault] = []
    more = 0
    for fault in faults:
        if len(first) < NAMED:
            first.append(fault)
        else:
            more += fault.count
    return (*first, count_more(more)) if more else tuple(first)


def count_more(count: int) -> Fault:
    """Return a fault that counts those that are not named."""
    what = "1 more thing is wrong" if count == 1 else f"{count:,} more things are wrong"
    return Fault("document", what, "Correct what is named, and try again", count)


class InvalidInput(NotifyflowError):
    """Raised when an input is invalid; nothing was stored.

    Attributes:
        faults: The faults in the order of the input; never empty. For a document that others send, the first 20 are named and
            the last one counts the rest.
        count: The number of faults.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(self.faults)
        self.count = sum(fault.count for fault in self.faults)

    def __str__(self) -> str:
        return "\n".join(str(fault) for fault in self.faults)


class InvalidIncident(InvalidInput):
    """Raised when an incident, its recipients or an incident file cannot be accepted."""


class UnreadableIncident(InvalidIncident):
    """Raised when a document that should hold an incident cannot be parsed."""


class InvalidRequest(InvalidInput):
    """Raised when a request to the API has invalid parameters or an invalid body."""


class InvalidNamespace(InvalidInput):
    """Raised when an API key cannot have the requested namespace; no key was made."""


class InvalidUser(InvalidInput):
    """Raised when the name, the password, a namespace or the recipient of a user is invalid; nothing was stored."""


class InvalidAge(InvalidInput):
    """Raised when the age for pruning is too low, or cannot be read."""


class InvalidPolicy(InvalidInput):
    """Raised when a policy contradicts itself or has unknown fields or values."""


class InvalidDirectory(InvalidInput):
    """Raised when a directory file cannot be used: it is not TOML, or refers to unknown names."""


class InvalidCalendar(InvalidInput):
    """Raised when the calendar of a schedule cannot be used: it is invalid, too large, or says nothing of the duty."""


class InvalidSettings(InvalidInput):
    """Raised when the settings do not allow a start."""


class InvalidOverride(InvalidInput):
    """Raised when a duty cannot be changed as somebody wants: an unknown name, a time that has passed."""


class InvalidPause(InvalidInput):
    """Raised when a pause has an unknown target, no valid duration, or no author."""


class InvalidSilence(InvalidInput):
    """Raised when a silence has no valid matchers, time or reason, or would silence what may not be silenced."""


class InvalidScript(InvalidInput):
    """Raised when a sandbox script cannot be parsed."""
