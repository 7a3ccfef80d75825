"""Words for the next events, a line for each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from notifyflow.core import text
from notifyflow.core.delivery.facts import EscalationFacts
from notifyflow.core.delivery.model import EscalationState
from notifyflow.core.insight import bundled_words
from notifyflow.core.insight.next_events import NextEvent, NextEventKind, NextEventPremise, Wait
from notifyflow.core.messages.ways import messages

TOO_LATE = "what was sent has failed too late to wake anybody by itself: page again, or tell them in another way"
"""The words for a page that fails long after it left, such as by a bounce of the next day."""
_SOON = timedelta(minutes=1)
_WAITS: Mapping[Wait, str] = {
    Wait.TURN: "due, waiting for a worker",
    Wait.RETRY: "the wait before the next attempt",
    Wait.DOUBT: "in doubt; the provider may still report on it",
    Wait.POSTPONED: "waiting for others",
    Wait.LIMIT: "deferred by a limit",
    Wait.RETRY_AFTER: "deferred, since the provider asked to wait",
    Wait.CIRCUIT: "deferred by an open circuit",
    Wait.SUSPENSION: "deferred, since the provider refuses us",
    Wait.PAUSE: "paused",
    Wait.QUIET: "quiet hours",
    Wait.SILENCE: "silenced",
}
_PREMISES: Mapping[NextEventPremise, str] = {
    NextEventPremise.NOBODY_ACKNOWLEDGES: "unless somebody acknowledges",
    NextEventPremise.NOTHING_ARRIVES: "unless an earlier page arrives",
    NextEventPremise.NO_RESULT: "unless its result is recorded",
    NextEventPremise.NO_RECEIPT: "unless it comes",
    NextEventPremise.NO_RELEASE: "",
}


def sentence(event: NextEvent, *, now: datetime, brief: Callable[[datetime], str]) -> str:
    """Return a next event with its time and condition: ``text in 22 s unless an earlier page arrives``."""
    if event.wait is Wait.POSTPONED and event.at is not None:
        return f"{_subject(event)} {bundled_words.waits(event.channels[0], event.at - now)} (attempt {event.attempt})"
    premise = "" if event.premise is None else _PREMISES[event.premise]
    wait = "" if event.wait is None else f"(attempt {event.attempt}: {_WAITS[event.wait]})"
    return " ".join(part for part in (_subject(event), _when(event, now, brief), premise, wait) if part)


def last_word(escalation: EscalationFacts, *, told: str, is_too_late: bool) -> str:
    """Return why the current escalation has no more events, if it has settled by itself; else an empty text."""
    if not escalation.is_current:
        return ""
    match escalation.state:
        case EscalationState.REACHED:
            how = "a page was sent"
        case EscalationState.EXHAUSTED:
            how = TOO_LATE if is_too_late else "all ways have failed"
        case _:
            return ""
    return ", ".join(filter(None, (f"nothing more: {how}", told)))


def sentences(
    events: Sequence[NextEvent],
    escalation: EscalationFacts,
    *,
    told: str,
    is_too_late: bool,
    now: datetime,
    brief: Callable[[datetime], str],
) -> tuple[str, ...]:
    """Return the next events of an escalation, or why there are none; empty if a person has ended it.

    Args:
        events: The events.
        escalation: The escalation.
        told: Whether operations was told about it, in words; may be empty.
        is_too_late: Whether its pages failed too late to open the next tier.
        now: When it was read.
        brief: Writes a time.
    """
    found = tuple(sentence(each, now=now, brief=brief) for each in events)
    last = last_word(escalation, told=told, is_too_late=is_too_late)
    return found or ((last,) if last else ())


def _subject(event: NextEvent) -> str:
    pages = messages(event.channels)
    via = f" ({event.provider})" if event.provider else ""
    subjects = {
        NextEventKind.ATTEMPT: pages,
        NextEventKind.TIER: pages,
        NextEventKind.DOUBT: f"the {pages}{via} counts as in doubt",
        NextEventKind.OVERDUE: f"the receipt of the {pages}{via} is overdue",
        NextEventKind.UNCONFIRMED: f"the receipt of the {pages}{via} is no longer waited for",
        NextEventKind.EXPIRY: f"the {pages} expires",
        NextEventKind.ROUND: f"round {event.repetition}",
        NextEventKind.OPERATIONS: "operations is told",
        NextEventKind.END: "nothing more" if event.state is EscalationState.REACHED else "all ways have failed",
        NextEventKind.DECISION: "the next decision",
        NextEventKind.RELEASE: "nothing until the quarantine ends",
    }
    return subjects[event.what]


def _when(event: NextEvent, now: datetime, brief: Callable[[datetime], str]) -> str:
    if event.at is None:
        return ""
    if event.late_since is not None:
        return f"now, {text.duration(now - event.late_since)} late"
    if event.at <= now:
        return "now"
    return f"in {-(-(event.at - now) // timedelta(seconds=1))} s" if event.at - now < _SOON else f"at {brief(event.at)}"
