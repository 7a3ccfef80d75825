"""Any driver at all, over real SQLite, against the oracle: people, workers, providers and time in any order."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.facts import NotificationFacts, Outcome
from notifyflow.core.delivery.machines import ESCALATION, INCIDENT, NOTIFICATION
from notifyflow.core.delivery.model import (
    AT_REST,
    AttemptState,
    EscalationState,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
)
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Acknowledgement, Policy
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.errors import Fenced, IncidentResolved
from notifyflow.pipeline.transaction.ports import Claimed
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, BUSY, CHANNELS, REFUSED, REFUSED_US, UNKNOWN, a_contact, a_recipient, an_incident
from tests.capabilities import CALLING
from tests.deep import examples
from tests.driver import Driver
from tests.oracle import OracleRow, name, opens

KEYS = ("db-1", "db-2")
PEOPLE = ("ada", "ben", "cyd")
POLICIES = (DEFAULT, INSISTENT, replace(INSISTENT, name="each", acknowledgement=Acknowledgement.EACH))
OUTCOMES = (
    ACCEPTED,
    BUSY,
    replace(BUSY, retry_after_s=45.0),
    replace(BUSY, retry_after_s=3600.0),
    REFUSED,
    REFUSED_US,
    UNKNOWN,
)
SPANS = (1.0, 2.0, 10.0, 30.0, 31.0, 61.0, 61.0, 5 * 60.0, 15 * 60.0, 31 * 60.0, 3600.0, 80 * 3600.0)
TABLES = {table.name: table for table in (NOTIFICATION, ESCALATION, INCIDENT)}


class AnyStory(RuleBasedStateMachine):
    """What may happen, and what holds after each of it."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = shutil.copy(self.template, self.folder.name)
        self.store = Store(f"sqlite:///{path}")
        self.driver = Driver(self.store, operations=[a_contact("ops", "email", "sms")])
        self.rows: dict[str, OracleRow] = {}
        self.attempts: dict[str, tuple[str, int]] = {}
        self.carried: dict[str, list[str]] = {}  # by the attempt that makes their call, itself among them
        self.running: list[Claimed] = []
        self.reported: list[tuple[str, Result | None, str]] = []
        self.accepted: dict[str, int] = {}
        self.ended: dict[str, int] = {}
        self.keys: list[str] = []
        self.policy = DEFAULT

    @initialize(policy=st.sampled_from(POLICIES), severity=st.sampled_from(Severity))
    def begin(self, policy: Policy, severity: Severity) -> None:
        self.policy = policy
        self.notify(KEYS[0], severity, [("ada", {"email", "slack", "sms"}), ("ben", {"email", "voice"})], "down")

    @rule(
        key=st.sampled_from(KEYS),
        severity=st.sampled_from(Severity),
        people=st.lists(
            st.tuples(st.sampled_from(PEOPLE), st.sets(st.sampled_from(CHANNELS), min_size=1)), min_size=1, max_size=2
        ),
        title=st.sampled_from(("down", "still down")),
    )
    def notify(self, key: str, severity: Severity, people: list[tuple[str, set[str]]], title: str) -> None:
        recipients = [a_recipient(who, *sorted(channels)) for who, channels in people]
        self.driver.notify(an_incident(key, severity=severity, title=title), *recipients, policy=self.policy)
        self.keys = sorted({*self.keys, key})

    @precondition(lambda self: self.keys)
    @rule(data=st.data(), what=st.sampled_from(("acknowledge", "acknowledge", "page_again", "page_again", "resolve")))
    def act(self, data: st.DataObject, what: str) -> None:
        getattr(self, f"_{what}")(data, data.draw(st.sampled_from(self.keys)))

    def _acknowledge(self, data: st.DataObject, key: str) -> None:
        by = data.draw(st.sampled_from((*PEOPLE, "somebody else")))
        before = self.driver.status(key)
        self.driver.acknowledge(by, key)
        after = self.driver.status(key)
        if before.facts.state is IncidentState.RESOLVED:
            self._ends_at_most_the_series(before, after, by)
        elif before.facts.state is not IncidentState.OPEN:
            assert after.facts == before.facts
        elif self.policy.acknowledgement is Acknowledgement.ANY or by not in {
            each.facts.recipient_id for each in current(before)
        }:
            assert after.facts.state is IncidentState.ACKNOWLEDGED
        else:
            assert all(
                each.facts.state is EscalationState.ACKNOWLEDGED for each in current(after) if each.facts.recipient_id == by
            )

    def _ends_at_most_the_series(self, before: IncidentStatus, after: IncidentStatus, by: str) -> None:
        series, known = after.facts.series, before.facts.series
        assert series is not None
        is_for_one = self.policy.acknowledgement is Acknowledgement.EACH and by in ever_paged(before)
        assert by in series.over_for if is_for_one else series.is_over
        had_ended = known is not None and (by in known.over_for if is_for_one else known.is_over)
        as_before = replace(after.facts, series=known, version=before.facts.version)
        assert (after.facts if had_ended else as_before) == before.facts

    def _resolve(self, _: st.DataObject, key: str) -> None:
        self.driver.resolve("ada", key)
        assert self.driver.status(key).facts.state is IncidentState.RESOLVED

    def _page_again(self, data: st.DataObject, key: str) -> None:
        status = self.driver.status(key)
        who = data.draw(st.sampled_from(sorted({each.contact.recipient_id for each in status.escalations})))
        if status.facts.state is IncidentState.RESOLVED:
            with pytest.raises(IncidentResolved):
                self.driver.page_again(who, key)
            return
        self.driver.page_again(who, key)
        assert self.driver.status(key).facts.state is IncidentState.OPEN

    @rule(channels=st.sets(st.sampled_from(CHANNELS), min_size=3), has_provider=st.sampled_from((True, True, True, False)))
    def claim(self, channels: set[str], has_provider: bool) -> None:
        escalations = {each.facts.id: each for status in self._all() for each in status.escalations}
        providers = [f"provider {len(self.attempts)}"] if has_provider else []  # so that none is ever found unhealthy, or mute
        calls = [call for each in sorted(channels) for call in self.driver.claim(each, limit=2, providers=providers)]
        for call in calls:  # what was late leaves in one call
            self.carried[call.message.attempt_id] = [each.message.attempt_id for each in call.attempts]
        for claimed in chain.from_iterable(call.attempts for call in calls):
            row = self.rows[claimed.message.notification_id]
            row.claim()
            self.attempts[claimed.message.attempt_id] = (claimed.message.notification_id, len(row.calls) - 1)
            self.running.append(claimed)
            [(escalation, kind)] = [
                (each, row.kind)
                for each in escalations.values()
                for row in each.notifications
                if row.id == claimed.message.notification_id
            ]
            if kind is Kind.PAGE:
                assert is_live(escalation), "a page of an escalation that has ended was claimed"

    @precondition(lambda self: self.running)
    @rule(data=st.data(), outcome=st.none() | st.sampled_from(OUTCOMES))
    def finish(self, data: st.DataObject, outcome: Outcome | None) -> None:
        """Record an attempt, or (without an outcome) release it; whoever lost the lease is fenced off."""
        self._finish(self.running.pop(data.draw(st.integers(0, len(self.running) - 1))), outcome)

    @precondition(lambda self: self.running)
    @rule(outcome=st.sampled_from(OUTCOMES))
    def finish_all(self, outcome: Outcome) -> None:
        """Record everything that is running alike: primaries fail together."""
        while self.running:
            self._finish(self.running.pop(), outcome)

    def _finish(self, claimed: Claimed, outcome: Outcome | None) -> None:
        row_id, number = self.attempts[claimed.message.attempt_id]
        row = self.rows[row_id]
        is_fenced = row.running != number
        with pytest.raises(Fenced) if is_fenced else nullcontext():
            self._call(claimed, outcome)
        if is_fenced:
            return
        if outcome is None:
            row.release()
        else:
            row.record(outcome.result.value)
            self.accepted[row_id] = self.accepted.get(row_id, 0) + (outcome.result is Result.ACCEPTED)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), result=st.none() | st.sampled_from(Result), key=st.sampled_from(("", "", "", "1", "5")))
    def report(self, data: st.DataObject, result: Result | None, key: str) -> None:
        attempt_id = data.draw(st.sampled_from(sorted(self.attempts)))
        self.reported.append((attempt_id, Result.DELIVERED if key else result, f"said-{len(self.reported)}"))
        self._report(*self.reported[-1], key=key)

    @precondition(lambda self: self.reported)
    @rule(data=st.data())
    def hear_again(self, data: st.DataObject) -> None:
        self._report(*data.draw(st.sampled_from(self.reported)))

    @rule(seconds=st.sampled_from(SPANS))
    def pass_time(self, seconds: float) -> None:
        self.driver.note_sweep(self.driver.clock.now() + timedelta(seconds=seconds))
        self.sweep()

    @rule()
    def sweep(self) -> None:
        now = self.driver.clock.now()
        for claimed in self.running:
            row_id, number = self.attempts[claimed.message.attempt_id]
            if self.rows[row_id].running == number and claimed.lease_until <= now:
                self.rows[row_id].record("in_doubt")
        follow_ups = self.driver.sweep()
        assert follow_ups.broken == ()
        for status in self._all():
            for escalation in filter(is_live, current(status)):
                context = context_of(status, escalation)
                assert not opens(context, now), "a tier whose rule is met was not opened"
                assert escalation.facts.state == name(context, now)

    @invariant()
    def what_always_holds(self) -> None:
        self.driver.clock.pass_time(timedelta(milliseconds=10))
        statuses = self._all()
        self.every_row_is_what_its_attempts_amount_to(statuses)
        every_log_replays_and_says_nothing_personal(statuses)
        self.tiers_open_once_and_never_after_the_end(statuses)
        operations_is_linked_where_it_is_told_and_never_to_its_own(statuses)

    def every_row_is_what_its_attempts_amount_to(self, statuses: list[IncidentStatus]) -> None:
        for status in statuses:
            for escalation in status.escalations:
                for row in escalation.notifications:
                    oracle = self.rows.setdefault(row.id, OracleRow(row.max_attempts))
                    oracle.is_ended, oracle.is_stopped = row.ended is not None, row.is_stopped
                    assert row.state == oracle.expected_state()
                    assert row.kind is Kind.STATUS_UPDATE or row.is_stopped is not is_live(escalation)
                    assert_attempts_are_sound(row)
                    assert self.accepted.get(row.id, 0) <= 1 + allowed_duplicates(row)

    def tiers_open_once_and_never_after_the_end(self, statuses: list[IncidentStatus]) -> None:
        for status in statuses:
            for escalation in status.escalations:
                pages = [row for row in escalation.notifications if row.kind is Kind.PAGE]
                assert len({(row.tier, row.channel) for row in pages}) == len(pages)
                assert all(row.tier is not None and 1 <= row.tier <= escalation.facts.tier for row in pages)
                if not is_live(escalation):
                    assert len(pages) == self.ended.setdefault(escalation.facts.id, len(pages))
            if status.facts.state is IncidentState.ACKNOWLEDGED:
                assert all(each.facts.state is EscalationState.ACKNOWLEDGED for each in current(status))
            if status.facts.state is IncidentState.RESOLVED:
                assert not current(status)

    def teardown(self) -> None:
        """Whatever happened, everything comes to rest when workers and time go on."""
        try:
            self.driver.deliver()
            self.driver.pass_time(days=5)
            for status in self._all():
                assert status.is_settled
                for escalation in status.escalations:
                    assert {row.state for row in escalation.notifications} <= AT_REST
        finally:
            self.store.close()
            self.folder.cleanup()

    def _report(self, attempt_id: str, result: Result | None, event_id: str, *, key: str = "") -> None:
        self.driver.report(attempt_id, result, event_id=event_id, key=key)
        for each in self.carried.get(attempt_id, [attempt_id]):
            row_id, number = self.attempts[each]
            if result is not None:
                self.rows[row_id].calls[number].add(result.value)

    def _call(self, claimed: Claimed, outcome: Outcome | None) -> None:
        if outcome is None:
            self.driver.release(claimed)
        else:
            self.driver.record(claimed, outcome)

    def _all(self) -> list[IncidentStatus]:
        incidents = self.store.read(lambda reads: reads.incidents(100))
        return [status for each in incidents if (status := self.store.read(lambda reads, each=each: reads.status_by_id(each.id)))]


