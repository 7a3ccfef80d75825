"""How a command ends: one number a kind of ending, and which error means which."""

from enum import IntEnum

from notifyflow.errors import (
    AmbiguousKey,
    ApiKeyNotFound,
    ApiKeyRevoked,
    BrokerUnavailable,
    DatabaseInUse,
    IncidentResolved,
    InvalidInput,
    NotConfirmed,
    NotFound,
    NotifyflowError,
    PortUnavailable,
    ProgramMissing,
    RecipientInUse,
    RecipientNotFound,
    StorageError,
    WrongEnvironment,
)


class Exit(IntEnum):
    """The exit codes; each has its meaning in words, which the reference shows."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "Exit":
        """Make a member out of its code and its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "It was done."
    UNTOLD = 1, "It was tried, and somebody was not reached, or something was not as it was told."
    BAD_INPUT = 2, "The input is invalid; nothing was stored."
    UNAVAILABLE = 3, "The database, the broker, a port or a program that is needed cannot be had; try again when it can."
    INTERRUPTED = 130, "It was interrupted by Ctrl-C; what was accepted stays accepted."


def code_of(error: NotifyflowError) -> Exit:
    """Tell how a command ends that raised this."""
    match error:
        case (
            InvalidInput()
            | NotFound()
            | AmbiguousKey()
            | RecipientNotFound()
            | IncidentResolved()
            | ApiKeyNotFound()
            | ApiKeyRevoked()
            | RecipientInUse()
            | WrongEnvironment()
            | DatabaseInUse()
            | NotConfirmed()
        ):
            return Exit.BAD_INPUT
        case StorageError() | BrokerUnavailable() | ProgramMissing() | PortUnavailable():
            return Exit.UNAVAILABLE
        case _:
            return Exit.UNTOLD
