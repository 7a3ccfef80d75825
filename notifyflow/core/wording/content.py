"""The content of messages, the same for all channels; each channel renders it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from notifyflow.core.incident_events import IncidentEvent
from notifyflow.core.model import DETAILS, Contact, Incident, Kind, Severity
from notifyflow.core.wording import text


@dataclass(frozen=True, slots=True, kw_only=True)
class Content(Incident):
    """The content of one message to one recipient: the incident with the severity of the round, and what the message adds.

    Attributes:
        body: More lines; may be empty.
        labels: Names and values; may be empty.
        kind: Page, status update or incident event.
        namespace: The incident's namespace; for other systems only.
        recipient_name: Who is spoken to.
        occurred: When it happened, in the recipient's zone ("Wed 25 Nov 2026, 03:14 CET").
        occurred_utc: The same in UTC; empty where the zone is UTC.
        delayed: How late the page leaves ("delayed 2 h 03 m"); empty when it is not.
        link: The signed link to acknowledge; None without a public URL or secret key.
        reply: What to reply in order to acknowledge, where that can be done on the channel itself; empty otherwise.
        notice: A mark to show in every message ("sandbox", a redirected delivery); empty in production.
        status_update: What became of the incident ("Ada acknowledged it", "resolved"); for status updates only.
        incident_event: What another system is told; None for people.
    """

    body: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: Kind
    recipient_name: str
    occurred: str
    occurred_utc: str = ""
    delayed: str = ""
    link: str | None = None
    reply: str = ""
    namespace: str = ""
    notice: str = ""
    status_update: str = ""
    incident_event: IncidentEvent | None = None

    @property
    def details(self) -> Mapping[str, str]:
        """The details of the incident that are set, each under the name that is shown."""
        return {name.capitalize(): value for name in DETAILS if (value := getattr(self, name))}


def clean(incident: Incident) -> Incident:
    """Replace characters that databases or channels cannot carry, so that an odd byte never stops an alert."""
    body, labels = incident.body, incident.labels
    given = {name: getattr(incident, name) for name in ("title", *DETAILS)}
    lines: dict[str, Any] = {name: text.one_line(line) for name, line in given.items() if line is not None}
    return replace(
        incident,
        **lines,
        body=None if body is None else text.paragraphs(body),
        severity=Severity(incident.severity),
        labels=None if labels is None else {text.one_line(name): text.one_line(value) for name, value in labels.items()},
    )


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
    """Return the content of a message to one recipient, in clean words that are ready to be set.

    An incident that does not say when it happened gets the start of the round. A page that leaves more than ``delayed_after``
    after it was due for the first time says so. Link and reply are for pages only, ``status_update`` for status updates only,
    ``incident_event`` and ``namespace`` for other systems only.
    """
    occurred_at = incident.occurred_at or round_started_at
    local = occurred_at.astimezone(ZoneInfo(contact.timezone))
    held_up = now - due_at
    is_page = kind is Kind.PAGE
    told = clean(incident)
    changed = {"key": text.one_line(told.key), "severity": severity, "body": told.body or "", "labels": told.labels or {}}
    return Content(
        **{each.name: getattr(told, each.name) for each in fields(told)} | changed,
        kind=kind,
        recipient_name=text.one_line(contact.name),
        occurred=text.instant(local),
        occurred_utc=text.instant(occurred_at.astimezone(UTC)) if local.utcoffset() else "",
        delayed=f"delayed {text.duration(held_up)}" if is_page and held_up > delayed_after else "",
        link=link if is_page else None,
        reply=reply if is_page else "",
        notice=text.one_line(notice),
        status_update="" if is_page else text.one_line(status_update),
        incident_event=incident_event,
        namespace=namespace,
    )
