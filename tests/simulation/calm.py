"""Worlds without faults, in which what `explain` says of an escalation, and what is said to come next, has to happen.

All providers respond in one way, nothing defers a page, and nobody acknowledges. These are the conditions that `explain` names.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random

from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.chain import Chain, Planned
from notifyflow.core.delivery.facts import EscalationFacts
from notifyflow.core.delivery.model import Contact, Incident, Kind, NotificationState, Recipient, Result, Severity, StepState
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.policy import Acknowledgement
from notifyflow.core.insight import next_events
from notifyflow.core.insight.chain_steps import next_step
from notifyflow.core.insight.next_events import NextEvent, NextEventKind
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.limits.preferences import wished
from notifyflow.core.namespaces import SHARED
from notifyflow.core.upkeep import forecast
from notifyflow.core.upkeep.forecast import ChannelModel, Forecast, ProviderBehaviour
from notifyflow.engine.deliver import Deliverer
from notifyflow.engine.reporter import Reporter
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from tests.capabilities import CALLING, CAPABILITIES
from tests.simulation.database import Session
from tests.simulation.outside import CHANNELS, PROVIDER_TIMEOUT_S, Certain
from tests.simulation.scenario import AS_IT_IS, RunResult, Scenario, Variant
from tests.simulation.senders import KEY as FLAPPING_KEY
from tests.simulation.world import START, require

_WITHIN = timedelta(seconds=2)
_RESPONSES: Mapping[ProviderBehaviour, tuple[str, tuple[Result, ...]]] = {
    ProviderBehaviour.REFUSED: ("refused for good", ()),
    ProviderBehaviour.FAILING: ("busy", ()),
    ProviderBehaviour.SILENT: ("accepted", ()),
    ProviderBehaviour.ACCEPTED: ("accepted", (Result.ACCEPTED, Result.DELIVERED)),
}
_SECOND = timedelta(seconds=1)
_CHAINED = 0.5
_WAITS_S = (20, 90, 240, 900)
_FORETOLD = "SELECT id FROM notifyflow_incident WHERE NOT is_operations AND key <> ?"  # what was before is not explained
_VISIBLE = frozenset(
    {NextEventKind.ATTEMPT, NextEventKind.EXPIRY, NextEventKind.TIER, NextEventKind.ROUND, NextEventKind.OPERATIONS}
)
_Key = tuple[NextEventKind, str, int | None]


class Calm(Scenario):
    """A world in which nothing goes wrong but what the providers respond."""

    threads = 24

    def __init__(self, seed: int, variant: Variant) -> None:
        super().__init__(seed, variant)
        chance = self.world.apart("calm")
        self._behaviour = chance.choice(list(ProviderBehaviour))
        outcome, receipts = _RESPONSES[self._behaviour]
        longest_s = chance.choice((0.0, 1.0, PROVIDER_TIMEOUT_S))
        self._longest = timedelta(seconds=longest_s)
        self._outside.certain = Certain(outcome=outcome, receipts=receipts, latencies_s=(longest_s / 2, longest_s))
        self._outside.dropping = {}
        if self._behaviour in (ProviderBehaviour.REFUSED, ProviderBehaviour.FAILING):  # they would be told again for ever
            self._operations, self._checks.alarms.has_recipients = (), False
        self._operators.limits = {}
        self._phones.senders = {}
        self._subscribers = ()
        self._hand_overs.acts_at_hand_over = False
        self._checks.chains.is_calm = self._senders.is_calm = self._quiet.is_on = True
        self.world.widest_skew_s = 0.0
        for process in self.world.processes:
            process.skew = timedelta()
        self._promised: dict[str, dict[_Key, NextEvent]] = {}
        self._steps_promised: dict[str, tuple[str, datetime]] = {}
        self._commits = 0

    def _draw_faults(self) -> None:
        """Draw none."""

    def _write_script(self) -> None:
        """Notify one or two people, and do nothing else."""
        chance = self.world.apart("people")
        self._acknowledges_at_tier = False
        for number in range(chance.choice((1, 1, 2))):
            ways = [name for name in CHANNELS if chance.random() < 0.7] or ["email"]
            who = Recipient(id=f"p{number}", addresses={name: f"p{number}@{name}" for name in ways})
            self._people(0, partial(self._notify, key=f"calm-{number}"), chance.choice(list(Severity)), [who])
        self._wishes.write_twins(self._people, self._notify, self.world.apart("twins"))
        apart = self.world.apart("calm chain")
        if apart.random() < _CHAINED:
            self._people(0, partial(self._notify_in_steps, apart))
        self._senders.write_script(self._people, self._submit, self._policy, until_s=self._heals_s)

    def _notify_in_steps(self, chance: Random, deps: Dependencies) -> FollowUps:
        """Page one or two people, and one or two others after them; some have quiet hours."""
        del deps
        team = []
        for number in range(4):
            ways = [name for name in sorted(self._outside.reporting) if chance.random() < 0.5] or ["sms"]
            team.append(self._quiet.given(Recipient(id=f"s{number}", addresses={name: f"s{number}@{name}" for name in ways})))
        first, later = team[: chance.choice((1, 2))], team[2 : chance.choice((3, 4))]
        chain = Chain(
            to=tuple(each.id for each in first),
            then=tuple(Planned(to=(each.id,), after=timedelta(seconds=chance.choice(_WAITS_S))) for each in later),
            people=tuple(
                Contact(recipient_id=each.id, name=each.id, addresses=each.addresses, quiet=each.quiet) for each in later
            ),
            over_after=timedelta(seconds=chance.choice(_WAITS_S)),
        )
        severity = chance.choice((*[Severity.CRITICAL] * 3, Severity.ERROR))
        policy = replace(self._policy, acknowledgement=Acknowledgement.ANY)
        self._submit(Incident(key="calm-chain", title="down", severity=severity), first, policy, SHARED, chain)
        return NOTHING

    def _sweep_once(self, deps: Dependencies, reporter: Reporter, deliverer: Deliverer) -> datetime:
        """Sweep; a sweeper that missed a commit looks again after a second, as each one does in the product."""
        before = self._commits
        wake_at: datetime = super()._sweep_once(deps, reporter, deliverer)
        return wake_at if self._commits == before else min(wake_at, deps.clock.now() + _SECOND)

    def _after_commit(self, session: Session) -> None:
        super()._after_commit(session)
        self._commits += bool(session.lines)
        for incident_id in dict.fromkeys(line["incident_id"] for line in session.lines):
            status = self._database.status(incident_id)
            self._check_promises(status)
            self._check_step(status)

    def _at_end(self) -> None:
        super()._at_end()
        for (incident_id,) in self._database.look(_FORETOLD, FLAPPING_KEY):
            status = self._database.status_with_log(incident_id)
            self._check_promises(status)
            first = status.escalations[0].facts
            for escalation in () if status.steps else status.escalations:
                self._check_forecast(status, escalation, first)
        self._wishes.check_twins(longest=self._longest)
        left = {key[-4:]: [each.what for each in promised.values()] for key, promised in self._promised.items() if promised}
        require(not left, f"next: at the end it is said to come: {left}")
        require(not self._steps_promised, f"next: at the end a step is said to start: {self._steps_promised}")

    def _check_promises(self, status: IncidentStatus) -> None:
        """Require that what was said to come at an instant came then, and note what is said now.

        What quiet hours put off is left out: it is said once it was tried.
        """
        now = self._now()
        for escalation in (each for each in status.escalations if not self._quiet.paused_intervals(each.facts)):
            row_id = escalation.facts.id
            coming = next_events.next_events(_context(status, escalation, escalation.facts), now)
            kept = [each for each in coming if not _pages_again(each, escalation.facts)]
            said = {_key(each): each for each in kept if each.what in _VISIBLE and each.at is not None}
            for key, promised in self._promised.get(row_id, {}).items():
                at = promised.at
                assert at is not None
                what = f"next: {promised.what} for {row_id[-4:]} was said to come at {at:%H:%M:%S}"
                # an alert has no line in the log
                told_at = escalation.facts.alerted_at if promised.what is NextEventKind.OPERATIONS else None
                is_told = told_at is not None and told_at <= at + _WITHIN
                require(is_told or now <= at + _WITHIN, f"{what}, and has not until {now:%H:%M:%S}")
                is_early = promised.what is NextEventKind.ATTEMPT and now < at - _WITHIN and _has_come(promised, escalation)
                require(not is_early, f"{what}, and came at {now:%H:%M:%S}")
                if at <= now and key in said:
                    said[key] = said[key] if _waits(promised, escalation) else promised
                elif at <= now:
                    require(_has_come(promised, escalation), f"{what}, and will not")
            self._promised[row_id] = said

    def _check_step(self, status: IncidentStatus) -> None:
        """Require that the step that was said to come next started then, and note what is said now."""
        now, incident_id = self._now(), status.facts.id
        if incident_id in self._steps_promised:
            step_id, at = self._steps_promised.pop(incident_id)
            step = next(each for each in status.steps if each.id == step_id)
            what = f"next: step {step.number} was said to start at {at:%H:%M:%S}"
            require(now <= at + _WITHIN, f"{what}, and has not until {now:%H:%M:%S}")
            is_early = step.state is not StepState.WAITING and now < at - _WITHIN
            require(not is_early, f"{what}, and started at {now:%H:%M:%S}")
        contexts = [_context(status, each, each.facts) for each in status.escalations if each.facts.is_current]
        if (found := next_step(status, contexts, (), lambda step: {}, now=now)) is not None:
            self._steps_promised[incident_id] = (found.step.id, found.all_failed_at or found.at)

    def _check_forecast(self, status: IncidentStatus, escalation: EscalationStatus, first: EscalationFacts) -> None:
        """Require that the tiers, the call, the alert, the attempts and the rounds come within the ranges."""
        facts = escalation.facts
        found = self._forecast(status, escalation)
        what = f"explain ({self._behaviour}, {facts.policy.name}, {facts.severity}): {facts.id[-4:]}"
        ranges = {(each.event.what, each.event.tier): each for each in found.expected if each.behaviour is self._behaviour}
        came = dict(_came(status, escalation))
        for key, after in came.items():
            expected = ranges.get(key)
            require(expected, f"{what}: {key} came after {after}, and was not expected")
            assert expected is not None
            is_within = expected.earliest - _WITHIN <= after <= expected.latest + _WITHIN
            require(is_within, f"{what}: {key} came after {after}, not within {expected.earliest} to {expected.latest}")
        every = facts.policy.repeat.every if facts.policy.repeat else found.expires_after
        for key, expected in ranges.items():
            require(key in came or expected.latest >= every, f"{what}: {key} was expected by {expected.latest}, and did not come")
        self._check_call(what, escalation, found, every)
        for row in escalation.notifications:
            for attempt in counted(row):
                require(attempt.started_at < facts.started_at + found.expires_after, f"{what}: an attempt begins after its end")
        starts = (timedelta(), *self._forecast(status, status.escalations[0]).rounds_at)
        start = facts.started_at - first.started_at
        require(abs(start - starts[facts.round - 1]) <= _WITHIN * facts.round, f"{what}: round {facts.round} began after {start}")

    def _check_call(self, what: str, escalation: EscalationStatus, found: Forecast, every: timedelta) -> None:
        called = [row.created_at - escalation.facts.started_at for row in escalation.notifications if row.channel in CALLING]
        by = found.called_after[self._behaviour]
        if by is None:
            require(not called, f"{what}: a phone rang after {called}; none was to")
        elif by < every:
            require(called and min(called) <= by + _WITHIN, f"{what}: a phone was to ring by {by}, and did after {called}")

    def _forecast(self, status: IncidentStatus, escalation: EscalationStatus) -> Forecast:
        facts = escalation.facts
        fresh = EscalationFacts(
            id=facts.id,
            incident_id=facts.incident_id,
            recipient_id=facts.recipient_id,
            round=facts.round,
            severity=facts.severity,
            policy=facts.policy,
            started_at=facts.started_at,
            repetition=facts.repetition,
        )
        models = {
            name: ChannelModel(
                providers=tuple(each.name for each in channel.providers),
                has_receipts=name in self._outside.reporting,
                capabilities=CAPABILITIES[name],
            )
            for name, channel in self._outside.channels.items()
            if name in CAPABILITIES
        }
        return forecast.forecast(replace(_context(status, escalation, fresh), notifications=()), models)

    def _now(self) -> datetime:
        return START + timedelta(seconds=self.world.now_s)


def _context(status: IncidentStatus, escalation: EscalationStatus, facts: EscalationFacts) -> DecisionContext:
    return DecisionContext(
        escalation=facts,
        incident=status.facts,
        notifications=escalation.notifications,
        addresses=frozenset(escalation.contact.addresses),
        calling=CALLING,
        wishes=wished(escalation.contact, facts.severity),
    )


def _pages_again(coming: NextEvent, facts: EscalationFacts) -> bool:
    """Return whether an open tier is to page again; an attempt of the firing before, which may still run, can put that off."""
    return coming.what is NextEventKind.TIER and (coming.tier or 0) <= facts.tier


def _key(coming: NextEvent) -> _Key:
    return coming.what, coming.notification_id, coming.attempt or coming.tier


def _waits(promised: NextEvent, escalation: EscalationStatus) -> bool:
    """Return whether a page waits for others, since a storm has begun after it was queued."""
    return any(each.id == promised.notification_id and each.waits_until for each in escalation.notifications)


def _has_come(promised: NextEvent, escalation: EscalationStatus) -> bool:
    """Return whether an event that was said to come has left its trace."""
    facts = escalation.facts
    row = next((each for each in escalation.notifications if each.id == promised.notification_id), None)
    match promised.what:
        case NextEventKind.TIER:
            return facts.tier >= (promised.tier or 0)
        case NextEventKind.ROUND:
            return not facts.is_current
        case NextEventKind.OPERATIONS:
            return facts.alerted_at is not None
        case NextEventKind.EXPIRY:
            return row is not None and row.state is NotificationState.FAILED
        case _:
            return row is not None and len(counted(row)) >= (promised.attempt or 0)


def _came(status: IncidentStatus, escalation: EscalationStatus) -> Mapping[tuple[NextEventKind, int | None], timedelta]:
    """Return when each tier was opened, and operations was told."""
    facts = escalation.facts
    lines = [line for line in status.transitions if line.row_id == facts.id and line.event == "tier_opened"]
    opened = {int(line.detail["tier"]): line.at for line in lines}
    came: dict[tuple[NextEventKind, int | None], timedelta] = {}
    for row in escalation.notifications:
        if row.kind is Kind.PAGE:
            opened_at = opened.get(row.tier or 0, row.created_at)
            came.setdefault((NextEventKind.TIER, row.tier), opened_at - facts.started_at)
            if row.created_at < opened_at:  # it was wished for, and its tier adopted it
                came.setdefault((NextEventKind.TIER, 0), row.created_at - facts.started_at)
    if facts.alerted_at is not None:
        came[NextEventKind.OPERATIONS, None] = facts.alerted_at - facts.started_at
    return came


def simulate_calm(seed: int, variant: Variant = AS_IT_IS) -> RunResult:
    """Run one calm world and return its result."""
    return Calm(seed, variant).run()
