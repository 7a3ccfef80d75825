"""The delivery mode: messages go out as they are, to other addresses, to some addresses only, or not at all.

It applies to the final address, so that a copy of a database pages no one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase


class Mode(StrEnum):
    """The delivery mode."""

    LIVE = "live"
    REDIRECT = "redirect"
    ALLOW = "allow"
    DRY_RUN = "dry-run"


_NOTICES = {Mode.LIVE: "", Mode.REDIRECT: "redirected", Mode.ALLOW: "limited delivery", Mode.DRY_RUN: "dry run"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The delivery mode with its addresses.

    Attributes:
        addresses: For REDIRECT, channel to the address that gets everything; messages of other channels are not sent.
        patterns: For ALLOW: an address must match one of these patterns, as in a shell and regardless of case.
    """

    mode: Mode = Mode.LIVE
    addresses: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[str, ...] = ()

    @property
    def notice(self) -> str:
        """The mark that every message and page shows; empty when all is live."""
        return _NOTICES[self.mode]

    def final(self, channel: str, address: str) -> str | None:
        """Return the address to which a message is sent; None if it may not be sent."""
        match self.mode:
            case Mode.LIVE:
                return address
            case Mode.REDIRECT:
                return self.addresses.get(channel)
            case Mode.ALLOW:
                folded = address.casefold()
                return address if any(fnmatchcase(folded, pattern.casefold()) for pattern in self.patterns) else None
            case _:
                return None


LIVE = Delivery()


def read_delivery(text: str) -> Delivery:
    """Read ``live``, ``redirect:email=dev@example.com,sms=+1…``, ``allow:*@example.com,+4420*`` or ``dry-run``.

    Raises:
        ValueError: With the fault as a sentence; it does not repeat addresses.
    """
    word, colon, rest = text.strip().partition(":")
    parts = tuple(part.strip() for part in rest.split(",") if part.strip())
    match word:
        case "live" | "dry-run" if not colon:
            return Delivery(mode=Mode(word))
        case "redirect":
            pairs = [part.partition("=") for part in parts]
            if not pairs or not all(channel and address for channel, _, address in pairs):
                raise ValueError("does not redirect to CHANNEL=ADDRESS, and more of them after commas")
            return Delivery(mode=Mode.REDIRECT, addresses={channel.strip(): address.strip() for channel, _, address in pairs})
        case "allow":
            if not parts:
                raise ValueError("allows no pattern")
            return Delivery(mode=Mode.ALLOW, patterns=parts)
        case _:
            raise ValueError("has to be live, redirect:…, allow:… or dry-run")
