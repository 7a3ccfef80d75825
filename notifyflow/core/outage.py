"""Times in which none of us looked at the clock: what waits for somebody else then waits on when we are back; pure.

While nobody sweeps, no receipt need have had a way in, and nobody could acknowledge. What is due after such a time is no sign
of anything, so that its deadline moves by as long as we stood still while it was waited for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

STANDSTILL = timedelta(seconds=60)
"""Sweeping that is not heard of for longer has stood still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One time in which nobody swept.

    Attributes:
        began_at: When somebody swept last.
        ended_at: When somebody swept again; while it lasts, now.
    """

    began_at: datetime
    ended_at: datetime

    @property
    def length(self) -> timedelta:
        """How long it was."""
        return self.ended_at - self.began_at


def outage_since(swept_at: datetime, now: datetime) -> Outage | None:
    """Tell whether sweeping has stood still since it was last heard of.

    Args:
        swept_at: When somebody swept last.
        now: The time.

    Returns:
        The outage, as far as it has come; None where there is none.
    """
    return Outage(began_at=swept_at, ended_at=now) if now - swept_at > STANDSTILL else None


def moved(deadline: datetime, outages: Iterable[Outage], *, since: datetime) -> datetime:
    """Move a deadline by the outages that were waited through.

    Args:
        deadline: As it was set.
        outages: Those that are known, in any order; they do not overlap.
        since: From when on it was waited.

    Returns:
        The deadline; it never lies within an outage, and is never sooner than it was set.
    """
    for outage in sorted(outages, key=lambda each: each.began_at):
        began_at = max(outage.began_at, since)
        if began_at < deadline:
            deadline += max(outage.ended_at - began_at, timedelta())
    return deadline
