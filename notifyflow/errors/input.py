"""What is wrong with what somebody gave us: faults, and the errors that list them."""

from collections.abc import Iterable
from dataclasses import dataclass

from notifyflow.errors.root import NotifyflowError

NAMED = 20
"""How many faults are named at most; the others are counted, for a document may have as many as it has bytes."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with what somebody gave us: where it stands, what is wrong, what to do.

    Attributes:
        where: The field, as a path: ``recipients[2].phone``.
        what: What is wrong with it, as a sentence without its full stop.
        remedy: What to do about it, as a sentence without its full stop.
        count: How many faults it stands for; more than 1 where it only counts them.
    """

    where: str
    what: str
    remedy: str
    count: int = 1

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.remedy}."


def named(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Name the first faults, and count the others."""
    told: list[Fault] = []
    more = 0
    for fault in faults:
        if len(told) < NAMED:
            told.append(fault)
        else:
            more += fault.count
    return (*told, count_more(more)) if more else tuple(told)


def count_more(count: int) -> Fault:
    """Say how many more faults there are than are named."""
    what = "1 more thing is wrong" if count == 1 else f"{count:,} more things are wrong"
    return Fault("document", what, "Correct what is named, and try again", count)


class InvalidInput(NotifyflowError):
    """Raised when what was given is of bad form; nothing was stored.

    Attributes:
        faults: What is wrong, in the order of the input; never empty. Of a document that others send, the first 20 are named
            and the last one counts the others.
        count: How many faults there are.
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
    """Raised when what should hold an incident cannot even be parsed."""


class InvalidRequest(InvalidInput):
    """Raised when the API is asked for something in a form that it does not have."""


class InvalidNamespace(InvalidInput):
    """Raised when an API key cannot have the namespace that was asked for; no key was made."""


class InvalidAge(InvalidInput):
    """Raised when what is to be pruned is too young to be, or its age cannot be read."""


class InvalidPolicy(InvalidInput):
    """Raised when a policy contradicts itself or uses words that policies do not have."""


class InvalidDirectory(InvalidInput):
    """Raised when a directory file cannot be used: it is no TOML, or names what there is not."""


class InvalidSettings(InvalidInput):
    """Raised when the settings do not allow a start."""


class InvalidPause(InvalidInput):
    """Raised when nothing that there is would be paused, for no time or too long, or by nobody."""


class InvalidScript(InvalidInput):
    """Raised when a sandbox script uses words that the script language does not have."""
