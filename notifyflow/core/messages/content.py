"""The content of messages, the same for all channels; each channel renders it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.incident_events import IncidentEvent
from notifyflow.core.delivery.intervals import counted
from notifyflow.core.delivery.model import DETAILS, Contact, Incident, Kind, Severity
from notifyflow.core.limits import quiet
from notifyflow.core.messages import looks
from notifyflow.core.messages.addresses import is_web_address
from notifyflow.core.messages.looks import Look
from notifyflow.core.messages.quoting import quoted, quoted_lines

_OPERATIONS = "your operations team"
_NOTICE_LIMIT = 80
_WORST_KEPT, _NEXT_KEPT = 30, 12
_GIVEN = tuple(Incident.__dataclass_fields__)

UNTITLED = "its title cannot be shown"
"""The title of a CRITICAL page whose content cannot be read or rendered; it leaves all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content(Incident):
    """The content of one message to one recipient: the incident with the severity of the round, and the message's own fields.

    Attributes:
        body: More lines; may be empty.
        labels: Names and values; may be empty.
        kind: Page, status update or incident event.
        namespace: The incident's namespace; for other systems only.
        occurred: When it happened, in the recipient's zone ("Wed 25 Nov 03:14 CET").
        occurred_utc: The same in UTC ("02:14 UTC"); empty where the zone is UTC.
        delayed: How late the page leaves ("delayed 2 h 03 m", or "delayed 36 m by a silence"); empty when it is not.
        link: The signed link to acknowledge; None without a public URL or secret key.
        reply: The reply that acknowledges, if the channel itself can receive it; else empty.
        notice: A mark to show in every message ("sandbox", a redirected delivery), up to 80 characters; empty in production.
        status_update: The new state of the incident ("Ada acknowledged it", "resolved"); for status updates only.
        is_resolved: Whether the status update says that it is resolved.
        also_paged: The other people paged ("Ben and Cleo"); empty if there are none.
        acknowledged: The acknowledgement ("Ada, Wed 25 Nov 03:20 CET"); empty before.
        ops_contact: The contact for people who want no more such messages.
        incident_event: The event for another system; None for people.
        bundled: In a bundle, which is about several incidents, the content for each that it names, the worst first; its other
            fields are about all of them. Empty in any other message.
        counts: In a bundle, how many incidents of each severity it is about, CRITICAL first.
        unnamed: In a bundle, how many of its incidents it does not name.
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
    is_resolved: bool = False
    also_paged: str = ""
    acknowledged: str = ""
    ops_contact: str = _OPERATIONS
    incident_event: IncidentEvent | None = None
    bundled: tuple["Content", ...] = ()
    counts: Mapping[Severity, int] = field(default_factory=dict, hash=False)
    unnamed: int = 0

    @property
    def counted(self) -> str:
        """The counts of a bundle as text (``3 CRITICAL, 34 ERROR``)."""
        return ", ".join(f"{count} {severity}" for severity, count in self.counts.items())

    @property
    def short_titles(self) -> tuple[str, ...]:
        """The beginnings of the titles that a bundle names, for channels with little room; most is left of the first."""
        return tuple(text.beginning(each.title, _NEXT_KEPT if place else _WORST_KEPT) for place, each in enumerate(self.bundled))

    @property
    def action(self) -> str:
        """The words on the button that opens the link."""
        return f"Acknowledge all {sum(self.counts.values())}" if self.bundled else "Acknowledge"

    @property
    def details(self) -> Mapping[str, str]:
        """The details of the incident that are set, each under the name that is shown."""
        return {name.capitalize(): value for name in DETAILS if (value := getattr(self, name))}

    @property
    def links(self) -> Mapping[str, str]:
        """The labels whose value is a web address."""
        return {name: value for name, value in self.labels.items() if is_web_address(value)}

    @property
    def other_labels(self) -> Mapping[str, str]:
        """The other labels."""
        return {name: value for name, value in self.labels.items() if not is_web_address(value)}

    @property
    def look(self) -> Look:
        """The sign and the colour of the severity, or of a status update."""
        if not self.status_update:
            return looks.SEVERITIES[self.severity]
        return looks.RESOLVED if self.is_resolved else looks.ACKNOWLEDGED

    @property
    def web_addresses(self) -> frozenset[str]:
        """The addresses that are links in every message; a URL within other text is not."""
        single = (self.url, self.link, self.ops_contact, *(each.link for each in self.bundled))
        return frozenset((*(each for each in single if each and is_web_address(each)), *self.links.values()))


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


def _defused(incident: Incident) -> Incident:
    """Return a clean incident whose title, body and labels do not read as an instruction of ours."""
    labels = {quoted(name): value for name, value in (incident.labels or {}).items()}
    return replace(incident, title=quoted(incident.title), body=quoted_lines(incident.body or ""), labels=labels)


def _delayed(span: timedelta, *, is_silenced: bool) -> str:
    return f"delayed {text.duration(span)}{' by a silence' if is_silenced else ''}"


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
    is_resolved: bool = False,
    others: Sequence[str] = (),
    acknowledged_by: str = "",
    acknowledged_at: datetime | None = None,
    ops_contact: str = "",
    reply: str = "",
    incident_event: IncidentEvent | None = None,
    namespace: str = "",
    is_ours: bool = False,
    is_silenced: bool = False,
) -> Content:
    """Return the content of a message to one recipient, in clean text.

    Words for people that resemble ours on how to answer are put in quotes, unless the incident ``is_ours``: notifyflow wrote it.

    An incident without ``occurred_at`` gets the start of the round. A page that leaves more than ``delayed_after`` after it was
    due for the first time says so, and whether a silence held it (``is_silenced``); quiet hours do not count. Link and reply are
    for pages only, ``status_update`` for status updates only, ``incident_event`` and ``namespace`` for other systems only.
    ``others`` are the names of the other recipients.
    """
    occurred_at = incident.occurred_at or round_started_at
    zone = ZoneInfo(contact.timezone)
    local = occurred_at.astimezone(zone)
    is_page = kind is Kind.PAGE
    held_up = now - due_at
    if is_page and held_up > delayed_after:  # quiet hours can only shorten it
        held_up = counted(due_at, now, quiet.paused_intervals(contact, severity, since=due_at, until=now))
    told = clean(incident) if is_ours or incident_event else _defused(clean(incident))
    acknowledger = text.one_line(acknowledged_by) or "somebody"
    changed = {"key": text.one_line(told.key), "severity": severity, "body": told.body or "", "labels": told.labels or {}}
    return Content(
        **{name: getattr(told, name) for name in _GIVEN} | changed,
        kind=kind,
        recipient_name=text.one_line(contact.name),
        occurred=text.instant(local, now=now),
        occurred_utc=text.in_utc(local),
        delayed=_delayed(held_up, is_silenced=is_silenced) if is_page and held_up > delayed_after else "",
        link=link if is_page else None,
        reply=reply if is_page else "",
        notice=text.short_line(notice, _NOTICE_LIMIT),
        status_update="" if is_page else text.one_line(status_update),
        is_resolved=is_resolved,
        also_paged=text.listed(others),
        acknowledged=f"{acknowledger}, {text.instant(acknowledged_at.astimezone(zone), now=now)}" if acknowledged_at else "",
        ops_contact=text.one_line(ops_contact) or _OPERATIONS,
        incident_event=incident_event,
        namespace=namespace,
    )


def untitled(
    contact: Contact,
    *,
    key: str,
    severity: Severity,
    at: datetime,
    link: str | None,
    reply: str = "",
    notice: str = "",
    ops_contact: str = "",
) -> Content:
    """Return the content of a page whose incident cannot be shown: its severity, its key or id, and how to acknowledge it."""
    return Content(
        key=key,
        title=UNTITLED,
        severity=severity,
        kind=Kind.PAGE,
        recipient_name=text.one_line(contact.name),
        occurred=text.instant(at, now=at),
        link=link,
        reply=reply,
        notice=text.short_line(notice, _NOTICE_LIMIT),
        ops_contact=text.one_line(ops_contact) or _OPERATIONS,
    )
