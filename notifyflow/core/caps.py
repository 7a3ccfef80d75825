"""How many calls and texts an hour may bring: to one recipient, and to all numbers that begin alike.

Whatever goes wrong, an alert that repeats itself or a number that earns money by being called, it ends there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

CAPPED_CHANNELS = ("sms", "voice")
CRITICAL_TIMES = 3
"""How much higher a cap is for what is CRITICAL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The caps, each an hour by the clock (UTC), for each of the channels.

    Attributes:
        recipients: How many one recipient is sent, by channel.
        prefixes: How many all numbers are sent that begin so; of several prefixes the longest counts.
    """

    recipients: Mapping[str, int] = field(default_factory=dict)
    prefixes: Mapping[str, int] = field(default_factory=dict)

    def of(self, channel: str, recipient_id: str, address: str) -> Mapping[str, int]:
        """Name what a message is counted under, and the cap of each."""
        if channel not in CAPPED_CHANNELS:
            return {}
        prefix = max((each for each in self.prefixes if address.startswith(each)), key=len, default=None)
        caps = {f"recipient {recipient_id}": self.recipients[channel]} if channel in self.recipients else {}
        return caps if prefix is None else caps | {f"prefix {prefix}": self.prefixes[prefix]}


def is_used_up(caps: Mapping[str, int], spent: Mapping[str, int], *, is_urgent: bool) -> bool:
    """Tell whether any cap leaves nothing of its hour."""
    times = CRITICAL_TIMES if is_urgent else 1
    return any(spent.get(scope, 0) >= cap * times for scope, cap in caps.items())


def hour_of(now: datetime) -> datetime:
    """Tell when the hour began."""
    return now.replace(minute=0, second=0, microsecond=0)
