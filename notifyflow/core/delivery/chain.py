"""Chains: which step is next, when it starts and whom it pages, and when a chain is over; pure.

A chain belongs to an incident. Functions here take the steps of one run through it, in their order. The
caller looks up the people of a directory name when a step starts.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from notifyflow.core.copies import replace
from notifyflow.core.delivery import page_rules, tier_rules
from notifyflow.core.delivery.escalation import AlertOperations
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, StepFacts
from notifyflow.core.delivery.intervals import Interval, counted, paged_at
from notifyflow.core.delivery.machines import MACHINES
from notifyflow.core.delivery.model import LIVE, Contact, EscalationState, IncidentState, NotificationState, Severity, StepState
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.state_machine import Move

_MACHINE = MACHINES["step"]

LAST_STEP = timedelta(minutes=15)
"""The time of the last step, and of a step without its own."""
MOST_STEPS = 20
LONGEST_STEP = timedelta(hours=24)
OPERATIONS = "operations"
"""The name for paging the operations team in a step."""
OVER = "chain_over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A step after the first.

    Attributes:
        to: Recipient ids, names of the directory, or ``operations``.
        after: How long after the step before it starts.
    """

    to: tuple[str, ...]
    after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A validated chain.

    Attributes:
        to: The names paged at once, as given.
        then: The later steps; at least one.
        people: The recipients given with these steps; personal.
        over_after: The time of the last step.
    """

    to: tuple[str, ...]
    then: tuple[Planned, ...]
    people: tuple[Contact, ...] = ()
    over_after: timedelta = LAST_STEP


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainPlace:
    """How far the chain of an OPEN incident has come.

    Attributes:
        step: The number of the last step that has begun.
        steps: How many steps it has, without its end.
        following: What comes next; None if the chain is over.
        at: When the next one comes, or operations is told after the last; None until it is computed.
        before: The ids of the people paged by the step before it.
        paged: The ids of the people paged by its steps so far.
        people: The ids and names of the people whom the next step would page now; personal.
    """

    step: int
    steps: int
    following: StepFacts | None
    at: datetime | None = None
    before: tuple[str, ...] = ()
    paged: frozenset[str] = frozenset()
    people: Mapping[str, str] = FrozenDict()

    @property
    def next_at(self) -> datetime | None:
        """When the next step begins, or operations is told after the last; None if neither is to come."""
        return self.at or (self.following.due_at if self.following else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUpdate:
    """A step after an event.

    Attributes:
        event: The machine's event, for the transition log.
        has_moved: Whether the event did anything; otherwise it was late.
    """

    after: StepFacts
    event: str
    has_moved: bool
    detail: Mapping[str, str] = field(default_factory=dict)


def plan(chain: Chain, incident: IncidentFacts, ids: Iterable[str]) -> tuple[StepFacts, ...]:
    """Return the steps of a chain for the incident's current run, including its end; each takes one of the ids."""
    times = (timedelta(), *(each.after for each in chain.then), chain.over_after)
    people = (chain.to, *(each.to for each in chain.then), ())
    return _numbered(zip(people, times, strict=True), incident, ids)


def plan_again(
    last: Sequence[StepFacts], incident: IncidentFacts, ids: Iterable[str], *, first: Sequence[str] = ()
) -> tuple[StepFacts, ...]:
    """Return the steps of a new run: the last run's steps; or ``first``, then the last run's steps that had not started."""
    ahead = [each for each in last if each.started_at is None and each.reason in ("", OVER)] if first else last
    begin = [(tuple(first), timedelta())] if first else []
    return _numbered((*begin, *_plans(ahead)), incident, ids)


def _numbered(
    steps: Iterable[tuple[tuple[str, ...], timedelta]], incident: IncidentFacts, ids: Iterable[str]
) -> tuple[StepFacts, ...]:
    return tuple(
        StepFacts(id=each, incident_id=incident.id, run_number=incident.run_number, number=number, to=to, after=after)
        for number, ((to, after), each) in enumerate(zip(steps, ids, strict=False), start=1)
    )


def next_step(steps: Sequence[StepFacts]) -> StepFacts | None:
    """Return the first waiting step, or None."""
    return next((each for each in steps if each.state is StepState.WAITING), None)


