"""Any story of an incident with a chain: the core's decisions beside the oracle's."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from notifyflow.core.delivery import chain as chains
from notifyflow.core.delivery import incident as incidents
from notifyflow.core.delivery import series
from notifyflow.core.delivery.chain import Chain, Planned, StepUpdate
from notifyflow.core.delivery.facts import IncidentFacts, StepFacts
from notifyflow.core.delivery.intervals import Interval
from notifyflow.core.delivery.machines import STEP
from notifyflow.core.delivery.model import EscalationState, Incident, IncidentState, NotificationState, Severity
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.policy import Policy, Tier
from tests.chain_oracle import OracleChain
from tests.deep import RULES, examples
from tests.facts import NOW, context, incident, minutes, page
from tests.oracle import has_all_failed

MAIL = Policy(name="mail", tiers=(Tier(name="only", channels=("email",)),))
PEOPLE = ("ada", "ben", "cyd", "dan")
NAMES = (*PEOPLE, "@primary", "@secondary", "@nobody")
ROTATION = minutes(7)
WAITS = tuple(map(minutes, (1, 5, 10)))
SPANS = tuple(map(minutes, (0, 0.5, 1, 4, 5, 10, 15, 31)))
CHAINS = st.lists(
    st.tuples(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True).map(tuple), st.sampled_from(WAITS)),
    min_size=2,
    max_size=4,
).filter(lambda steps: steps[0][0] != ("@nobody",))
WAYS = {
    # how a round stands, by the state of the escalation and of its only page
    "on its way": (EscalationState.ACTIVE, NotificationState.QUEUED),
    "reached": (EscalationState.REACHED, NotificationState.SENT),
    "failed": (EscalationState.ACTIVE, NotificationState.FAILED),
    "exhausted": (EscalationState.EXHAUSTED, NotificationState.FAILED),
}


def on_duty(name: str, at: datetime) -> tuple[str, ...]:
    """Return whom a name means: duty rotates every seven minutes."""
    turn = int((at - NOW) / ROTATION)
    duty = {"@primary": (PEOPLE[turn % 3],), "@secondary": (PEOPLE[(turn + 1) % 3], "dan"), "@nobody": ()}
    return duty.get(name, (name,))


class AnyChain(RuleBasedStateMachine):
    """Does with an incident and its steps what the pipeline does with their rows."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.ids = map(str, count())
        self.runs: list[tuple[StepFacts, ...]] = []
        self.alerts: list[int] = []
        self.rounds: dict[str, DecisionContext] = {}
        self.intervals: list[Interval] = []

    @initialize(steps=CHAINS, over_after=st.sampled_from(WAITS), severity=st.sampled_from(Severity))
    def open(self, steps: list[tuple[tuple[str, ...], timedelta]], over_after: timedelta, severity: Severity) -> None:
        (to, _), *then = steps
        planned = tuple(Planned(to=each, after=after) for each, after in then)
        self.chain = Chain(to=to, then=planned, over_after=over_after)
        self.plan = [*steps, ((), over_after)]
        self.oracle = OracleChain(plan=self.plan, duty=on_duty, severity=severity)
        self.incident = incident(severity=severity)
        self.begin_pass(chains.plan(self.chain, self.next_pass(), self.ids))
        self.oracle.begin(self.now)
        self.sweep()

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), how=st.sampled_from(sorted(WAYS)))
    def report(self, data: st.DataObject, how: str) -> None:
        """Let a round come to stand in some way."""
        who = data.draw(st.sampled_from(sorted(self.rounds)))
        state, row = WAYS[how]
        found = self.rounds[who]
        if found.escalation.state is not EscalationState.ACKNOWLEDGED:
            rows = (page("email", row, severity=found.escalation.severity),)
            self.rounds[who] = replace(found, escalation=replace(found.escalation, state=state), notifications=rows)
            (self.oracle.all_failed.add if has_all_failed(self.rounds[who], self.now) else self.oracle.all_failed.discard)(who)
        self.sweep()

    @rule(span=st.sampled_from(SPANS))
    def pass_time(self, span: timedelta) -> None:
        """Let time pass, and sweep whenever a step is due."""
        until = self.now + span
        while (at := self.due_at()) is not None and at <= until:
            self.now = max(self.now, at)
            self.sweep()
        self.now = until
        self.sweep()

    @rule(after=st.sampled_from(SPANS), span=st.sampled_from(SPANS[1:]))
    def stop_clocks(self, after: timedelta, span: timedelta) -> None:
        """Let time not count, from now or from later on."""
        begins = self.now + after
        self.intervals.append(Interval(began_at=begins, ended_at=begins + span))
        self.oracle.intervals.append((begins, begins + span))

    @rule()
    def acknowledge(self) -> None:
        update = incidents.acknowledge(self.incident, by="ada", via="library", is_last=True, now=self.now)
        if update.has_moved:
            self.change_steps(chains.stop(each, "acknowledged") for each in self.steps)
            self.close_rounds()
        self.incident = update.after
        self.oracle.acknowledge()

    @rule(severity=st.sampled_from(Severity))
    def repeat(self, severity: Severity) -> None:
        """Report the incident again; a higher severity pages everybody anew."""
        before = self.incident
        update = incidents.repeat(before, Incident(key="db-1", title="down", severity=severity), now=self.now)
        self.incident = update.after
        if update.needs_round:
            is_new = chains.needs_new_run(before, self.steps)
            self.oracle.raise_severity(severity, self.now)
            if is_new:
                self.begin_pass(chains.plan(self.chain, self.next_pass(), self.ids))
            else:
                self.page(chains.paged(each.escalation for each in self.rounds.values()))
                if before.severity is Severity.INFO:
                    step = chains.next_step(self.steps)
                    self.restart(step.waited if step else timedelta())
        self.sweep()

    @precondition(lambda self: self.rounds and self.incident.state is not IncidentState.RESOLVED)
    @rule(data=st.data())
    def page_again(self, data: st.DataObject) -> None:
        who = data.draw(st.sampled_from(sorted(self.rounds)))
        is_new, steps = chains.needs_new_run(self.incident, self.steps), self.steps
        self.incident = incidents.page_again(self.incident, now=self.now).after
        self.oracle.page_again(who, self.now)
        if is_new:
            self.begin_pass(chains.plan_again(steps, self.next_pass(), self.ids, first=(who,)))
        else:
            self.page([who])
            self.restart()
        self.sweep()

    @rule()
    def resolve(self) -> None:
        update = incidents.resolve(self.incident, by="ada", now=self.now)
        if update.has_moved:
            self.change_steps(chains.stop(each, "resolved") for each in self.steps)
            self.oracle.resolve(self.now)
        self.incident = update.after

    @precondition(lambda self: self.incident.state is IncidentState.RESOLVED)
    @rule(severity=st.sampled_from(Severity))
    def open_again(self, severity: Severity) -> None:
        """Report the key of a resolved incident again: a new incident, which may begin with several steps."""
        predecessor, last = self.incident, self.steps
        before, intervals = self.oracle, self.oracle.intervals
        self.incident, self.runs, self.alerts, self.rounds = incident(severity=severity), [], [], {}
        self.oracle = OracleChain(plan=self.plan, duty=on_duty, severity=severity, intervals=intervals)
        self.begin_pass(chains.plan(self.chain, self.next_pass(), self.ids))
        up_to, going_on = 1, None
        if predecessor.acknowledged_at is None and series.is_continued(predecessor, self.now):
            up_to, going_on = chains.steps_to_repeat(last, self.steps)
        for step in self.steps[1:up_to]:
            self.begin(step)
        if going_on is not None and predecessor.resolved_at is not None:
            self.restart(chains.waited(going_on, until=predecessor.resolved_at, intervals=self.intervals))
        self.oracle.begin(self.now, after=before)
        self.sweep()

    @invariant()
    def the_steps_are_those_of_the_oracle(self) -> None:
        if not self.runs:
            return
        for own, expected in zip(self.runs, self.oracle.runs, strict=True):
            assert [(str(each.state), each.paged) for each in own] == [(each.state, each.people) for each in expected]
        assert self.alerts == self.oracle.alerts
        assert len(set(self.alerts)) == len(self.alerts), "a run ended in two alerts"

    @invariant()
    def nobody_is_paged_by_two_steps(self) -> None:
        for steps in self.runs:
            paged = [each for step in steps for each in step.paged]
            assert len(set(paged)) == len(paged)

    @property
    def steps(self) -> tuple[StepFacts, ...]:
        return self.runs[-1]

    def next_pass(self) -> IncidentFacts:
        self.incident = replace(self.incident, run_number=self.incident.run_number + 1)
        return self.incident

    def begin_pass(self, steps: tuple[StepFacts, ...]) -> None:
        self.runs.append(steps)
        self.close_rounds()
        self.begin(steps[0])

    def close_rounds(self) -> None:
        self.rounds = {
            who: replace(each, escalation=replace(each.escalation, state=EscalationState.ACKNOWLEDGED))
            for who, each in self.rounds.items()
        }

    def sweep(self) -> None:
        while (at := self.due_at()) is not None and at <= self.now:
            step = chains.next_step(self.steps)
            assert step is not None
            self.begin(step)
        self.oracle.look(self.now)

    def due_at(self) -> datetime | None:
        """Return when the next step begins, as far as is known."""
        step = chains.next_step(self.steps)
        if step is None or step.waits_since is None or self.incident.state is not IncidentState.OPEN:
            return None
        is_over = chains.have_all_failed(self.steps, step, self.rounds.values(), self.now)
        return chains.goes_on_at(step, Severity.ERROR, self.intervals, has_all_failed=is_over, now=self.now)

    def begin(self, step: StepFacts) -> None:
        if step.is_end:
            self.change_steps([chains.finish(step)])
            self.alerts.append(len(self.runs))
            return
        people = [each for name in step.to for each in on_duty(name, self.now)]
        paged = chains.paged(each.escalation for each in self.rounds.values())
        update = chains.start(step, people, paged=paged, now=self.now)
        self.change_steps([update])
        self.page(update.after.paged)
        self.restart()

    def restart(self, waited: timedelta = timedelta()) -> None:
        step = chains.next_step(self.steps)
        assert step is not None
        self.change_steps([chains.restart(step, self.incident.severity, now=self.now, waited=waited)])

    def page(self, people: Collection[str]) -> None:
        for who in people:
            facts = {"recipient_id": who, "severity": self.incident.severity, "policy": MAIL, "started_at": self.now}
            self.rounds[who] = context(page(), addresses="email", about=self.incident, **facts)

    def change_steps(self, updates: Iterable[StepUpdate]) -> None:
        for update in updates:
            before = self.steps[update.after.number - 1]
            assert not update.has_moved or update.after.state in STEP.targets(before.state, update.event)
            self.runs[-1] = tuple(update.after if each.id == update.after.id else each for each in self.steps)


TestAnyChain = AnyChain.TestCase
TestAnyChain.settings = settings(max_examples=examples(60, deep=RULES), stateful_step_count=30, deadline=None)
