"""A bundle has the most severe and oldest page first, and its retries leave together."""

from notifyflow.core.copies import replace
from notifyflow.core.delivery.attempts import BROKE_OFF
from notifyflow.core.delivery.model import AttemptState, Kind, Result, Severity
from notifyflow.core.messages import bundle
from tests.facts import NOW, attempt, minutes, page

CARRIED = attempt(1, Result.TEMPORARY_FAILURE, sent_with="a0")
ALONE = attempt(2, Result.TEMPORARY_FAILURE)


def test_a_retry_leaves_with_those_of_its_last_call() -> None:
    rows = [page(), page(attempts=(CARRIED,)), page(attempts=(CARRIED, ALONE))]
    assert [bundle.company(row) for row in rows] == ["", "a0", ""]


def test_what_a_channel_broke_off_on_leaves_alone() -> None:
    assert bundle.company(page(attempts=(replace(CARRIED, code=BROKE_OFF, is_doubted=True),))) == ""


def test_what_was_refused_together_or_breaks_a_channel_stays_apart() -> None:
    halved = attempt(1, sent_with="a0", half="a9", reason="refused", state=AttemptState.NOT_SENT)
    broken = replace(CARRIED, code=BROKE_OFF, is_doubted=True)
    rows = [page(), page(attempts=(CARRIED,)), page(attempts=(halved,)), page(attempts=(replace(halved, half=None),))]
    assert [bundle.apart(row) for row in (*rows, page(attempts=(broken,)))] == ["", "", "a9", "", page().id]


def test_the_first_half_has_the_odd_one() -> None:
    assert bundle.halves("abcde") == ("abc", "de")


def test_the_most_severe_and_oldest_comes_first() -> None:
    old, new = NOW, NOW + minutes(1)
    rows = [
        (Severity.WARNING, page("a", created_at=old)),
        (Severity.ERROR, page("b", created_at=new)),
        (Severity.ERROR, page("c", created_at=old, kind=Kind.STATUS_UPDATE, severity=Severity.INFO)),
    ]
    assert [row.channel for _, row in sorted(rows, key=lambda each: bundle.order(*each))] == ["c", "b", "a"]


def test_all_that_a_call_carried_is_due_again_at_one_time_and_calls_differ() -> None:
    assert bundle.jitter("a1") == bundle.jitter("a1") != bundle.jitter("a2")
    assert 0 <= bundle.jitter("a1") < 1


def test_an_attempt_is_carried_if_another_made_the_call() -> None:
    assert [attempt(1, sent_with=each).is_sent_with_another for each in (None, "a1", "a0")] == [False, False, True]
