"""Words for a hand-over: who has the duty, since and until when, who had it, and the open incidents."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import tzinfo

from notifyflow.core import text
from notifyflow.core.delivery.model import Incident
from notifyflow.core.oncall.hand_overs import HandOver

MOST_INCIDENTS = 10
"""How many incidents a message names."""
_NAME_LIMIT = 60
_TITLE_LIMIT = 200

Name = Callable[[str], str]
"""Returns the name of a recipient's id."""


def title(told: HandOver, name: Name, zone: tzinfo) -> str:
    """Return the title: ``Hand-over of primary: Ben since Mon 7 Dec 09:00 CET``."""
    at = told.at.astimezone(zone)
    return f"Hand-over of {told.schedule}: {_people(told.after, name)} since {text.instant(at, now=told.at)}"


def body(told: HandOver, name: Name, zone: tzinfo, incidents: Sequence[Incident] = (), *, count: int = 0) -> str:
    """Return the body.

    Args:
        told: The hand-over.
        name: Returns the name of a recipient's id.
        zone: The reader's time zone.
        incidents: The newest of the open incidents that the schedule is paging about.
        count: How many there are.
    """
    until = "" if told.until is None else f", until {text.instant(told.until.astimezone(zone), now=told.at)}"
    lines = [f"On duty: {_people(told.after, name)}{until}", f"Before: {_people(told.before, name)}"]
    if incidents:
        lines += ["", f"Open incidents that @{told.schedule} is paging about:", *map(_line, incidents)]
    if count > len(incidents):
        lines.append(f"- and {count - len(incidents):,} more")
    return "\n".join(lines)


def links(incidents: Collection[Incident]) -> Mapping[str, str]:
    """Return the URLs of incidents as labels, which every message shows as links."""
    return {text.short_line(each.key, _NAME_LIMIT): each.url for each in incidents if each.url}


def _line(incident: Incident) -> str:
    key, title = text.short_line(incident.key, _NAME_LIMIT), text.short_line(incident.title, _TITLE_LIMIT)
    return f"- {incident.severity}: {title} ({key})"


def _people(ids: Sequence[str], name: Name) -> str:
    return text.listed([name(each) for each in ids]) or "nobody"