def every_log_replays_and_says_nothing_personal(statuses: list[IncidentStatus]) -> None:
    for status in statuses:
        states = dict(states_of(status))
        found: dict[tuple[str, str], str] = {}
        for line in status.transitions:
            table, row = TABLES[line.machine], (line.machine, line.row_id)
            if row in found:
                assert line.source == found[row]
                assert line.target in table.targets(line.source, line.event)
            else:
                assert line.source == ""
                assert line.target in table.initial_states
            found[row] = line.target
            assert "@" not in "".join(chain(*line.detail.items()))
        assert found == states


def operations_is_linked_where_it_is_told_and_never_to_its_own(statuses: list[IncidentStatus]) -> None:
    operations = [each for each in statuses if each.facts.is_operations]
    assert len([each for each in operations if each.facts.state is not IncidentState.RESOLVED]) <= 1
    assert all(each.operations_key is None for each in operations)
    for status in statuses:
        is_due = any((each.facts.critical_at or each.facts.held_up_at) is not None for each in status.escalations)
        series, opened_at = status.facts.series, status.facts.opened_at
        is_flapping = series is not None and series.flapping_at is not None and series.flapping_at >= opened_at
        if not status.facts.is_operations:
            assert (status.operations_key is not None) is (is_due or is_flapping)


