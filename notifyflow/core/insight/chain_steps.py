"""The next step of a chain, its time and its people, and the state of each step of a run. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from notifyflow.core.delivery import chain, page_rules
from notifyflow.core.delivery.facts import NotificationFacts, StepFacts, Transition
from notifyflow.core.delivery.intervals import Interval
from notifyflow.core.delivery.model import IN_PROGRESS, IncidentState, Kind, Severity, StepState
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.limits import quiet

LATE_AFTER = timedelta(seconds=5)
"""How long after it is due a step is late; a sweep comes every second."""

Resolve = Callable[[StepFacts], Mapping[str, str]]
"""Returns the people that a step would page now: ids and names of those on duty."""


class Because(StrEnum):
    """Why a step began: it was the FIRST, its TIME was over, ALL_FAILED before it, or that step was SKIPPED."""

    FIRST = "first"
    TIME = "time"
    ALL_FAILED = "all_failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """The next step of a chain, if nobody acknowledges.

    Attributes:
        step: The step; it may be the end of the chain.
        at: When it starts; now, if it is due.
        late_since: When it was due, if it is late; None if it is not.
        people: The ids and names of the people that it would page now; personal. Empty if nobody is left or on duty.
        is_paged_already: Whether the chain pages all of its people already, so that it will be skipped.
        waits_for: The ids of the people whose last failure would start it at once.
        all_failed_at: When every way to these people counts as failed if no receipt comes, so that the step starts. None if that
            is not before ``at``, or if later attempts decide it.
    """

    step: StepFacts
    at: datetime
    late_since: datetime | None = None
    people: Mapping[str, str] = FrozenDict()
    is_paged_already: bool = False
    waits_for: tuple[str, ...] = ()
    all_failed_at: datetime | None = None


def next_step(
    status: IncidentStatus,
    contexts: Collection[DecisionContext],
    intervals: Collection[Interval],
    resolve: Resolve,
    *,
    now: datetime,
) -> NextStep | None:
    """Return the next step; None if the chain is over or stopped, or for INFO, which starts no later step.

    Args:
        status: The incident.
        contexts: Its current escalations.
        intervals: The intervals that do not count for the step's time, besides quiet hours.
        resolve: Returns the people that the step would page now.
        now: The time.
    """
    steps = current(status)
    step = chain.next_step(steps)
    if step is None or step.waits_since is None or step.number == 1 or status.facts.state is not IncidentState.OPEN:
        return None
    has_all_failed = chain.have_all_failed(steps, step, contexts, now)
    before = steps[step.number - 2].paged
    own = [each for each in contexts if each.escalation.recipient_id in before]
    all_failed_at = None if has_all_failed else _all_failed_at(step, status.facts.severity, own, intervals, now)
    if not has_all_failed:
        people = [each.contact for each in status.escalations if each.facts.is_current and each.facts.recipient_id in before]
        nights = quiet.step_intervals(people, status.facts.severity, step.after, since=step.waits_since, now=now)
        intervals = (*intervals, *nights)
    at = chain.goes_on_at(step, status.facts.severity, intervals, has_all_failed=has_all_failed, now=now)
    meant = {} if step.is_end else resolve(step)
    paged = chain.paged(each.escalation for each in contexts)
    left = {each: name for each, name in meant.items() if each not in paged}
    waited = [each for each in own if not chain.has_all_failed(each, now)]
    return NextStep(
        step=step,
        at=max(now, at),
        late_since=at if at < now - LATE_AFTER else None,
        people=FrozenDict(left),
        is_paged_already=bool(meant) and not left,
        waits_for=tuple(dict.fromkeys(each.escalation.recipient_id for each in waited)),
        all_failed_at=all_failed_at if all_failed_at is not None and all_failed_at < at else None,
    )


def _all_failed_at(
    step: StepFacts, severity: Severity, own: Collection[DecisionContext], intervals: Collection[Interval], now: datetime
) -> datetime | None:
    """Return when a step starts because all ways in the step before have failed, if no receipt comes; None if unknown."""
    known = [now if chain.has_all_failed(each, now) else _silent_at(each, now) for each in own]
    times = [at for at in known if at is not None]
    return chain.goes_on_at(step, severity, intervals, has_all_failed=True, now=max(times)) if len(times) == len(known) else None


def _silent_at(context: DecisionContext, now: datetime) -> datetime | None:
    """Return when a recipient's last receipt becomes overdue, so that every way to them counts as failed.

    None if not every way to them has failed then, or if an attempt or a new round comes before: its result is not known.
    """
    overdue_at = max(filter(None, (page_rules.receipt_due_at(context, row) for row in context.pages)), default=now)
    round_at = context.escalation.next_round_at
    is_quarantined = any(each.is_quarantined and each.ended_at >= now for each in context.paused_intervals)
    tried = (row.due_at for row in context.pages if row.state in IN_PROGRESS)
    if is_quarantined or (round_at is not None and round_at <= overdue_at) or any(at is None or at < overdue_at for at in tried):
        return None
    return overdue_at if overdue_at > now and chain.has_all_failed(context, overdue_at) else None


def current(status: IncidentStatus) -> tuple[StepFacts, ...]:
    """Return the steps of the current run, by number."""
    return tuple(each for each in status.steps if each.run_number == status.facts.run_number)


def pages(status: IncidentStatus, step: StepFacts, *, since: datetime) -> tuple[NotificationFacts, ...]:
    """Return the pages of a step: those of its people's rounds since ``since`` and before a newer run."""
    newer = [each.started_at for each in status.steps if each.run_number > step.run_number and each.started_at]
    until = min(newer, default=None)
    rounds = (each for each in status.escalations if each.facts.recipient_id in step.paged)
    own = (each for each in rounds if since <= each.facts.started_at and (not until or each.facts.started_at < until))
    return tuple(row for each in own for row in each.notifications if row.kind is Kind.PAGE)


def because(lines: Sequence[Transition], steps: Sequence[StepFacts]) -> Mapping[str, Because]:
    """Return why each logged step began, by its id.

    A step's time counts from the start of the step before, or from its last restart. A step that begins sooner follows one that
    was skipped, or all ways to whose people had failed.

    Args:
        lines: The transition log of the incident, by time.
        steps: The steps of all runs.
    """
    return dict(_because(lines, {each.id: each for each in steps}))


def _because(lines: Sequence[Transition], steps: Mapping[str, StepFacts]) -> Iterator[tuple[str, Because]]:
    began_at: dict[tuple[int, int], datetime] = {}
    follows: dict[tuple[int, int], str] = {}
    for line in (each for each in lines if each.event in _BEGIN and each.row_id in steps):
        step = steps[line.row_id]
        place, following = (step.run_number, step.number), (step.run_number, step.number + 1)
        if line.event == "restarted":
            began_at[place] = line.at
            continue
        began_at[following], follows[following] = line.at, line.target
        if place not in follows:
            yield step.id, Because.FIRST
        elif line.at >= began_at[place] + step.after:
            yield step.id, Because.TIME
        else:
            yield step.id, Because.SKIPPED if follows[place] == StepState.SKIPPED else Because.ALL_FAILED


_BEGIN = frozenset({"step_due", "chain_over", "restarted"})


def runs(status: IncidentStatus) -> tuple[tuple[StepFacts, ...], ...]:
    """Return the steps of each run, the newest run first."""
    numbers = sorted({each.run_number for each in status.steps}, reverse=True)
    return tuple(tuple(each for each in status.steps if each.run_number == number) for number in numbers)
