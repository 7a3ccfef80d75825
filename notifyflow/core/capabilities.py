"""What a channel can do, as each channel declares it."""

from dataclasses import dataclass
from datetime import timedelta

CHAT_BEAT = timedelta(seconds=10)
"""How long pages by chat or push wait for others in a storm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCapabilities:
    """The capabilities of one channel; the defaults hold for a channel that declares nothing.

    Attributes:
        gets_status_updates: Whether it carries status updates; not where a message rings or costs.
        is_edited_in_place: Whether a status update replaces a page whose provider gave an id for it.
        has_text_replies: Whether people reply by text from their address. Pages carry a reply code, and STOP ends them.
        is_call: Whether it rings a phone.
        shows_without_receipt: Whether a message that was accepted counts as arrived if no receipt about it can come: people see
            mail and chat where they work. Not so for a push or a call, which may never have reached the device.
        hourly_cap: How many messages an hour one namespace sends to one address, unless ``NOTIFYFLOW_RECIPIENT_CAPS`` is set;
            None means that messages are not counted, and no cap applies, not even one on a prefix.
        is_bundled: Whether one message may be about several incidents; its body has a line for each that it names. If not, each
            page leaves by itself.
        names: How many incidents such a message names at most, the worst first; of the others it says how many there are.
        beat: How long pages wait for others in a storm at most; CRITICAL ones half a minute at most.
        how: How a reply on it acknowledges, as the acknowledgement page says it ("in Slack"); may be empty.
    """

    gets_status_updates: bool = False
    is_edited_in_place: bool = False
    has_text_replies: bool = False
    is_call: bool = False
    shows_without_receipt: bool = False
    hourly_cap: int | None = None
    is_bundled: bool = False
    names: int = 20
    beat: timedelta = timedelta(seconds=60)
    how: str = ""


NO_CAPABILITIES = ChannelCapabilities()
SHOWN = ChannelCapabilities(shows_without_receipt=True)
