"""Words for the state of a chain's steps and for the next one, with the names of their people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from notifyflow.core.delivery.attempts import was_accepted
from notifyflow.core.delivery.chain import ChainPlace
from notifyflow.core.delivery.facts import StepFacts
from notifyflow.core.delivery.model import IN_PROGRESS, IncidentState, StepState
from notifyflow.core.insight.chain_steps import Because, NextStep, current, pages
from notifyflow.core.insight.next_events import NextEvents
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.messages.looks import CHAIN_OVER, STEPS, StateLook
from notifyflow.core.messages.ways import messages
from notifyflow.core.text import duration, listed, span

SCHEDULE = "@"
_MINUTE = timedelta(minutes=1)
SKIPPED: Mapping[str, str] = {
    "paged_already": "its people are paged already",
    "nobody_on_duty": "nobody is on duty",
    "chain_over": "nobody has acknowledged",
}
"""Why a step paged nobody."""

Name = Callable[[str], str]
"""Returns the name of a recipient's id; any other text as it is."""


def names(status: IncidentStatus, next_events: NextEvents) -> Name:
    """Return the function that names recipients, including those that no step has paged yet."""
    known = {each.contact.recipient_id: each.contact.name for each in status.escalations}
    ahead = {**next_events.names, **(next_events.step.people if next_events.step else {}), **known}
    return lambda who: ahead.get(who, who)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLine:
    """One step of a chain as pages show it.

    Attributes:
        who: The people that it pages.
        status_text: Its state, or when it starts.
        sooner: What would start it at once, after a comma; empty unless it is the next one.
    """

    step: StepFacts
    look: StateLook
    who: str
    status_text: str
    sooner: str
    is_next: bool

    @property
    def is_ahead(self) -> bool:
        """Whether it may still start."""
        return self.step.state is StepState.WAITING


def lines(
    status: IncidentStatus,
    steps: Sequence[StepFacts],
    found: NextStep | None,
    *,
    name: Name,
    now: datetime,
    brief: Callable[[datetime], str],
) -> tuple[StepLine, ...]:
    """Return the steps of a run in order, with the time of the next one."""
    shown = {} if found is None else {found.step.id: found}
    return tuple(
        StepLine(
            step=step,
            look=CHAIN_OVER if step.is_end and step.state is StepState.SKIPPED else STEPS[step.state],
            who=_who_next(shown[step.id], name=name) if step.id in shown else who(step, name=name),
            status_text=when(shown[step.id], now=now, brief=brief)
            if step.id in shown
            else status_text(status, step, brief=brief),
            sooner=_sooner(shown[step.id], name=name, now=now, brief=brief) if step.id in shown else "",
            is_next=step.id in shown,
        )
        for step in steps
    )


def who(step: StepFacts, *, name: Name) -> str:
    """Return the people of a step: ``Ben (@secondary)`` once it has started, and ``@secondary and Cy`` before."""
    if step.is_end:
        return "operations is told" if step.state is StepState.WAITING else "operations"
    return called(step, step.paged, name=name) if step.paged else listed([name(each) for each in step.to])


def called(step: StepFacts, people: tuple[str, ...], *, name: Name) -> str:
    """Return people with the schedules through which the step found them: ``Ben (@secondary)``."""
    schedules = [each for each in step.to if each.startswith(SCHEDULE)]
    return listed([name(each) for each in people]) + (f" ({listed(schedules)})" if schedules else "")


def status_text(status: IncidentStatus, step: StepFacts, *, brief: Callable[[datetime], str]) -> str:
    """Return the state of a step other than the next: ``started at 03:14:03: mail went out``, ``skipped: nobody is on duty``."""
    match step.state:
        case StepState.WAITING:
            return f"{span(step.after)} later"
        case StepState.SKIPPED:
            return "nobody acknowledged" if step.is_end else f"skipped: {SKIPPED.get(step.reason, step.reason)}"
        case _ if step.started_at is not None:
            stopped = ", stopped" if step.state is StepState.STOPPED else ""
            return f"started at {brief(step.started_at)}{stopped}: {_went_out(status, step, step.started_at)}"
        case _:
            return "was not needed"


