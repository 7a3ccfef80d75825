"""The page behind the link of a bundle: what the message carried, as it is now, with a box for each that is open.

Its button acknowledges what is ticked, up to the severity that the page shows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from notifyflow.core import text
from notifyflow.core.delivery.model import Contact, IncidentState, Severity
from notifyflow.core.messages import looks
from notifyflow.core.messages.carried import CarriedPage
from notifyflow.core.messages.links import LinkClaim
from notifyflow.core.messages.looks import Look
from notifyflow.core.messages.quoting import quoted
from notifyflow.web.frame import pages
from notifyflow.web.frame.context import Context

CHOICE = "incident"
"""The name of the boxes; the value of each is an incident's id and the severity that the page shows."""

SEVERITIES: Mapping[str, Severity] = {str(each): each for each in Severity}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedIncident:
    """One incident on the page.

    Attributes:
        value: The value of its box.
        look: The sign and the colour of its severity.
        when: When it happened.
        became: What has become of it, if it is not open.
        rose: The severity that the message showed, if it has risen since.
        token: The last part of the link to it.
    """

    value: str
    is_open: bool
    severity: Severity
    look: Look
    title: str
    when: str
    became: str
    rose: str
    token: str


def chosen(values: Iterable[str]) -> dict[str, Severity]:
    """Return the ticked incidents, each with the severity that the page showed."""
    found = (value.partition(" ") for value in values)
    return {incident_id: SEVERITIES[shown] for incident_id, _, shown in found if shown in SEVERITIES}


def render(context: Context, claim: LinkClaim) -> str:
    """Render the page."""
    bundle, now = context.service.links.bundle(claim), context.service.now()
    in_order = sorted(bundle.pages, key=lambda page: (not page.is_open, page.severity.rank))
    lines = [_line(page, bundle.contact, bundle.tokens[page.incident_id], now) for page in in_order]
    count, left = len(lines), sum(line.is_open for line in lines)
    values = {
        "lines": lines,
        "heading": f"{count} incident{'' if count == 1 else 's'}, {left or 'none'} open",
        "is_open": left > 0,
        "name": bundle.contact.name,
        "tone": (lines[0].look if left else looks.ACKNOWLEDGED).name,
        "choice": CHOICE,
        "notice": context.notice,
    }
    return pages.render("bundle.html", values)


def _line(page: CarriedPage, contact: Contact, token: str, now: datetime) -> ListedIncident:
    return ListedIncident(
        value=f"{page.incident_id} {page.severity}",
        is_open=page.is_open,
        severity=page.severity,
        look=looks.SEVERITIES[page.severity],
        title=quoted(text.one_line(page.title)),
        when=text.instant(page.at.astimezone(ZoneInfo(contact.timezone)), now=now),
        became="" if page.is_open else _became(page),
        rose=str(page.shown) if page.has_risen else "",
        token=token,
    )


def _became(page: CarriedPage) -> str:
    match page.state:
        case IncidentState.RESOLVED:
            return "resolved"
        case IncidentState.ACKNOWLEDGED:
            return f"{page.acknowledged_by} acknowledged it" if page.acknowledged_by else "acknowledged"
        case IncidentState.OPEN:
            return "acknowledged by you; others are still paged"
