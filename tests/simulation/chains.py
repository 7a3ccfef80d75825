"""Chains: who is paged when nobody answers. Plans incidents with chains, and checks when each step begins and whom it pages."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.facts import IncidentFacts, StepFacts
from notifyflow.core.delivery.model import LIVE, IncidentState, Severity, StepState
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.storage.tables.fields import instant_text
from tests.oracle import has_all_failed
from tests.simulation.clocks import Covers
from tests.simulation.database import IDLE_LIMIT_S, Session, SimulatedDatabase
from tests.simulation.quiet import QuietHours
from tests.simulation.rosters import Rosters
from tests.simulation.world import START, World, require

Contexts = Callable[[IncidentStatus, EscalationStatus, datetime], DecisionContext]
"""Returns what a decision about an escalation knows, at an instant."""

STARTS_WITHIN_S = 1.0
_SWEEP_S = 0.1  # how long a sweep takes before it comes to a step
_LEEWAY_S = 1.0
_SLACK_S = 2.0  # for the locks and calls of threads beside the sweeper
_FLAPS_WITHIN = timedelta(minutes=30)
_OVER = "chain_over"
_WAITING = "SELECT id, incident_id, number FROM notifyflow_step WHERE state = 'WAITING' AND due_at IS NOT NULL"
_OVERS = """
    SELECT e.incident_id, c.escalation_id, c.reason, c.at, e.alerted_at
    FROM notifyflow_critical c JOIN notifyflow_escalation e ON e.id = c.escalation_id
    JOIN notifyflow_incident i ON i.id = e.incident_id WHERE i.run_number > 0
"""
_BEFORE = """
    SELECT id FROM notifyflow_incident WHERE namespace = ? AND key = ? AND state = 'RESOLVED' AND resolved_at <= ? AND id < ?
    ORDER BY resolved_at DESC, id DESC LIMIT 1