def current(status: IncidentStatus) -> list[EscalationStatus]:
    return [each for each in status.escalations if each.facts.is_current]


def ever_paged(status: IncidentStatus) -> set[str]:
    return {each.facts.recipient_id for each in status.escalations}


def is_live(escalation: EscalationStatus) -> bool:
    return escalation.facts.is_current and escalation.facts.state is not EscalationState.ACKNOWLEDGED


def context_of(status: IncidentStatus, escalation: EscalationStatus) -> DecisionContext:
    return DecisionContext(
        escalation=escalation.facts,
        incident=status.facts,
        notifications=escalation.notifications,
        addresses=frozenset(escalation.contact.addresses),
        calling=CALLING,
    )


def states_of(status: IncidentStatus) -> Iterator[tuple[tuple[str, str], str]]:
    yield ("incident", status.facts.id), status.facts.state
    for escalation in status.escalations:
        yield ("escalation", escalation.facts.id), escalation.facts.state
        for row in escalation.notifications:
            yield ("notification", row.id), row.state


def assert_attempts_are_sound(row: NotificationFacts) -> None:
    assert len(counted(row)) <= row.max_attempts
    assert sum(attempt.state is AttemptState.RUNNING for attempt in row.attempts) <= 1
    assert (row.due_at is not None) is (row.state is NotificationState.QUEUED)
    began: list[datetime] = [attempt.started_at for attempt in row.attempts]
    assert began == sorted(began)


