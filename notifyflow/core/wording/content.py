"""The content of messages, the same for all channels; each channel renders it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from notifyflow.core.incident_events import IncidentEvent
from notifyflow.core.model import Contact, Incident, Kind, Severity
from notifyflow.core.wording import text


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The content of one message to one recipient.

    Attributes:
        kind: Page, status update or incident event.
        severity: How bad it is.
        title: One line, free of control characters.
        body: More lines; may be empty.
        key: The incident's key.
        namespace: The incident's namespace; for other systems only.
        recipient_name: Who is spoken to.
        occurred: When it happened, in the recipient's zone ("Wed 25 Nov 2026, 03:14 CET").
        occurred_utc: The same in UTC; empty where the zone is UTC.
        delayed: How late the page leaves ("delayed 2 h 03 m"); empty when it is not.
        source: What reported it; may be empty.
        url: Where to look; None without.
        link: The signed link to acknowledge; None without a public URL or secret key.
        reply: What to reply in order to acknowledge, where that can be done on the channel itself; empty otherwise.
        labels: Free facts.
        notice: A mark to show in every message ("sandbox", a redirected delivery); empty in production.
        status_update: What became of the incident ("Ada acknowledged it", "resolved"); for status updates only.
        incident_event: What another system is told; None for people.
    """

    kind: Kind
    severity: Severity
    title: str
    key: str
    recipient_name: str
    occurred: str
    body: str = ""
    occurred_utc: str = ""
    delayed: str = ""
    source: str = ""
    url: str | None = None
    link: str | None = None
    reply: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    notice: str = ""
    status_update: str = ""
    incident_event: IncidentEvent | None = None


def compose(
    incident: Incident,
    contact: Contact,
    *,
    severity: Severity,
    now: datetime,
    round_started_at: datetime,
    due_at: datetime,
    delayed_after: timedelta,
    link: str | None,
    kind: Kind = Kind.PAGE,
    notice: str = "",
    status_update: str = "",
    reply: str = "",
    incident_event: IncidentEvent | None = None,
    namespace: str = "",
) -> Content:
    """Return the content of a message to one recipient.

    Args:
        incident: As it was admitted; where it does not say when it happened, the round's start is used.
        contact: Who is told.
        severity: The round's.
        now: When the message leaves.
        round_started_at: When the round started.
        due_at: When the message was due for the first time.
        delayed_after: From the policy; a page that leaves later than this after it was due for the first time says so.
        link: The signed link to acknowledge; for pages only.
        kind: Page, status update or incident event.
        notice: A mark to show in every message.
        status_update: What became of the incident; for status updates only.
        reply: What to reply in order to acknowledge; for pages only.
        incident_event: What another system is told; None for people.
        namespace: The incident's namespace; for other systems only.

    Returns:
        Clean words, ready to be set.
    """
    occurred_at = incident.occurred_at or round_started_at
    local = occurred_at.astimezone(ZoneInfo(contact.timezone))
    held_up = now - due_at
    is_page = kind is Kind.PAGE
    return Content(
        kind=kind,
        severity=severity,
        title=text.one_line(incident.title),
        body=text.paragraphs(incident.body or ""),
        key=text.one_line(incident.key),
        recipient_name=text.one_line(contact.name),
        occurred=text.instant(local),
        occurred_utc=text.instant(occurred_at.astimezone(UTC)) if local.utcoffset() else "",
        delayed=f"delayed {text.duration(held_up)}" if is_page and held_up > delayed_after else "",
        source=text.one_line(incident.source or ""),
        url=incident.url,
        link=link if is_page else None,
        reply=reply if is_page else "",
        labels={text.one_line(name): text.one_line(value) for name, value in (incident.labels or {}).items()},
        notice=text.one_line(notice),
        status_update="" if is_page else text.one_line(status_update),
        incident_event=incident_event,
        namespace=namespace,
    )
