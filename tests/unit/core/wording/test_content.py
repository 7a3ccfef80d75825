from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from notifyflow.core.model import Contact, Incident, Kind, Severity
from notifyflow.core.wording.content import Content, compose
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
) -> Content:
    return compose(
        incident,
        contact,
        severity=Severity.CRITICAL,
        now=STARTED + planned_after + late_by,
        round_started_at=STARTED,
        due_at=STARTED + planned_after,
        delayed_after=timedelta(minutes=5),
        link="https://notify.example.com/a/token",
        kind=kind,
        status_update="Ada acknowledged it",
    )


def test_a_page_has_the_severity_of_its_round_and_both_times() -> None:
    content = composed()
    assert (content.severity, content.title, content.recipient_name) == (Severity.CRITICAL, "orders db is down", "Ada")
    assert (content.occurred, content.occurred_utc) == ("Wed 25 Nov 2026, 03:14 CET", "Wed 25 Nov 2026, 02:14 UTC")
    assert content.link == "https://notify.example.com/a/token"
    assert content.status_update == ""


@pytest.mark.parametrize("zone", ["UTC", "Africa/Abidjan"])
def test_the_time_in_utc_is_not_shown_twice(zone: str) -> None:
    assert composed(contact=replace(ADA, timezone=zone)).occurred_utc == ""


def test_without_a_time_of_its_own_an_incident_happened_when_the_round_started() -> None:
    assert composed(replace(INCIDENT, occurred_at=None)).occurred_utc == "Wed 25 Nov 2026, 02:14 UTC"


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
    assert composed(late_by=late_by, planned_after=timedelta(minutes=10)).delayed == expected, (
        "a tier that opens by plan is not late"
    )


def test_a_status_update_shows_the_state_and_has_no_button() -> None:
    content = composed(late_by=timedelta(hours=1), kind=Kind.STATUS_UPDATE)
    assert (content.status_update, content.link, content.delayed) == ("Ada acknowledged it", None, "")


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
