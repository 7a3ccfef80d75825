"""Words for pages that leave in one message with others, and for those that wait for it; pure."""

from datetime import timedelta

from notifyflow.core import text
from notifyflow.core.messages.ways import message

_CALL = "voice"
"""The channel on which an accepted message has told nobody anything yet."""


def in_one_message(channel: str, others: int, *, is_named: bool, is_accepted: bool, is_delivered: bool = False) -> str:
    """Return how a page was sent with others: ``told in one text with 36 others``, ``counted in one text with 36 others``.

    Args:
        channel: The channel of the message.
        others: How many others it carried; 0 if that is not known.
        is_named: Whether the message named the page's incident.
        is_accepted: Whether a provider accepted the message.
        is_delivered: Whether it is known to be delivered; of a call, whether somebody heard it.
    """
    has_told = is_delivered or (is_accepted and channel != _CALL)
    verb = ("told " if is_named else "counted ") if has_told else ""
    return f"{verb}in one {message(channel)} with {text.quantity(others, 'other') if others else 'others'}"


def waiting_for(channel: str) -> str:
    """Return what a postponed page waits for."""
    return "the next call" if channel == _CALL else "others"


def waits(channel: str, wait: timedelta) -> str:
    """Return for what a page waits, and how long at most.

    Such as ``waits up to 40 s for others`` or ``waits up to 2 m for the next call``.
    """
    return f"waits up to {text.span(timedelta(seconds=-(-wait // timedelta(seconds=1))))} for {waiting_for(channel)}"
