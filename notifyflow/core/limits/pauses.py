"""Pauses of sending; every pause has an end; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from notifyflow.core import text
from notifyflow.core.forms import unknown
from notifyflow.errors import Fault, InvalidPause

LONGEST = timedelta(hours=24)


class PauseScope(StrEnum):
    """What a pause covers."""

    ALL = "all"
    CHANNEL = "channel"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause of sending.

    Attributes:
        scope: What it covers.
        name: The channel or provider; empty for all.
        paused_at: When it began.
        paused_by: Who started it.
        is_for_critical: Whether it covers CRITICAL notifications.
    """

    scope: PauseScope
    name: str
    ends_at: datetime
    paused_at: datetime
    paused_by: str
    is_for_critical: bool = False

    def covers(self, channel: str, provider: str, *, is_urgent: bool) -> bool:
        """Return whether it covers a notification on this channel by this provider."""
        if is_urgent and not self.is_for_critical:
            return False
        return self.name == {PauseScope.ALL: "", PauseScope.CHANNEL: channel, PauseScope.PROVIDER: provider}[self.scope]


def covering(pauses: Iterable[Pause], *, is_urgent: bool) -> tuple[Pause, ...]:
    """Return the pauses of everything that stop all messages of an urgency."""
    return tuple(each for each in pauses if each.scope is PauseScope.ALL and (each.is_for_critical or not is_urgent))


def validate_pause(scope: PauseScope, name: str, span: timedelta, by: str, known: Iterable[str]) -> None:
    """Validate a requested pause of everything, or of one of the known channels or providers.

    Raises:
        InvalidPause: When the name is unknown, the length is not between 0 and 24 h, or ``by`` is empty.
    """
    faults = []
    if scope is not PauseScope.ALL and name not in (names := sorted(known)):
        faults.append(unknown(scope.value, scope.value, name, names))
    if not timedelta(0) < span <= LONGEST:
        faults.append(
            Fault("for", f"{text.duration(span)} is not a valid length for a pause", "Give a time of up to 24 h, such as 30m")
        )
    if not by.strip():
        faults.append(Fault("by", "it is empty", "Say who pauses it"))
    if faults:
        raise InvalidPause(tuple(faults))


def until(pauses: Iterable[Pause], channel: str, provider: str, *, is_urgent: bool, now: datetime) -> datetime | None:
    """Return until when a notification is paused; None if it is not."""
    ends = (each.ends_at for each in pauses if each.covers(channel, provider, is_urgent=is_urgent) and now < each.ends_at)
    return max(ends, default=None)
