"""Every message on every channel, for each severity and occasion on which there is one, as HTML."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader

from notifyflow import Incident, Severity
from notifyflow.core.delivery.model import Contact, Kind
from notifyflow.core.messages import failures
from notifyflow.core.messages.bundle_words import bundle_of
from notifyflow.core.messages.content import Content, compose, untitled
from notifyflow.core.messages.segments import count
from tests.capabilities import CAPABILITIES
from tests.renderers import PUSH, SLACK, SMS, TEAMS, VOICE, a_message, mail_of

AT = datetime(2026, 11, 25, 2, 14, 3, tzinfo=UTC)
ADA = Contact(recipient_id="ada", name="Ada", addresses={}, timezone="Europe/Berlin")
LINK = "https://page.example.com/a/AZrX4kq1b7yT0mWc9Q2LfG"
INCIDENTS = (
    Incident(
        key="orders-db",
        title="orders db is down",
        body="No primary since 02:13 UTC. Orders are refused.",
        severity=Severity.CRITICAL,
        source="grafana",
        url="https://grafana.example.com/d/orders",
        labels={"runbook_url": "https://runbooks.example.com/orders-db", "team": "orders"},
    ),
    Incident(
        key="checkout-500",
        title="checkout answers 500 to one request in five",
        body="Began with release 418.",
        severity=Severity.ERROR,
        source="alertmanager",
        url="https://alerts.example.com/checkout",
        labels={"service": "checkout", "zone": "eu-1"},
    ),
    Incident(key="disk", title="the disk of orders-db-2 is 85 % full", severity=Severity.WARNING, labels={"host": "orders-db-2"}),
    Incident(key="backup", title="the backup took 4 hours", body="It usually takes one.", severity=Severity.INFO, source="cron"),
)
STORM = tuple(
    Incident(key=f"{name}-{number}", title=f"{name}-{number} {what}", severity=severity, source="alertmanager")
    for severity, what, names, count in (
        (Severity.CRITICAL, "is down: no connection to the primary since 02:13 UTC", ("orders-db", "users-db", "ledger-db"), 1),
        (Severity.ERROR, "answers 500 to one request in five", ("checkout", "search"), 17),
    )
    for name in names
    for number in range(1, count + 1)
)
CHANNELS = ("email", "slack", "teams", "push", "sms", "voice")
UPDATED = ("email", "slack", "teams")
_template = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True).get_template("message.html")


def messages() -> Iterator[tuple[str, str, str, str]]:
    """Yield channel, occasion, severity and HTML of each message; not all channels carry status updates."""
    for channel in CHANNELS:
        for occasion, content in _contents(reply="ACK 7" if channel == "sms" else "", names=CAPABILITIES[channel].names):
            if content.kind is Kind.PAGE or channel in UPDATED:
                yield channel, occasion, str(content.severity), _draw(channel, content)


def _contents(reply: str, names: int) -> Iterator[tuple[str, Content]]:
    page = {"link": LINK, "reply": reply, "others": ["Ben", "Cleo"]}
    update = {"kind": Kind.STATUS_UPDATE, "link": None}
    for incident in INCIDENTS:
        yield "page", _compose(incident, **page)
        yield "delayed page", _compose(incident, now=AT + timedelta(hours=2, minutes=3), **page)
        yield "status update, acknowledged", _compose(incident, status_update="Ben acknowledged it", **update)
        yield "status update, resolved", _compose(incident, status_update="resolved", is_resolved=True, **update)
    for severity in (Severity.CRITICAL, Severity.WARNING):
        yield "operations", _compose(_operations(severity), is_ours=True, **page)
    way = {"link": LINK, "reply": reply, "ops_contact": "ops@example.com"}
    yield "page that cannot be shown", untitled(ADA, key="0192f0c4a1b27c3d", severity=Severity.CRITICAL, at=AT, **way)
    changes = ({"status_update": "resolved", "is_resolved": True}, {"status_update": "Ben acknowledged it"})
    updates = [_compose(each, **update, **change) for each, change in zip(STORM, changes * len(STORM), strict=False)]
    yield "bundle of status updates", bundle_of(updates, named=names, oldest=updates[0])
    for occasion, incidents, is_after_quiet in (("bundle", STORM, False), ("bundle after quiet hours", INCIDENTS[1:], True)):
        contents = [_compose(each, link=f"{LINK[:-2]}{number:02}") for number, each in enumerate(incidents)]
        way = {"link": LINK, "reply": reply and "ALL 42"}
        yield occasion, bundle_of(contents, named=names, oldest=contents[0], is_after_quiet=is_after_quiet, **way)


def _compose(incident: Incident, *, now: datetime = AT, **more: object) -> Content:
    times = {"now": now, "round_started_at": AT, "due_at": AT, "delayed_after": timedelta(minutes=5)}
    return compose(incident, ADA, severity=incident.severity, ops_contact="ops@example.com", **times, **more)


def _operations(severity: Severity) -> Incident:
    """Return what operations is told: a recipient who was not reached, or a notice alone."""
    first, notice = INCIDENTS[0], failures.Notice(at=AT, provider="twilio", reason="it refuses our account (20003)")
    ways = (failures.Way(channel="email", what="failed: unknown address"), failures.Way(channel="sms", what="failed: landline"))
    failure = failures.Failure(
        escalation_id="e",
        incident_id="i",
        at=AT,
        reason="critical_channels_failed",
        who="Ben",
        title=first.title,
        severity=first.severity,
        key=first.key,
        url=first.url,
        ways=ways,
        link=LINK,
    )
    failed, notices = ([failure], []) if severity is Severity.CRITICAL else ([], [notice])
    return Incident(
        key="notifyflow-operations",
        title=failures.headline(failed, notices, failures.Uncounted(failures=len(failed), notices=len(notices))),
        body=failures.body(failed, notices, ZoneInfo(ADA.timezone)),
        severity=severity,
        source="notifyflow",
        url=failures.url(failed),
        labels=failures.links(failed),
    )


def _draw(channel: str, content: Content) -> str:
    match channel:
        case "email":
            return mail_of(content)[1]
        case "slack":
            values = {"slack": SLACK.payload(content)}
        case "teams":
            values = {"teams": TEAMS.card(content)}
        case "push":
            values = {"push": json.loads(json.loads(PUSH.payload(a_message(content)))["APNS"])["aps"]["alert"]}
        case "sms":
            values = {"sms": SMS.text(content), "segments": count(SMS.text(content))}
        case _:
            twiml = ElementTree.fromstring(VOICE.twiml(content, "0" * 32))
            values = {"said": [each.text for each in twiml.iter("Say")]}
    return _template.render(name=f"{channel}: {content.title}", **values)