def _went_out(status: IncidentStatus, step: StepFacts, since: datetime) -> str:
    """Return the ways by which a step has paged anybody: ``mail and text went out``."""
    rows = pages(status, step, since=since)
    channels = tuple(dict.fromkeys(row.channel for row in rows if was_accepted(row)))
    if channels:
        return f"{messages(channels)} went out"
    return "nothing has gone out yet" if any(row.state in IN_PROGRESS for row in rows) else "nothing went out"


def coming(found: NextStep, *, name: Name, now: datetime, brief: Callable[[datetime], str]) -> str:
    """Return the next step in words: ``in 8 m, at 03:22:03: Ben (@secondary), or at once when all ways to Ada fail``."""
    what = "operations is told that nobody has acknowledged" if found.step.is_end else _who_next(found, name=name)
    return f"{when(found, now=now, brief=brief)}: {what}{_sooner(found, name=name, now=now, brief=brief)}"


def last_word(status: IncidentStatus, next_events: NextEvents, *, name: Name, brief: Callable[[datetime], str]) -> str:
    """Return the next event of an incident's chain, or why there is none; empty without a chain."""
    steps = current(status)
    if next_events.step is not None:
        return coming(next_events.step, name=name, now=next_events.now, brief=brief)
    if not steps or status.facts.state is not IncidentState.OPEN:
        return ""
    if steps[-1].state is StepState.SKIPPED:
        return "The chain is over, and nobody has acknowledged."
    return f"{status.facts.severity} starts no later step."


def in_list(place: ChainPlace, *, brief: Callable[[datetime], str]) -> str:
    """Return how far a chain has come, ``next: Ben (@secondary) at 03:22:03; step 1 of 3``; empty for INFO."""
    following = place.following
    if following is None:
        return "the chain is over"
    if place.next_at is None:
        return ""
    what = who(following, name=str) if following.is_end else f"next: {_who_in_list(following, place)}"
    return f"{what} at {brief(place.next_at)}; step {place.step} of {place.steps}"


def _who_in_list(following: StepFacts, place: ChainPlace) -> str:
    people = tuple(place.people)
    return called(following, people, name=place.people.__getitem__) if people else f"nobody else ({listed(following.to)})"


def when(found: NextStep, *, now: datetime, brief: Callable[[datetime], str]) -> str:
    """Return when a step comes: ``in 8 m, at 03:22:03``, ``in 22 s``, ``now``."""
    if found.late_since is not None:
        return f"now, {duration(now - found.late_since)} late"
    left = found.at - now
    if left <= timedelta():
        return "now"
    return f"in {_ceiled(left)}{f', at {brief(found.at)}' if left >= _MINUTE else ''}"


def _sooner(found: NextStep, *, name: Name, now: datetime, brief: Callable[[datetime], str]) -> str:
    """Return what would start a step at once, after a comma, and the latest time if no receipt comes."""
    waited = listed([name(each) for each in found.waits_for])
    if not waited or found.at <= now:
        return ""
    latest = "" if found.all_failed_at is None else f", at {brief(found.all_failed_at)} at the latest if no receipt comes"
    return f", or at once when all ways to {waited} have failed{latest}"


def _who_next(found: NextStep, *, name: Name) -> str:
    step = found.step
    if step.is_end:
        return who(step, name=name)
    if found.people:
        return called(step, tuple(found.people), name=name)
    why = SKIPPED["paged_already" if found.is_paged_already else "nobody_on_duty"]
    return f"{listed([name(each) for each in step.to])}, but {why}"


def begun(why: Because, *, after: timedelta, before: str) -> str:
    """Return why a step began: ``nobody has acknowledged in 10 m``.

    Args:
        why: The reason.
        after: The time of the step before.
        before: The people of the step before.
    """
    match why:
        case Because.FIRST:
            return ""
        case Because.TIME:
            return f"nobody has acknowledged in {span(after)}"
        case Because.ALL_FAILED:
            return f"all ways to {before} have failed"
        case Because.SKIPPED:
            return "the step before paged nobody"
        case _:
            assert_never(why)


def _ceiled(left: timedelta) -> str:
    """Return the remaining time, rounded up: to seconds below a minute, else to minutes."""
    unit = timedelta(seconds=1) if left < _MINUTE else _MINUTE
    return span(-(-left // unit) * unit)
