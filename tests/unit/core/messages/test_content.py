from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given

from notifyflow.core.delivery.model import Contact, Incident, Kind, Severity
from notifyflow.core.messages.content import Content, compose, untitled
from tests import strategies

STARTED = datetime(2026, 11, 25, 2, 14, tzinfo=UTC)
INCIDENT = Incident(key="db-1", title="orders db is down", severity=Severity.ERROR, occurred_at=STARTED)
ADA = Contact(recipient_id="ada", name="Ada", addresses={}, timezone="Europe/Berlin")


def composed(
    incident: Incident = INCIDENT,
    contact: Contact = ADA,
    *,
    late_by: timedelta = timedelta(0),
    planned_after: timedelta = timedelta(0),
    kind: Kind = Kind.PAGE,
    severity: Severity = Severity.CRITICAL,
    **given: Any,
) -> Content:
    return compose(
        incident,
        contact,
        severity=severity,
        now=STARTED + planned_after + late_by,
        round_started_at=STARTED,
        due_at=STARTED + planned_after,
        delayed_after=timedelta(minutes=5),
        link="https://notify.example.com/a/token",
        kind=kind,
        status_update="Ada acknowledged it",
        **given,
    )


def test_a_page_has_the_severity_of_its_round_and_both_times() -> None:
    content = composed()
    assert (content.severity, content.title, content.recipient_name) == (Severity.CRITICAL, "orders db is down", "Ada")
    assert (content.occurred, content.occurred_utc) == ("Wed 25 Nov 03:14 CET", "02:14 UTC")
    assert content.link == "https://notify.example.com/a/token"
    assert content.status_update == ""


@pytest.mark.parametrize("zone", ["UTC", "Africa/Abidjan"])
def test_the_time_in_utc_is_not_shown_twice(zone: str) -> None:
    assert composed(contact=replace(ADA, timezone=zone)).occurred_utc == ""


def test_without_a_time_of_its_own_an_incident_happened_when_the_round_started() -> None:
    assert composed(replace(INCIDENT, occurred_at=None)).occurred_utc == "02:14 UTC"


@pytest.mark.parametrize(
    ("late_by", "expected"),
    [
        (timedelta(minutes=5), ""),
        (timedelta(minutes=5, seconds=1), "delayed 5 m"),
        (timedelta(hours=2, minutes=3), "delayed 2 h 03 m"),
    ],
)
def test_a_page_that_leaves_late_says_so(late_by: timedelta, expected: str) -> None:
    assert composed(late_by=late_by).delayed == expected
    assert composed(late_by=late_by, is_silenced=True).delayed == (expected and f"{expected} by a silence")
    assert composed(late_by=late_by, planned_after=timedelta(minutes=10)).delayed == expected, (
        "a tier that opens by plan is not late"
    )


def test_a_page_that_waited_for_the_end_of_quiet_hours_is_late_only_by_the_rest() -> None:
    quiet = replace(ADA, quiet="01:00-03:30")
    assert composed(contact=quiet, severity=Severity.ERROR, late_by=timedelta(minutes=20)).delayed == ""
    assert composed(contact=quiet, severity=Severity.ERROR, late_by=timedelta(minutes=30)).delayed == "delayed 14 m"
    assert composed(contact=quiet, late_by=timedelta(minutes=30)).delayed == "delayed 30 m"


def test_a_status_update_shows_the_state_and_has_no_button() -> None:
    content = composed(late_by=timedelta(hours=1), kind=Kind.STATUS_UPDATE)
    assert (content.status_update, content.link, content.delayed) == ("Ada acknowledged it", None, "")


def test_a_message_says_who_else_is_paged_and_who_has_acknowledged_in_the_readers_time() -> None:
    content = composed(others=["Ben", "Cleo"], acknowledged_by="Ben", acknowledged_at=STARTED + timedelta(minutes=6))
    assert content.also_paged == "Ben and Cleo"
    assert content.acknowledged == "Ben, Wed 25 Nov 03:20 CET"
    assert (composed().also_paged, composed().acknowledged) == ("", "")


@pytest.mark.parametrize(("given", "asked"), [("", "your operations team"), ("ops@example.com", "ops@example.com")])
def test_a_message_says_whom_to_ask_in_order_to_get_no_more(given: str, asked: str) -> None:
    assert composed(ops_contact=given).ops_contact == asked


def test_what_became_of_an_incident_has_a_look_of_its_own() -> None:
    looks = [composed().look, composed(kind=Kind.STATUS_UPDATE).look, composed(kind=Kind.STATUS_UPDATE, is_resolved=True).look]
    assert [look.name for look in looks] == ["critical", "acknowledged", "resolved"]


def test_labels_that_are_web_addresses_are_links_and_text_with_a_url_in_it_is_not() -> None:
    labels = {
        "runbook_url": "https://example.com/r?a=1&b",
        "note": "see https://example.com",
        "js": "javascript:alert(1)",
        "a": "http://",
    }
    content = composed(replace(INCIDENT, labels=labels, url="https://example.com/d"))
    assert content.links == {"runbook_url": "https://example.com/r?a=1&b"}
    assert list(content.other_labels) == ["note", "js", "a"]
    assert content.web_addresses == {content.url, content.link, "https://example.com/r?a=1&b"}


@given(strategies.contents)
def test_any_content_can_be_rendered(content: Content) -> None:
    lines = (
        content.title,
        content.key,
        content.source,
        content.notice,
        content.status_update,
        *content.labels,
        *content.labels.values(),
    )
    assert all(len(line.splitlines()) <= 1 and line == line.strip() for line in lines)
    assert content.title
    assert content.recipient_name
    assert "\0" not in content.body


def test_a_page_that_cannot_be_shown_says_so_with_its_severity_and_the_ways_to_acknowledge_it() -> None:
    ada = Contact(recipient_id="ada", name="Ada", addresses={}, timezone="Nowhere/At all")
    content = untitled(
        ada, key="i1", severity=Severity.CRITICAL, at=datetime(2026, 11, 25, 3, 0, tzinfo=UTC), link="https://a", reply="7"
    )
    assert (content.title, content.severity, content.key) == ("its title cannot be shown", Severity.CRITICAL, "i1")
    assert (content.occurred, content.link, content.reply) == ("Wed 25 Nov 03:00 UTC", "https://a", "7")
    assert content.ops_contact == "your operations team"
