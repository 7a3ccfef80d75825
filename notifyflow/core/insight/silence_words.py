"""Words for a silence: what it covers, its end, its author and why."""

from collections.abc import Callable, Iterable
from datetime import datetime

from notifyflow.core import text
from notifyflow.core.delivery.model import Severity
from notifyflow.core.insight.views import IncidentSilence
from notifyflow.core.limits.silences import Silence


def sentence(silence: Silence, *, now: datetime, at: Callable[[datetime], str]) -> str:
    """Return a silence: ``team=orders severity<=ERROR is silenced until 14:00 by Grace: upgrade``."""
    if silence.ended_at is not None:
        when = f"was silenced until {at(silence.ended_at)}"
        ended = f"; ended by {silence.ended_by}" if silence.ended_by else ""
    else:
        ended = ""
        when = f"is silenced until {at(silence.ends_at)}"
        if silence.begins_at > now:
            when = f"will be silenced from {at(silence.begins_at)} until {at(silence.ends_at)}"
        elif silence.ends_at <= now:
            when = f"was silenced until {at(silence.ends_at)}"
    return f"{silence.matchers} {when} by {silence.author}: {silence.reason}{ended}"


def damaged(silence_id: str, held: int) -> str:
    """Return what is known of a silence whose row cannot be read."""
    holds = f"still holds {text.quantity(held, 'incident')}" if held else "holds no incident"
    return f"The silence {silence_id} cannot be read: it covers nothing new, and {holds}"


def forecast(silence: Silence, *, at: Callable[[datetime], str]) -> str:
    """Return what a silence does to an alert whose labels match: ``silenced by Grace until 14:00: upgrade; until then …``."""
    highest = silence.matchers.severity
    about = {Severity.CRITICAL: "", Severity.INFO: " about INFO"}.get(highest, f" about {highest} or less")
    limits = (("key", silence.matchers.keys), ("namespace", sorted(filter(None, silence.namespaces or ()))))
    only = "".join(f", if its {name} is {' or '.join(names)}" for name, names in limits if names)
    words = f"silenced by {silence.author} until {at(silence.until)}: {silence.reason}"
    return f"{words}; until then nobody is paged{about}{only}"


def of_incident(silence: IncidentSilence, *, at: Callable[[datetime], str]) -> str:
    """Return who silenced an incident, until when and why: ``by Grace until 14:00: upgrade``."""
    return f"by {silence.author} until {at(silence.ended_at)}: {silence.reason}"


def lasting(silences: Iterable[IncidentSilence], now: datetime) -> IncidentSilence | None:
    """Return the silence that holds an incident now, of several the one that ends last; None if none does."""
    return max((each for each in silences if each.began_at <= now < each.ended_at), key=lambda each: each.ended_at, default=None)
