"""The kill switch as values: what is paused, until when, by whom; every pause ends by itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from notifyflow.core.wording import text
from notifyflow.errors import Fault, InvalidPause

LONGEST = timedelta(hours=24)


class Scope(StrEnum):
    """What a pause stops."""

    ALL = "all"
    CHANNEL = "channel"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Somebody has stopped sending for a while.

    Attributes:
        scope: What it stops.
        name: Which channel or provider; empty for all.
        ends_at: When it ends by itself.
        paused_at: When it began.
        paused_by: Who did it.
        is_for_critical: Whether CRITICAL is stopped, too.
    """

    scope: Scope
    name: str
    ends_at: datetime
    paused_at: datetime
    paused_by: str
    is_for_critical: bool = False

    def covers(self, channel: str, provider: str, *, is_urgent: bool) -> bool:
        """Tell whether it stops a notification that this provider would carry over this channel."""
        if is_urgent and not self.is_for_critical:
            return False
        return self.name == {Scope.ALL: "", Scope.CHANNEL: channel, Scope.PROVIDER: provider}[self.scope]


def validate_pause(scope: Scope, name: str, span: timedelta, by: str, known: Iterable[str]) -> None:
    """Validate a pause that somebody asks for.

    Args:
        scope: What.
        name: Which channel or provider; empty for all.
        span: For how long.
        by: Who.
        known: The channels, or the providers, that there are.

    Raises:
        InvalidPause: When there is no such thing, it would last for no time or too long, or nobody answers for it.
    """
    faults = []
    if scope is not Scope.ALL and name not in (names := sorted(known)):
        faults.append(Fault(scope.value, f"{name!r} is not known", f"Choose one of {', '.join(names)}"))
    if not timedelta(0) < span <= LONGEST:
        faults.append(
            Fault("for", f"{text.duration(span)} is not a valid length for a pause", "Give a time of up to 24 h, such as 30m")
        )
    if not by.strip():
        faults.append(Fault("by", "it is empty", "Say who pauses it"))
    if faults:
        raise InvalidPause(tuple(faults))


def until(pauses: Iterable[Pause], channel: str, provider: str, *, is_urgent: bool, now: datetime) -> datetime | None:
    """Tell until when a notification is stopped; None where it is not."""
    ends = (each.ends_at for each in pauses if each.covers(channel, provider, is_urgent=is_urgent) and now < each.ends_at)
    return max(ends, default=None)