def allowed_duplicates(row: NotificationFacts) -> int:
    return sum(
        attempt.is_doubted or attempt.result in (Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE) for attempt in row.attempts
    )


@pytest.mark.slow
@pytest.mark.usefixtures("unmeasured")
def test_any_story_ends_as_the_oracle_says(sqlite_url: str) -> None:
    driver = type("AnyStory", (AnyStory,), {"template": Path(sqlite_url.removeprefix("sqlite:///"))})
    run_state_machine_as_test(
        driver, settings=settings(max_examples=examples(20), stateful_step_count=25, phases=[Phase.generate])
    )


def test_an_attempt_under_way_makes_no_old_failure_a_new_one(sqlite_url: str) -> None:
    story = type("AnyStory", (AnyStory,), {"template": Path(sqlite_url.removeprefix("sqlite:///"))})()
    story.begin(policy=DEFAULT, severity=Severity.CRITICAL)
    story.notify("db-1", Severity.WARNING, [("ben", {"email", "slack", "sms", "push"})], "still down")
    story.what_always_holds()
    story.claim(channels={"email", "slack", "push"}, has_provider=True)
    story.finish_all(outcome=replace(BUSY, retry_after_s=45.0))
    for channels in ({"email", "push"}, {"push"}):
        story.what_always_holds()
        story.pass_time(seconds=3600.0)
        story.what_always_holds()
        story.claim(channels=channels, has_provider=True)
    story.what_always_holds()
    story.sweep()
    story.teardown()
