from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import EscalationState
from notifyflow.core.insight.next_events import NextEvent, NextEventKind, NextEventPremise, Wait
from notifyflow.core.insight.next_words import sentence, sentences
from tests.facts import NOW, escalation, minutes, seconds

SMS = ("sms",)
LATER = minutes(17)


def said(what: NextEventKind, span: timedelta | None = LATER, **fields: object) -> str:
    at = None if span is None else NOW + span
    return sentence(NextEvent(what=what, at=at, **fields), now=NOW, brief=lambda at: f"{at:%H:%M}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (
            said(NextEventKind.TIER, seconds(21.2), channels=SMS, premise=NextEventPremise.NOTHING_ARRIVES),
            "text in 22 s unless an earlier page arrives",
        ),
        (
            said(NextEventKind.TIER, channels=("sms", "voice"), premise=NextEventPremise.NOBODY_ACKNOWLEDGES),
            f"text and call at {NOW + LATER:%H:%M} unless somebody acknowledges",
        ),
        (
            said(NextEventKind.ATTEMPT, seconds(0), channels=SMS, attempt=1, wait=Wait.TURN),
            "text now (attempt 1: due, waiting for a worker)",
        ),
        (
            said(NextEventKind.DOUBT, seconds(59), channels=SMS, provider="twilio", premise=NextEventPremise.NO_RESULT),
            "the text (twilio) counts as in doubt in 59 s unless its result is recorded",
        ),
        (
            said(NextEventKind.ATTEMPT, seconds(39.2), channels=SMS, attempt=1, wait=Wait.POSTPONED),
            "text waits up to 40 s for others (attempt 1)",
        ),
        (
            said(NextEventKind.ATTEMPT, minutes(2), channels=("voice",), attempt=2, wait=Wait.POSTPONED),
            "call waits up to 2 m for the next call (attempt 2)",
        ),
        (said(NextEventKind.ROUND, seconds(9), repetition=2), "round 2 in 9 s"),
        (said(NextEventKind.ROUND, seconds(0), repetition=2, late_since=NOW - seconds(42)), "round 2 now, 42 s late"),
        (said(NextEventKind.END, seconds(9), state=EscalationState.EXHAUSTED), "all ways have failed in 9 s"),
        (said(NextEventKind.RELEASE, None, premise=NextEventPremise.NO_RELEASE), "nothing until the quarantine ends"),
    ],
)
def test_every_event_is_said_with_its_time_and_condition(shown: str, text: str) -> None:
    assert shown == text


@pytest.mark.parametrize("wait", list(Wait))
@pytest.mark.parametrize("what", list(NextEventKind))
def test_every_kind_of_event_and_wait_has_words(what: NextEventKind, wait: Wait) -> None:
    words = said(what, seconds(5), channels=SMS, attempt=2, wait=wait, state=EscalationState.REACHED)
    assert words.split(" in 5 s ")[0]
    assert (" up to 5 s " in words) == (wait is Wait.POSTPONED)


def lines(
    state: EscalationState, *coming: NextEvent, told: str = "", is_too_late: bool = False, **fields: object
) -> tuple[str, ...]:
    facts = replace(escalation(), state=state, **fields)  # type: ignore[arg-type]
    return sentences(coming, facts, told=told, is_too_late=is_too_late, now=NOW, brief=lambda at: f"{at:%H:%M}")


def test_where_nothing_more_comes_it_says_why() -> None:
    assert lines(EscalationState.REACHED) == ("nothing more: a page was sent",)
    assert lines(EscalationState.EXHAUSTED, told="operations was told") == (
        "nothing more: all ways have failed, operations was told",
    )
    late = lines(EscalationState.EXHAUSTED, is_too_late=True)
    assert late == (
        "nothing more: what was sent has failed too late to wake anybody by itself: page again, or tell them in another way",
    )
    assert lines(EscalationState.ACKNOWLEDGED) == ()
    assert lines(EscalationState.REACHED, is_current=False) == ()
    assert lines(EscalationState.REACHED, NextEvent(what=NextEventKind.DECISION, at=NOW)) == ("the next decision now",)
