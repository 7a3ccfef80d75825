"""What people are told when a duty changes hands."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from notifyflow.core.delivery.model import Incident, Severity
from notifyflow.core.oncall import hand_over_words
from notifyflow.core.oncall.hand_overs import HandOver

MONDAY = datetime(2026, 12, 7, 8, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
TOLD = HandOver(schedule="primary", at=MONDAY, before=("ada",), after=("ben",), until=MONDAY + timedelta(days=7))
INCIDENTS = tuple(
    Incident(key=f"db-{number}", title=f"orders-{number} is down", severity=Severity.CRITICAL) for number in range(2)
)


def body(told: HandOver, *incidents: Incident, count: int = 0) -> list[str]:
    return hand_over_words.body(told, str.title, BERLIN, incidents, count=count).split("\n")


def test_the_title_says_who_has_the_duty_and_since_when_in_the_readers_zone() -> None:
    title = "Hand-over of primary: Ben since Mon 7 Dec 09:00 CET"
    assert hand_over_words.title(TOLD, str.title, BERLIN) == title
    assert hand_over_words.title(TOLD, str.title, UTC) == title.replace("09:00 CET", "08:00 UTC")


def test_the_body_says_until_when_it_lasts_and_who_had_it() -> None:
    assert body(TOLD) == ["On duty: Ben, until Mon 14 Dec 09:00 CET", "Before: Ada"]
    pair = replace(TOLD, before=("ada", "cy"), until=None)
    assert body(pair) == ["On duty: Ben", "Before: Ada and Cy"]


@pytest.mark.parametrize(("before", "after"), [((), ("ben",)), (("ada",), ())])
def test_a_gap_is_the_duty_of_nobody(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    gap = replace(TOLD, before=before, after=after, until=None)
    assert body(gap) == [
        f"On duty: {after[0].title() if after else 'nobody'}",
        f"Before: {before[0].title() if before else 'nobody'}",
    ]


def test_the_open_incidents_are_named_and_the_others_counted() -> None:
    named = [
        "",
        "Open incidents that @primary is paging about:",
        "- CRITICAL: orders-0 is down (db-0)",
        "- CRITICAL: orders-1 is down (db-1)",
    ]
    assert body(TOLD, *INCIDENTS, count=2)[2:] == named
    assert body(TOLD, *INCIDENTS, count=1_234)[2:] == [*named, "- and 1,232 more"]


def test_a_long_key_and_title_are_cut() -> None:
    (*_, line) = body(TOLD, replace(INCIDENTS[0], key="k" * 100, title="word " * 100), count=1)
    assert len(line) < 280
    assert line.count("…") == 2


def test_an_incident_with_a_link_is_linked_by_its_key() -> None:
    linked = replace(INCIDENTS[0], url="https://example.com/db")
    assert hand_over_words.links([linked, INCIDENTS[1]]) == {"db-0": "https://example.com/db"}