def place(steps: Sequence[StepFacts]) -> ChainPlace:
    """Return how far a run has come, without the next step's people."""
    following = next_step(steps)
    begun = len(steps) if following is None else following.number - 1
    paged = frozenset(who for step in steps for who in step.paged)
    before = steps[begun - 1].paged if begun else ()
    return ChainPlace(step=min(begun, len(steps) - 1), steps=len(steps) - 1, following=following, before=before, paged=paged)


def is_over(steps: Sequence[StepFacts]) -> bool:
    """Return whether a run has come to its end: it was stopped, or operations has been alerted."""
    return next_step(steps) is None


def needs_new_run(before: IncidentFacts, steps: Sequence[StepFacts]) -> bool:
    """Return whether a round that is started by a higher severity, or by hand, begins a new run."""
    return before.state is IncidentState.ACKNOWLEDGED or is_over(steps)


def begin_waiting(step: StepFacts, severity: Severity, *, now: datetime, waited: timedelta = timedelta()) -> StepFacts:
    """Return a waiting step whose time begins now, or continues in a series; for INFO no later step starts."""
    if severity is Severity.INFO:
        return replace(step, waited=waited)
    return replace(step, waits_since=now, waited=waited, due_at=now + max(step.after - waited, timedelta()))


def goes_on_at(
    step: StepFacts, severity: Severity, intervals: Collection[Interval], *, has_all_failed: bool, now: datetime
) -> datetime:
    """Return when a waiting step starts: after its time, or now; not within an interval.

    Args:
        step: The step.
        severity: The incident's.
        intervals: Outages, pauses that cover the incident, and quiet hours common to all people of the step before.
        has_all_failed: Whether every way to everybody in the step before has failed.
        now: The time of the decision.
    """
    if has_all_failed or step.waits_since is None:
        return max((each.ended_at for each in intervals if each.began_at <= now < each.ended_at), default=now)
    left = max(step.after - step.waited, timedelta())
    return paged_at(step.waits_since + left, intervals, since=step.waits_since, severity=severity)


def has_all_failed(context: DecisionContext, now: datetime) -> bool:
    """Return whether every way to a recipient has failed, or nothing shows that any page arrived.

    For a CRITICAL page this also holds when no tier is left, and each page is FAILED, overdue or suspected.
    """
    escalation = context.escalation
    if escalation.state is EscalationState.EXHAUSTED or tier_rules.is_unconfirmed(context):
        return True
    if escalation.state not in LIVE or escalation.severity is not Severity.CRITICAL or tier_rules.next_tier(context) is not None:
        return False
    pages = context.telling
    failed = [row.state is NotificationState.FAILED or page_rules.is_suspected(context, row, now) for row in pages]
    return tier_rules.is_unproven(context, now) or (bool(pages) and all(failed))


def have_all_failed(steps: Sequence[StepFacts], step: StepFacts, contexts: Collection[DecisionContext], now: datetime) -> bool:
    """Return whether every way to everybody in the step before has failed; also true if that step was skipped.

    Args:
        steps: The steps of the run.
        step: One of them, not the first.
        contexts: The current escalations of the incident.
        now: The time of the decision.
    """
    before = steps[step.number - 2]
    own = [each for each in contexts if each.escalation.recipient_id in before.paged]
    return before.state is StepState.SKIPPED or all(has_all_failed(each, now) for each in own)


def paged(escalations: Iterable[EscalationFacts]) -> frozenset[str]:
    """Return the recipients of the current run, by the current escalations; older runs left theirs closed."""
    return frozenset(each.recipient_id for each in escalations if each.state in LIVE)


def start(step: StepFacts, people: Sequence[str], *, paged: Collection[str], now: datetime) -> StepUpdate:
    """Start a step, or skip it if it has nobody to page.

    Args:
        step: The step.
        people: The ids of its recipients who are on duty now.
        paged: The recipients whom the run pages already.
        now: The time of the start.
    """
    left = tuple(each for each in dict.fromkeys(people) if each not in paged)
    if left:
        return _fire(step, "step_due", StepState.STARTED, started_at=now, paged=left)
    return _fire(step, "step_due", StepState.SKIPPED, reason="paged_already" if people else "nobody_on_duty")


