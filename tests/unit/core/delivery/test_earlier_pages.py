"""How the pages of the firing before count: from when on as failed, and when they go out again."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from notifyflow.core.copies import replace
from notifyflow.core.delivery.earlier_pages import PAGE_AGAIN_AFTER, Earlier, failed_at, pages_again_at, receipt_wait
from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.core.delivery.model import NotificationState, Result, Severity
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.core.delivery.series_carried import Carried, EarlierPage
from tests.facts import NOW, attempt, escalation, page, seconds

BEFORE = NOW - seconds(100)
TEN_MINUTES = timedelta(minutes=10)
FAILED, SENT, CANCELLED = NotificationState.FAILED, NotificationState.SENT, NotificationState.CANCELLED
BUSY = attempt(result=Result.TEMPORARY_FAILURE, started_at=BEFORE, ended_at=BEFORE)
REFUSED = attempt(result=Result.PERMANENT_FAILURE, started_at=BEFORE)
TAKEN = attempt(result=Result.ACCEPTED, started_at=BEFORE, receipt_due_at=BEFORE + seconds(60))


def earlier(row: NotificationFacts, **fields: Any) -> Earlier:
    return Earlier(EarlierPage(notification_id=row.id, tier=1, channel=row.channel, **fields), row)


def opened(severity: Severity = Severity.CRITICAL, **fields: Any) -> EscalationFacts:
    return escalation(severity=severity, policy=INSISTENT, started_at=NOW, **fields)


def failing(before: Earlier, own: NotificationFacts | None = None, facts: EscalationFacts | None = None) -> datetime | None:
    return failed_at(before, own, facts or opened(), outages=(), intervals=())


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (earlier(page("sms", state=FAILED)), NOW),
        (earlier(page("sms", state=SENT, attempts=(TAKEN,)), waited=seconds(20)), NOW + seconds(40)),
        (earlier(page("sms", state=SENT, attempts=(TAKEN,)), waited=seconds(59)), NOW + seconds(60)),
        (earlier(page("email", state=SENT, attempts=(attempt(result=Result.ACCEPTED),))), None),
        (earlier(page("sms", state=CANCELLED, attempts=(BUSY,)), failures=1), NOW),
        (earlier(page("sms", state=CANCELLED, attempts=(replace(BUSY, is_our_fault=True),))), NOW),
        (earlier(page("sms", state=CANCELLED, attempts=(replace(BUSY, half="a1"),))), NOW),
        (earlier(page("sms", state=CANCELLED, attempts=()), waited=seconds(10)), NOW + seconds(20)),
        (earlier(page("sms", state=CANCELLED, attempts=()), waited=seconds(99)), NOW),
    ],
)
def test_an_earlier_page_counts_as_failed(before: Earlier, expected: datetime | None) -> None:
    facts = opened()
    if before.page.waited == seconds(20):
        facts = replace(facts, carried=Carried(clock=timedelta(), tier=1, pages=(before.page,)))
    assert failing(before, facts=facts) == expected


def test_below_critical_only_failures_and_long_deferrals_count() -> None:
    error = opened(Severity.ERROR)
    assert failing(earlier(page("sms", state=SENT, attempts=(TAKEN,))), facts=error) is None
    assert failing(earlier(page("sms", state=CANCELLED, attempts=(BUSY,)), failures=1), facts=error) == NOW + timedelta(
        minutes=10
    )
    assert failing(earlier(page("sms", state=CANCELLED, attempts=(BUSY,)), failures=4), facts=error) == NOW


def test_without_suspicion_only_what_failed_for_good_counts() -> None:
    sure = replace(opened(), policy=replace(INSISTENT, is_suspicion_on=False))
    assert failing(earlier(page("sms", state=CANCELLED, attempts=(BUSY,)), failures=1), facts=sure) is None
    assert failing(earlier(page("sms", state=FAILED)), facts=sure) == NOW


def test_attempts_of_the_open_incident_count_too_and_a_page_that_was_sent_heals() -> None:
    before = earlier(page("sms", state=CANCELLED, attempts=(BUSY,)))
    assert failing(before, own=page("sms", attempts=(BUSY,))) == NOW
    assert failing(before, own=page("sms", state=SENT)) is None


def test_a_receipt_is_awaited_for_what_is_left_and_at_least_a_little() -> None:
    def wait(channel: str, waited: float) -> timedelta:
        kept = EarlierPage(notification_id="n", tier=1, channel=channel, waited=seconds(waited))
        return receipt_wait(opened(carried=Carried(clock=timedelta(), tier=1, pages=(kept,))), channel)

    assert [wait("sms", waited) for waited in (0, 25, 55)] == [seconds(60), seconds(35), seconds(20)]
    assert [wait("email", waited) for waited in (0, 100, 290)] == [seconds(300), seconds(200), seconds(60)]
    assert receipt_wait(opened(), "voice") == seconds(60)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (earlier(page("sms", state=CANCELLED, attempts=())), NOW),
        (earlier(page("sms", state=CANCELLED, attempts=()), paged_at=BEFORE), BEFORE + PAGE_AGAIN_AFTER),
        (earlier(page("sms", state=SENT, attempts=(TAKEN,))), BEFORE + PAGE_AGAIN_AFTER),
        (
            earlier(page("sms", state=FAILED, attempts=(REFUSED,))),
            BEFORE + PAGE_AGAIN_AFTER,
        ),
        (earlier(page("sms", state=CANCELLED, attempts=(BUSY,))), NOW),
        (earlier(page("sms", state=CANCELLED, attempts=(BUSY,)), failures=3), BEFORE + timedelta(minutes=8)),
        (earlier(page("sms", state=CANCELLED, attempts=(BUSY,)), failures=4), BEFORE + PAGE_AGAIN_AFTER),
        (earlier(page("sms", state=CANCELLED, attempts=(replace(BUSY, half="a1"),))), NOW),
        (earlier(page("sms", state=CANCELLED, attempts=(replace(BUSY, half="a1"),)), failures=4), NOW),
    ],
)
def test_a_tier_that_had_opened_pages_again(before: Earlier, expected: datetime) -> None:
    assert pages_again_at(before, opened()) == expected
