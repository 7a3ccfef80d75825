"""Caps on calls and texts per hour: to one address, and to all numbers with a common prefix.

They limit the damage of a repeating alert, and of premium-rate numbers. Addresses are counted, not recipient ids, which the
caller chooses; each namespace is counted separately.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

CRITICAL_TIMES = 3
"""Factor by which caps are higher for CRITICAL notifications."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The caps, each an hour by the clock (UTC), for each of the channels.

    Attributes:
        channels: The channels whose messages are counted.
        recipients: Channel to the number of messages that a namespace may send to one address.
        prefixes: Prefix to the number of messages to all addresses that begin with it; the longest matching prefix counts.
    """

    channels: frozenset[str] = frozenset()
    recipients: Mapping[str, int] = field(default_factory=dict)
    prefixes: Mapping[str, int] = field(default_factory=dict)

    def of(self, channel: str, namespace: str, address: str, *, is_urgent: bool) -> Mapping[str, int]:
        """Return the counts that must be below a cap before a message is sent, each with its cap.

        A CRITICAL message is counted within its own namespace, so that no other namespace can use up its caps.
        """
        times = CRITICAL_TIMES if is_urgent else 1
        caps = {}
        if channel in self.channels and channel in self.recipients:
            caps[_to_address(namespace, address)] = self.recipients[channel] * times
        if (prefix := self._prefix(channel, address)) is not None:
            caps[_to_prefix(prefix, namespace) if is_urgent else _to_prefix(prefix)] = self.prefixes[prefix] * times
        return caps

    def counted(self, channel: str, namespace: str, address: str) -> Collection[str]:
        """Return the counts that a message adds to."""
        scopes = [_to_address(namespace, address)] if channel in self.channels and channel in self.recipients else []
        if (prefix := self._prefix(channel, address)) is not None:
            scopes += [_to_prefix(prefix), _to_prefix(prefix, namespace)]
        return scopes

    def _prefix(self, channel: str, address: str) -> str | None:
        if channel not in self.channels:
            return None
        return max((each for each in self.prefixes if address.startswith(each)), key=len, default=None)


def is_used_up(caps: Mapping[str, int], spent: Mapping[str, int]) -> bool:
    """Return whether any cap is reached."""
    return any(spent.get(scope, 0) >= cap for scope, cap in caps.items())


def hour_of(now: datetime) -> datetime:
    """Return the beginning of an instant's hour."""
    return now.replace(minute=0, second=0, microsecond=0)


def _to_address(namespace: str, address: str) -> str:
    """Return the name of an address's count within a namespace; it hides the address."""
    return "address " + hashlib.sha256(f"{namespace}\0{address}".encode()).hexdigest()


def _to_prefix(prefix: str, namespace: str | None = None) -> str:
    return f"prefix {prefix}" if namespace is None else f"prefix {prefix} of {namespace}"
