"""How many calls and texts an hour may bring: to one address, and to all numbers that begin alike.

Whatever goes wrong, an alert that repeats itself or a number that earns money by being called, it ends there. Whoever asks for a
page makes up the recipient's id, so that counts nothing: the address does, for each namespace apart.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

CRITICAL_TIMES = 3
"""How much higher a cap is for what is CRITICAL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The caps, each an hour by the clock (UTC), for each of the channels.

    Attributes:
        channels: The channels whose messages are counted.
        recipients: How many a namespace sends to one address, by channel.
        prefixes: How many all numbers are sent that begin so; of several prefixes the longest counts.
    """

    channels: frozenset[str] = frozenset()
    recipients: Mapping[str, int] = field(default_factory=dict)
    prefixes: Mapping[str, int] = field(default_factory=dict)

    def of(self, channel: str, namespace: str, address: str, *, is_urgent: bool) -> Mapping[str, int]:
        """Return the counts that must be below a cap before a message is sent, each with its cap.

        What is CRITICAL is held against what its own namespace has sent, so that no other can use its caps up.
        """
        times = CRITICAL_TIMES if is_urgent else 1
        caps = {}
        if channel in self.channels and channel in self.recipients:
            caps[_to_address(namespace, address)] = self.recipients[channel] * times
        if (prefix := self._prefix(channel, address)) is not None:
            caps[_to_prefix(prefix, namespace) if is_urgent else _to_prefix(prefix)] = self.prefixes[prefix] * times
        return caps

    def counted(self, channel: str, namespace: str, address: str) -> Collection[str]:
        """Return everything that a message counts for."""
        scopes = [_to_address(namespace, address)] if channel in self.channels and channel in self.recipients else []
        if (prefix := self._prefix(channel, address)) is not None:
            scopes += [_to_prefix(prefix), _to_prefix(prefix, namespace)]
        return scopes

    def _prefix(self, channel: str, address: str) -> str | None:
        if channel not in self.channels:
            return None
        return max((each for each in self.prefixes if address.startswith(each)), key=len, default=None)


def is_used_up(caps: Mapping[str, int], spent: Mapping[str, int]) -> bool:
    """Return whether any cap leaves nothing of its hour."""
    return any(spent.get(scope, 0) >= cap for scope, cap in caps.items())


def hour_of(now: datetime) -> datetime:
    """Tell when the hour began."""
    return now.replace(minute=0, second=0, microsecond=0)


def _to_address(namespace: str, address: str) -> str:
    """Name what counts an address for a namespace; the address itself is nobody's to read there."""
    return "address " + hashlib.sha256(f"{namespace}\0{address}".encode()).hexdigest()


def _to_prefix(prefix: str, namespace: str | None = None) -> str:
    return f"prefix {prefix}" if namespace is None else f"prefix {prefix} of {namespace}"