def finish(step: StepFacts) -> StepUpdate:
    """End a chain: operations is alerted."""
    return _fire(step, "chain_over", StepState.SKIPPED, reason=OVER)


def stop(step: StepFacts, event: Literal["acknowledged", "resolved"]) -> StepUpdate:
    """Stop a step; late unless it waits or has started."""
    return _fire(step, event, StepState.STOPPED)


def waited(step: StepFacts, *, until: datetime, intervals: Iterable[Interval]) -> timedelta:
    """Return how much of a step's time had passed in a resolved incident; all of it if its chain was over."""
    if step.state is StepState.SKIPPED:
        return step.after
    if step.waits_since is None or step.waits_since > until:
        return step.waited
    return step.waited + counted(step.waits_since, until, intervals)


def restart(step: StepFacts, severity: Severity, *, now: datetime, waited: timedelta = timedelta()) -> StepUpdate:
    """Restart a step's time, or continue it in a series."""
    waiting = begin_waiting(step, severity, now=now, waited=waited)
    return _fire(step, "restarted", step.state, waits_since=waiting.waits_since, waited=waiting.waited, due_at=waiting.due_at)


def alert(
    incident: IncidentFacts, escalations: Collection[EscalationFacts], now: datetime
) -> tuple[EscalationFacts, AlertOperations]:
    """Mark a critical failure, since a chain is over; return the escalation that shows it, and the effect.

    A WARNING pages operations only if it has reached nobody.

    Args:
        incident: The incident.
        escalations: Its current escalations; at least one.
        now: The time of the alert.
    """
    own = [each for each in escalations if each.state in LIVE] or list(escalations)
    last = max(own, key=lambda each: (each.started_at, each.id))
    has_reached = any(each.state is EscalationState.REACHED for each in own)
    is_paging = incident.severity.is_above(Severity.WARNING) or not has_reached
    marked = replace(last, critical_at=last.critical_at or now, alerted_at=now if is_paging else last.alerted_at)
    return marked, AlertOperations(reason=OVER, is_paging=is_paging)


def steps_to_repeat(last: Sequence[StepFacts], steps: Sequence[StepFacts]) -> tuple[int, StepFacts | None]:
    """Return how many steps start at once in an incident that continues a series: as many as had started in the one before.

    Args:
        last: The steps of the last run of the incident before. If somebody was paged again, they are the remaining steps, with
            numbers of their own.
        steps: The steps of the new incident.

    Returns:
        The number, at least one; and the step of the last run whose time goes on, None if the chain is another one.
    """
    begun = (each for each in last if each.started_at is not None or (each.state is StepState.SKIPPED and not each.is_end))
    started = max((each.number for each in begun), default=1)
    ahead = last[started:]
    is_same_chain = bool(ahead) and _plans(ahead) == _plans(steps[1:][-len(ahead) :])
    return (len(steps) - len(ahead), ahead[0]) if is_same_chain else (started, None)


def _plans(steps: Iterable[StepFacts]) -> list[tuple[tuple[str, ...], timedelta]]:
    return [(each.to, each.after) for each in steps]


@dataclass(slots=True, kw_only=True)
class _StepSubject:
    """The subject of the machine: the target state."""

    state: str
    target: StepState

    def heads_for(self, move: Move) -> bool:
        return move.target == self.target

    def arrive(self, move: Move) -> None:
        """Change nothing else: the caller knows what changes."""


def _fire(step: StepFacts, event: str, target: StepState, **changed: object) -> StepUpdate:
    subject = _StepSubject(state=str(step.state), target=target)
    if not _MACHINE.fire(event, subject):
        return StepUpdate(after=step, event=event, has_moved=False)
    stopped: dict[str, object] = {} if subject.state == StepState.WAITING else {"due_at": None}
    if subject.state in (StepState.STARTED, StepState.SKIPPED):
        stopped["waits_since"] = None
    after = replace(step, state=StepState(subject.state), **{**stopped, **changed})  # type: ignore[arg-type]
    return StepUpdate(after=after, event=event, has_moved=True, detail=_detail(after))


def _detail(step: StepFacts) -> Mapping[str, str]:
    facts = {"pass": str(step.run_number), "step": str(step.number), "duty": " ".join(step.paged), "reason": step.reason}
    return {name: value for name, value in facts.items() if value}
