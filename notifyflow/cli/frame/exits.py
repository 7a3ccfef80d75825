"""The exit codes of the commands, and the exit code of each error."""

from enum import IntEnum

from notifyflow import errors


class Exit(IntEnum):
    """The exit codes, each with its meaning in words; the reference quotes them."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> "Exit":
        """Create a member from its code and its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "Success."
    FAILED = 1, "Someone was not reached, or a check failed."
    BAD_INPUT = 2, "The input is invalid; nothing was stored."
    UNAVAILABLE = 3, "The database, the broker, a port or a required program is unavailable; try again later."
    INTERRUPTED = 130, "Interrupted by Ctrl-C; an incident that was accepted stays accepted."


def code_of(error: errors.NotifyflowError) -> Exit:
    """Return the exit code of a command that raised this error."""
    match error:
        case (
            errors.InvalidInput()
            | errors.NotFound()
            | errors.AmbiguousKey()
            | errors.RecipientNotFound()
            | errors.IncidentResolved()
            | errors.ApiKeyNotFound()
            | errors.ApiKeyRevoked()
            | errors.UserExists()
            | errors.UserNotFound()
            | errors.RecipientInUse()
            | errors.WrongEnvironment()
            | errors.DatabaseInUse()
            | errors.OverrideNotFound()
            | errors.FeedNotFound()
            | errors.RecipientUnknown()
            | errors.TooManyTests()
            | errors.NotConfirmed()
        ):
            return Exit.BAD_INPUT
        case errors.UnreadableRow():
            return Exit.FAILED
        case errors.StorageError() | errors.BrokerUnavailable() | errors.ProgramMissing() | errors.PortUnavailable():
            return Exit.UNAVAILABLE
        case _:
            return Exit.FAILED