"""


@dataclass(frozen=True)
class AllFailed:
    """Since when all ways before a step have failed and a process can see it, by whose clock, and the disturbances until then."""

    since_s: float
    skew: timedelta
    disturbances: tuple[Any, ...]


class Chains:
    """Checks every step of every chain.

    Attributes:
        is_calm: Whether nothing else keeps a sweeper busy: each step begins within a second, also when its time is over.
    """

    is_calm = False

    def __init__(
        self,
        world: World,
        database: SimulatedDatabase,
        covers: Covers,
        rosters: Rosters,
        quiet: QuietHours,
        *,
        context: Contexts,
        disturbances: Callable[[], tuple[Any, ...]],
    ) -> None:
        self._world, self._database, self._covers, self._rosters, self._quiet = world, database, covers, rosters, quiet
        self._context, self._disturbances = context, disturbances
        self._counts_since: dict[str, datetime] = {}  # step: since when its time counts
        self._begun: dict[tuple[str, int, int], datetime] = {}  # incident, pass and number: when
        self._duty: dict[str, tuple[str, ...]] = {}  # step: whom it has paged since
        self._all_failed: dict[str, AllFailed] = {}
        self._raised: dict[str, datetime] = {}  # incident: when its severity was raised last
        self._told: set[tuple[str, str]] = set()
        self._alerts: Counter[tuple[str, int]] = Counter()

    def after_commit(self, session: Session) -> None:
        """Check the steps that began, and that nobody waits for those that should have."""
        self._raised |= {line["incident_id"]: line["at"] for line in session.lines if line["event"] == "severity_raised"}
        moved = [line for line in session.lines if line["machine"] == "step"]
        chained = {line["incident_id"] for line in moved} | self._concerned(session)
        if not chained:
            return
        for incident_id in sorted(chained):
            status = self._database.status(incident_id)
            for line in (each for each in moved if each["incident_id"] == incident_id):
                self._check_move(line, status, session)
            self._check_duty(status)
            self._look_for_spent(status, session)
        self._check_alerts()

    def _concerned(self, session: Session) -> set[str]:
        """Return the incidents of the session whose next step waits."""
        lines = {line["incident_id"] for line in session.lines}
        return {incident_id for _, incident_id, _ in self._database.look(_WAITING) if incident_id in lines} if lines else set()

    def _check_move(self, line: dict[str, Any], status: IncidentStatus, session: Session) -> None:
        step = next(each for each in status.steps if each.id == line["row_id"])
        if line["event"] == "restarted":
            self._counts_since[step.id] = line["at"]
        if line["event"] not in ("step_due", "chain_over"):
            return
        what = f"10: step {step.number} of run {step.run_number} of {step.incident_id[-4:]}"
        key = (step.incident_id, step.run_number, step.number)
        require(key not in self._begun, f"{what} begins a second time")
        self._begun[key] = line["at"]
        states = [each["source"] for each in session.lines if each["row_id"] == step.incident_id]
        state = states[0] if states and states[0] else status.facts.state
        is_reopened = bool(states) and state != IncidentState.OPEN and step.number == 1
        require(state == IncidentState.OPEN or is_reopened, f"{what} begins, and its incident is {state}")
        if step.number > 1:
            self._check_due(what, step, status, line["at"], session)
        elif step.run_number == 1:
            self._check_repetition(what, step, status)
        if not step.is_end:
            self._check_people(what, step, status, session, line["at"])
        following = next((each for each in status.steps if each.number == step.number + 1 and _is_beside(each, step)), None)
        if following is not None:
            self._counts_since[following.id] = line["at"]
        self._check_promptness(what, step, session)

    def _check_due(self, what: str, step: StepFacts, status: IncidentStatus, at: datetime, session: Session) -> None:
        """Require that a step begins when its time is over, or all ways before it have failed, or its key comes again."""
        before = next(each for each in status.steps if each.number == step.number - 1 and _is_beside(each, step))
        require(before.state is not StepState.WAITING, f"{what} begins before the one before it")
        require(status.facts.severity is not Severity.INFO or self._is_repeated(step, status), f"{what} begins, and is INFO")
        since_s, now_s = ((each - START).total_seconds() for each in (self._counts_since[step.id], at))
        is_urgent = status.facts.severity is Severity.CRITICAL
        quiet = self._quiet.shared_s(step.incident_id, before.paged, status.facts.severity)
        counted_s = now_s - since_s
        counted_s -= self._covers.covered_s(since_s, now_s, step.incident_id, is_urgent=is_urgent, others=quiet)
        counted_s += self._counted_before_s(step, status)
        leeway_s = _LEEWAY_S + 2 * self._world.widest_skew_s
        is_over = counted_s >= step.after.total_seconds() - leeway_s or before.state is StepState.SKIPPED
        is_early = is_over or self._has_all_failed(before, status, at) or self._is_repeated(step, status)
        require(
            is_early,
            f"{what} begins after {counted_s:.0f} s of {step.after.total_seconds():.0f}, and {before.paged} can still be reached",
        )
        if self.is_calm:
            raised_at = max(self._raised.get(step.incident_id, START), self._counts_since[step.id])
            late_s = min(counted_s - step.after.total_seconds(), (at - raised_at).total_seconds())
            require(late_s <= STARTS_WITHIN_S + _SWEEP_S, f"{what} begins {late_s:.2f} s after its time is over")

    def _check_people(self, what: str, step: StepFacts, status: IncidentStatus, session: Session, at: datetime) -> None:
        """Require that a step pages whom its names mean now, without those whom the run pages already."""
        new = {line["row_id"] for line in session.lines if line["machine"] == "escalation" and not line["source"]}
        before = [each.facts for each in status.escalations if each.facts.is_current and each.facts.id not in new]
        paged = {each.recipient_id for each in before if each.state in LIVE} if step.number > 1 else set()
        others = [who for each in status.steps if _is_beside(each, step) and each.number < step.number for who in each.paged]
        known = self._rosters.meant(step.to, at, session.began_s)
        meant = [tuple(each for each in people if each not in (*paged, *others)) for people in known]
        require(step.paged in meant, f"{what} pages {step.paged}, and its names mean {meant}")
        require(not set(step.paged) & set(others), f"{what} pages {step.paged}, and others have paged {others}")
        rounds = {each.facts.recipient_id for each in status.escalations if each.facts.id in new}
        require(rounds.issuperset(step.paged), f"{what} pages {step.paged}, and only {sorted(rounds)} get a round")

    def _check_promptness(self, what: str, step: StepFacts, session: Session) -> None:
        failed = self._all_failed.pop(step.id, None)
        if failed is not None and failed.disturbances == self._disturbances():
            late_s = self._world.now_s - failed.since_s
            behind_s = max(0.0, (failed.skew - session.task.process.skew).total_seconds())  # a slower clock comes to it later
            within_s = STARTS_WITHIN_S + (_SWEEP_S if self.is_calm else _SLACK_S) + behind_s
            require(late_s <= within_s, f"{what} begins {late_s:.2f} s after all ways before it had failed")

    def _check_duty(self, status: IncidentStatus) -> None:
        """Require that it is said for ever who was on duty when a step began."""
        for step in status.steps:
            if step.started_at is not None:
                known = self._duty.setdefault(step.id, step.paged)
                require(known == step.paged, f"10: step {step.id[-4:]} paged {known}, and is said to have paged {step.paged}")

    def _look_for_spent(self, status: IncidentStatus, session: Session) -> None:
        """Note which steps should begin now."""
        step = _next(status)
        if step is None or status.facts.severity is Severity.INFO or status.is_quarantined:
            return
        before = next(each for each in status.steps if each.number == step.number - 1 and _is_beside(each, step))
        now = START + timedelta(seconds=self._world.now_s)
        if before.state is StepState.SKIPPED or self._has_all_failed(before, status, now):
            free_s = max([self._world.awake_s, *map(self._locked_until_s, self._database.locks.values())])
            failed = AllFailed(free_s, session.task.process.skew, self._disturbances())
            self._all_failed.setdefault(step.id, failed)
        else:
            self._all_failed.pop(step.id, None)

    def _locked_until_s(self, holder: Session) -> float:
        """Return until when a session may keep its locks: a paused one does so until the server ends it."""
        return min(holder.task.process.paused_until_s, holder.touched_s + IDLE_LIMIT_S)

    def _has_all_failed(self, step: StepFacts, status: IncidentStatus, at: datetime) -> bool:
        own = [each for each in status.escalations if each.facts.is_current and each.facts.recipient_id in step.paged]
        return all(has_all_failed(self._context(status, each, at), at) for each in own)

    def _is_repeated(self, step: StepFacts, status: IncidentStatus) -> bool:
        """Return whether a step begins at once, since the key comes again soon after a resolve that nobody acknowledged."""
        facts = status.facts
        if step.run_number != 1 or self._begun[facts.id, 1, 1] != self._begun[facts.id, 1, step.number]:
            return False
        before = (each for each in self._steps_before(facts) if not each.is_end)
        begun = {_plan(each) for each in before if each.started_at or each.state is StepState.SKIPPED}
        return any(_plan(each) in begun for each in status.steps if _is_beside(each, step) and each.number >= step.number)

    def _counted_before_s(self, step: StepFacts, status: IncidentStatus) -> float:
        """Return how long a step had waited in the incidents before it of a series, at the most: nothing is taken off."""
        before = self._steps_before(status.facts) if step.run_number == 1 else ()
        same = next((each for each in before if _plan(each) == _plan(step) and each.started_at is None), None)
        if same is None or same.id not in self._counts_since:
            return 0.0
        earlier = self._database.status(same.incident_id)
        resolved_at = earlier.facts.resolved_at
        assert resolved_at is not None
        return (resolved_at - self._counts_since[same.id]).total_seconds() + self._counted_before_s(same, earlier)

    def _check_repetition(self, what: str, first: StepFacts, status: IncidentStatus) -> None:
        """Require that a key that comes again soon begins with what its last incident had started, beside the first step."""
        if status.facts.severity is Severity.INFO:
            return
        before = self._steps_before(status.facts)
        begun = {_plan(each) for each in before if _is_beside(each, before[-1]) and each.number > 1 and each.started_at}
        left = [each.number for each in status.steps if _plan(each) in begun and each.state is StepState.WAITING]
        require(not left, f"{what} begins without {left}, which had started when its key was resolved")

    def _steps_before(self, facts: IncidentFacts) -> tuple[StepFacts, ...]:
        """Return the steps of the last incident of the key; none unless it was resolved soon before, and nobody acknowledged it.

        An acknowledgement that comes after the resolve shows in the series that it ends.
        """
        until = "9999" if facts.resolved_at is None else instant_text(facts.opened_at)
        found = self._database.look(_BEFORE, facts.namespace, facts.key, until, facts.id)  # ids count upwards
        before = self._database.status(found[0][0]) if found else None
        if before is None or before.facts.acknowledged_at is not None or (before.facts.series and before.facts.series.is_over):
            return ()
        assert before.facts.resolved_at is not None
        return before.steps if facts.opened_at - before.facts.resolved_at <= _FLAPS_WITHIN else ()

    def _check_alerts(self) -> None:
        """Require that a run pages operations once at most, and not before its end; flapping uses nothing up."""
        for incident_id, escalation_id, reason, at, alerted_at in self._database.look(_OVERS):
            if reason == "flapping":
                continue
            if reason != _OVER:
                require(alerted_at is None, f"10: {escalation_id[-4:]} pages operations ({reason}), and its chain is not over")
            elif (escalation_id, at) not in self._told:
                self._told.add((escalation_id, at))
                ((number,),) = self._database.look("SELECT run_number FROM notifyflow_incident WHERE id = ?", incident_id)
                self._alerts[incident_id, number] += 1
                count = self._alerts[incident_id, number]
                require(count == 1, f"10: pass {number} of {incident_id[-4:]} ends in {count} alerts")

    def at_end(self, status: IncidentStatus) -> None:
        """Require that each run has come to an end: acknowledged, resolved, replaced, or in one alert."""
        facts, what = status.facts, f"10: the chain of {status.facts.id[-4:]}"
        require(
            bool(facts.run_number) is bool(status.steps), f"{what} has {len(status.steps)} steps in {facts.run_number} passes"
        )
        numbers = [(each.run_number, each.number) for each in status.steps]
        require(len(set(numbers)) == len(numbers), f"{what} has a step twice: {numbers}")
        for step in status.steps:
            is_left = step.state is StepState.WAITING and step.run_number < facts.run_number
            require(not is_left, f"{what} has a step that waits in a run that was replaced")
        last = [each for each in status.steps if each.run_number == facts.run_number]
        if not last or status.is_quarantined:
            return
        if facts.state is not IncidentState.OPEN:
            left = [each.number for each in last if each.state in (StepState.WAITING, StepState.STARTED)]
            require(not left, f"{what} goes on with {left}, and its incident is {facts.state}")
        elif facts.severity is Severity.INFO:
            begun = [each.number for each in last if each.number > 1 and each.state is not StepState.WAITING]
            require(not begun or self._alerts[facts.id, facts.run_number] <= 1, f"{what} is INFO")
        else:
            waiting = [each.number for each in last if each.state is StepState.WAITING]
            require(not waiting, f"{what} does not end: {waiting} wait")
            count = self._alerts[facts.id, facts.run_number]
            require(count == 1, f"{what} ends in {count} alerts")


def _plan(step: StepFacts) -> tuple[tuple[str, ...], timedelta]:
    return step.to, step.after


def _is_beside(one: StepFacts, other: StepFacts) -> bool:
    return (one.incident_id, one.run_number) == (other.incident_id, other.run_number)


def _next(status: IncidentStatus) -> StepFacts | None:
    """Return the step that waits for the one before it."""
    facts = status.facts
    own = (each for each in status.steps if each.run_number == facts.run_number and each.state is StepState.WAITING)
    return next(own, None) if facts.state is IncidentState.OPEN else None
