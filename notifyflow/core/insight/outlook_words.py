"""Words for the next events, a line for each."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from notifyflow.core import text
from notifyflow.core.delivery.facts import EscalationFacts
from notifyflow.core.delivery.model import EscalationState
from notifyflow.core.insight.outlook import Coming, Premise, Wait, What
from notifyflow.core.messages.ways import messages

TOO_LATE = "what was sent has failed too late to wake anybody by itself: page again, or tell them in another way"
"""The words for a page that fails long after it left, such as by a bounce of the next day."""
_SOON = timedelta(minutes=1)
_WAITS: Mapping[Wait, str] = {
    Wait.TURN: "due, waiting for a worker",
    Wait.RETRY: "the wait before the next attempt",
    Wait.DOUBT: "in doubt; the provider may still report on it",
    Wait.LIMIT: "deferred by a limit",
    Wait.RETRY_AFTER: "deferred, since the provider asked to wait",
    Wait.CIRCUIT: "deferred by an open circuit",
    Wait.SUSPENSION: "deferred, since the provider refuses us",
    Wait.PAUSE: "paused",
    Wait.QUIET: "quiet hours",
}
_PREMISES: Mapping[Premise, str] = {
    Premise.NOBODY_ACKNOWLEDGES: "unless somebody acknowledges",
    Premise.NOTHING_ARRIVES: "unless an earlier page arrives",
    Premise.NO_RESULT: "unless its result is recorded",
    Premise.NO_RECEIPT: "unless it comes",
    Premise.NO_RELEASE: "",
}


def sentence(coming: Coming, *, now: datetime, brief: Callable[[datetime], str]) -> str:
    """Return a next event with its time and condition: ``text in 22 s unless an earlier page arrives``."""
    premise = "" if coming.premise is None else _PREMISES[coming.premise]
    wait = "" if coming.wait is None else f"(attempt {coming.attempt}: {_WAITS[coming.wait]})"
    return " ".join(part for part in (_subject(coming), _when(coming, now, brief), premise, wait) if part)


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
    coming: Sequence[Coming],
    escalation: EscalationFacts,
    *,
    told: str,
    is_too_late: bool,
    now: datetime,
    brief: Callable[[datetime], str],
) -> tuple[str, ...]:
    """Return the next events of an escalation, or why there are none; empty if a person has ended it.

    Args:
        coming: The events.
        escalation: The escalation.
        told: Whether operations was told about it, in words; may be empty.
        is_too_late: Whether its pages failed too late to open the next tier.
        now: When it was read.
        brief: Writes a time.
    """
    found = tuple(sentence(each, now=now, brief=brief) for each in coming)
    last = last_word(escalation, told=told, is_too_late=is_too_late)
    return found or ((last,) if last else ())


def _subject(coming: Coming) -> str:
    pages = messages(coming.channels)
    via = f" ({coming.provider})" if coming.provider else ""
    subjects = {
        What.ATTEMPT: pages,
        What.TIER: pages,
        What.DOUBT: f"the {pages}{via} counts as in doubt",
        What.OVERDUE: f"the receipt of the {pages}{via} is overdue",
        What.UNCONFIRMED: f"the receipt of the {pages}{via} is no longer waited for",
        What.EXPIRY: f"the {pages} expires",
        What.ROUND: f"round {coming.repetition}",
        What.OPERATIONS: "operations is told",
        What.END: "nothing more" if coming.state is EscalationState.REACHED else "all ways have failed",
        What.DECISION: "the next decision",
        What.RELEASE: "nothing until the quarantine ends",
    }
    return subjects[coming.what]


def _when(coming: Coming, now: datetime, brief: Callable[[datetime], str]) -> str:
    if coming.at is None:
        return ""
    if coming.late_since is not None:
        return f"now, {text.duration(now - coming.late_since)} late"
    if coming.at <= now:
        return "now"
    return f"in {-(-(coming.at - now) // timedelta(seconds=1))} s" if coming.at - now < _SOON else f"at {brief(coming.at)}"
