"""The text for operations, written for somebody who was woken up."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import DeferralReason, Kind, NotificationState, Result, Severity
from notifyflow.core.messages.failures import (
    AT_MOST,
    Failure,
    Notice,
    SilentPath,
    Uncounted,
    Way,
    body,
    headline,
    links,
    url,
    ways,
)
from tests.facts import NOW, attempt, minutes, page


def failure(**given: Any) -> Failure:
    facts: dict[str, Any] = {
        "at": NOW,
        "reason": "exhausted",
        "who": "Ada",
        "title": "orders db is down",
        "severity": Severity.CRITICAL,
        "key": "db-1",
        "escalation_id": "e",
        "incident_id": "i",
        "url": None,
    }
    return Failure(**(facts | given))


CAP = Notice(at=NOW, provider="twilio", reason="its cap is reached")
SLOW = Notice(at=NOW + minutes(1), provider="ses", reason="its callbacks are late")
ADA = 'Ada was not reached about "orders db is down" (CRITICAL)'
BEN = 'Ben has not answered about "mail is slow" (WARNING)'


@pytest.mark.parametrize(
    ("failures", "notices", "new", "expected"),
    [
        (1, 0, Uncounted(failures=1), ADA),
        (2, 0, Uncounted(failures=2), f"2 failures, the newest: {ADA}"),
        (1, 1, Uncounted(failures=1, notices=1), ADA),
        (0, 1, Uncounted(notices=1), "ses: its callbacks are late"),
        (1, 2, Uncounted(notices=2), "2 notices, the newest: ses: its callbacks are late"),
        (1, 1, Uncounted(), ADA),
        (0, 1, Uncounted(), "ses: its callbacks are late"),
    ],
)
def test_the_headline_says_what_is_new_failures_first(failures: int, notices: int, new: Uncounted, expected: str) -> None:
    assert headline([failure()] * failures, [SLOW, CAP][:notices], new) == expected


def test_a_failure_in_full_says_who_what_why_and_what_to_do() -> None:
    shown = failure(
        ways=[Way(channel="email", what="failed: there is no such mailbox"), Way(channel="sms", what="sent")],
        url="https://grafana.example/d",
        link="https://notify.example/a/1",
    )
    assert body([shown], [], ZoneInfo("Europe/Berlin")) == "\n".join(
        (
            f"{ADA}.",
            "Every channel failed:",
            "- mail: failed: there is no such mailbox",
            "- text: sent",
            "Since Wed 25 Nov 04:00 CET (03:00 UTC). Key: db-1",
        )
    )
    assert links([shown]) == {"Acknowledge db-1": "https://notify.example/a/1", "Look at db-1": "https://grafana.example/d"}
    assert (url([shown]), url([failure(url="u")]), url([failure()]), url([])) == (shown.link, "u", None, None)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("unreachable", "There is no address to send anything to."),
        ("critical_channels_failed", "Every critical channel failed:"),
        ("unproven", "Nothing shows that any page arrived, and nothing is left to try:"),
        ("unconfirmed", "Nothing shows that any page arrived:"),
        ("something new", "The outcome on each channel:"),
    ],
)
def test_each_reason_is_explained(reason: str, expected: str) -> None:
    assert body([failure(reason=reason)], []).splitlines()[1] == expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("flapping", '"orders db is down" comes and goes, and Ada has not acknowledged (CRITICAL)'),
        ("damaged", 'A damaged row is set aside, and may keep Ada from being paged about "orders db is down" (CRITICAL)'),
    ],
)
def test_what_is_no_failure_of_a_channel_has_a_sentence_of_its_own(reason: str, expected: str) -> None:
    assert headline([failure(reason=reason)], [], Uncounted(failures=1)) == expected


def test_only_a_failure_with_addresses_is_linked_and_each_once() -> None:
    one = failure(url="https://grafana.example/d")
    assert links([failure(key="db-2"), one, one]) == {"Look at db-1": "https://grafana.example/d"}


def test_three_are_described_in_full_and_the_others_in_a_line() -> None:
    ben = failure(reason="unanswered", who="Ben", title="mail is slow", severity=Severity.WARNING)
    shown = body([failure(key=f"db-{number}") for number in range(3)] + [ben], [SLOW, CAP])
    assert [f"Key: db-{number}" in shown for number in range(3)] == [True] * 3
    assert shown.splitlines()[-6:] == [
        "Earlier:",
        f"Wed 25 Nov 03:00 UTC: {BEN}",
        "",
        "Also:",
        "Wed 25 Nov 03:01 UTC: ses: its callbacks are late",
        "Wed 25 Nov 03:00 UTC: twilio: its cap is reached",
    ]
    assert body([], [CAP]) == "Wed 25 Nov 03:00 UTC: twilio: its cap is reached"


@given(st.text(), st.text())
def test_whatever_an_alert_is_called_the_headline_is_one_line_that_can_be_read(who: str, title: str) -> None:
    expected = headline([failure(who=who, title=title)], [], Uncounted(failures=1))
    assert len(expected) < 200
    assert expected.isprintable() or "\n" not in expected


def test_twenty_of_the_longest_fit_into_an_incident() -> None:
    long = failure(
        who="w" * 255,
        title="t" * 1000,
        key="k" * 255,
        url="https://" + "u" * 1990,
        link="https://" + "l" * 500,
        ways=[Way(channel="c" * 50, what="failed: " + "r" * 200)] * 6,
    )
    assert len(body([long] * AT_MOST, [Notice(at=NOW, provider="p" * 100, reason="r" * 300)] * AT_MOST)) < 65_536


def test_the_result_of_each_channel_is_described_in_plain_words() -> None:
    tried = [attempt(number, Result.TEMPORARY_FAILURE) for number in range(1, 6)]
    rows = [
        page("email", NotificationState.FAILED, reason="there is no such mailbox"),
        page("slack", NotificationState.FAILED, *tried, reason="the provider is busy"),
        page("teams", NotificationState.FAILED),
        page("push", NotificationState.SENT),
        page("sms", NotificationState.DELIVERED),
        page("voice", NotificationState.QUEUED, due_at=NOW),
        page("letter", NotificationState.QUEUED, due_at=NOW + minutes(1)),
        page("telex", NotificationState.QUEUED, attempt(1, Result.TEMPORARY_FAILURE, reason="the line is busy")),
        page("carrier", NotificationState.QUEUED, attempt(1, Result.TEMPORARY_FAILURE), deferred_by=DeferralReason.CIRCUIT),
        page("fax", NotificationState.SENDING, attempt(1)),
        page("pager", NotificationState.CANCELLED),
        page("chat", NotificationState.SENT, kind=Kind.STATUS_UPDATE),
    ]
    assert {way.channel: way.what for way in ways(rows, now=NOW)} == {
        "email": "failed: there is no such mailbox",
        "slack": "failed: the provider is busy (5 attempts)",
        "teams": "failed: the reason is unknown",
        "push": "sent",
        "sms": "delivered",
        "voice": "about to be sent",
        "letter": "waits for its turn",
        "telex": "failed for now: the line is busy; it is tried again",
        "carrier": "waits: the provider seems to be down",
        "fax": "being sent",
    }


def silent(provider: str = "twilio", *, rounds: int = 7, uncounted: int = 7) -> SilentPath:
    return SilentPath(provider=provider, rounds=rounds, uncounted=uncounted, at=NOW)


SILENT = "twilio: its callback path seems broken, and nothing shows that the pages of 7 rounds arrived"


def test_a_callback_path_is_one_failure_with_the_number_of_its_rounds() -> None:
    assert headline([], [], Uncounted(failures=7), [silent()]) == SILENT
    assert headline([failure()], [], Uncounted(failures=7), [silent()]) == SILENT
    assert headline([failure()], [], Uncounted(failures=8), [silent()]).startswith("2 failures, the newest: ")
    assert headline([failure()], [], Uncounted(failures=1), [silent(uncounted=0)]) == headline(
        [failure()], [], Uncounted(failures=1)
    )
    assert "the pages of a round arrived" in headline([], [], Uncounted(failures=1), [silent(rounds=1, uncounted=1)])


def test_a_callback_path_stands_before_the_failures() -> None:
    told = body([failure()], [], paths=[silent()])
    assert told.startswith(f"{SILENT}. The newest: ")
    assert told.endswith(body([failure()], []))
