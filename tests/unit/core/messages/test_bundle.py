"""What waited in quiet hours may leave together; what did not, or is CRITICAL, leaves alone."""

import pytest

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import DeferralReason, Kind, Result, Severity
from notifyflow.core.messages import bundle
from tests.facts import NOW, attempt, minutes, page

QUIET = DeferralReason.QUIET
CARRIED = attempt(1, Result.TEMPORARY_FAILURE, sent_with="a0")
ALONE = attempt(2, Result.TEMPORARY_FAILURE)


@pytest.mark.parametrize(
    ("row", "is_together"),
    [
        (page(deferred_by=QUIET), True),
        (page(deferred_by=QUIET, kind=Kind.STATUS_UPDATE, tier=None), False),
        (page(deferred_by=QUIET, severity=Severity.CRITICAL), False),
        (page(deferred_by=DeferralReason.LIMIT), False),
        (page(), False),
        (page(attempts=(CARRIED,)), True),
        (page(attempts=(CARRIED, ALONE)), False),
    ],
)
def test_pages_leave_together_if_quiet_hours_deferred_them_or_their_last_call_carried_others(
    row: NotificationFacts, *, is_together: bool
) -> None:
    assert bundle.waits_together(row) is is_together


def test_the_most_severe_and_oldest_comes_first() -> None:
    old, new = NOW, NOW + minutes(1)
    rows = [
        page("a", severity=Severity.WARNING, created_at=old),
        page("b", severity=Severity.ERROR, created_at=new),
        page("c", severity=Severity.ERROR, created_at=old),
    ]
    assert [row.channel for row in sorted(rows, key=bundle.order)] == ["c", "b", "a"]


def test_all_that_a_call_carried_is_due_again_at_one_time_and_calls_differ() -> None:
    assert bundle.jitter("a1") == bundle.jitter("a1") != bundle.jitter("a2")
    assert 0 <= bundle.jitter("a1") < 1


def test_a_message_carries_twenty_at_most() -> None:
    assert [len(range(45)[part]) for part in bundle.split(45)] == [20, 20, 5]


def test_an_attempt_is_carried_if_another_made_the_call() -> None:
    assert [attempt(1, sent_with=each).is_sent_with_another for each in (None, "a1", "a0")] == [False, False, True]
