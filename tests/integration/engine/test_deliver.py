"""One ring handled: claim, send, record, over a real database and a scripted channel."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Event
from typing import Any, TypeVar

import pytest

from notifyflow.app.composition import WIRING
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.intervals import Outage
from notifyflow.core.delivery.model import AttemptState, DeferralReason, Ended, NotificationState, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.limits.provider_health import ProviderHealth
from notifyflow.core.messages.content import UNTITLED
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.engine.deliver import Deliverer
from notifyflow.engine.reporter import Reporter
from notifyflow.errors import (
    BrokerUnavailable,
    InvalidSettings,
    PermanentProviderError,
    RefusedUsError,
    StorageUnavailable,
    TemporaryProviderError,
    UnknownOutcomeError,
)
from notifyflow.pipeline.delivery.endings import end_queued
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.pipeline.transaction.ports import Dependencies, FollowUps
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.builders import START, CountingIds, HandClock, a_recipient, an_incident
from tests.capabilities import CAPABILITIES
from tests.integration.engine.scripted import ScriptedChannel, ScriptedProvider
from tests.log_lines import capture_logs
from tests.notifying import notify

T = TypeVar("T")
LEASE = timedelta(seconds=60)
SEND_BUDGET = timedelta(seconds=13)


class NotedBell:
    """Notes what is rung for; or is away."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, Severity, tuple[str, ...]]] = []
        self.is_away = False

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        if self.is_away:
            raise BrokerUnavailable
        self.rung += [(channel, severity, tuple(each)) for each in rings]


class FlakyStore:
    """A store that is unavailable for a number of transactions; others act after some."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.failures = 0
        self.error: BaseException | None = None
        self.others: list[Callable[[], object]] = []

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        if self.failures > 0:
            self.failures -= 1
            raise self.error or StorageUnavailable(timeout_s)
        result = self.store.run(use_case, timeout_s=timeout_s, tries=tries)
        if self.others:
            self.others.pop(0)()
        return result


class Scene:
    """A deliverer over a store, with one channel, email."""

    def __init__(
        self,
        store: Store,
        *,
        lease: timedelta = LEASE,
        send_budget: timedelta = SEND_BUDGET,
        provider: ScriptedProvider | None = None,
        **deps: Any,
    ) -> None:
        self.store = store
        self.flaky = FlakyStore(store)
        self.clock = HandClock()
        self.provider = provider or ScriptedProvider()
        self.bell = NotedBell()
        self.deps = Dependencies(
            transactions=self.flaky,
            wiring=WIRING,
            clock=self.clock,
            ids=CountingIds(),
            channels={name: CAPABILITIES[name] for name in ("email", "slack")},
            check_address=lambda _channel, address: address,
            lease=lease,
            **deps,
        )
        self.urgent_rings = 0
        self._send_budget = send_budget
        self.start()

    def start(self) -> None:
        """Start a worker; the one before has stopped, or was killed."""
        self.deliverer = Deliverer(
            self.deps,
            {"email": ScriptedChannel(self.provider), "slack": ScriptedChannel()},
            Reporter(self.bell, self.deps),
            send_budget=self._send_budget,
            concurrency=10,
            urgent_rings=lambda: self.urgent_rings,
        )

    def notify(self, *who: str, key: str = "db-1", channel: str = "email", severity: Severity = Severity.ERROR) -> list[str]:
        people = [a_recipient(each, channel) for each in who]
        accepted = notify(self.deps, an_incident(key, severity=severity), people, policy=DEFAULT)
        return [due.notification_id for due in accepted.follow_ups.due]

    def rows(self, key: str = "db-1") -> tuple[NotificationFacts, ...]:
        status = self.store.read(lambda reads: reads.status(key))
        assert status is not None
        return tuple(row for escalation in status.escalations for row in escalation.notifications)

    def attempt(self) -> AttemptFacts:
        (row,) = self.rows()
        return row.attempts[-1]

    def health(self) -> ProviderHealth:
        found = self.store.run(lambda ledger: ledger.providers.get("email", "scripted"))
        assert found is not None
        return found

    def states(self, key: str = "db-1") -> list[NotificationState]:
        return [row.state for row in self.rows(key)]


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store)


def test_what_was_rung_for_is_sent_and_recorded(scene: Scene) -> None:
    scene.deliverer.deliver("email", scene.notify("ada"))
    (message,) = scene.provider.messages
    assert message.address == "ada@email"
    assert message.content.title == "orders db is down"
    assert message.incident_id == scene.rows()[0].incident_id
    assert scene.states() == [NotificationState.SENT]
    assert scene.attempt().id == message.attempt_id
    assert scene.attempt().provider_ref == message.attempt_id
    assert scene.attempt().took_s is not None


def test_what_was_due_for_whoever_rang_is_sent_though_our_clock_is_behind(scene: Scene) -> None:
    ids = scene.notify("ada")
    scene.clock.at -= timedelta(milliseconds=5)
    scene.deliverer.deliver("email", ids)
    assert scene.states() == [NotificationState.SENT]


def test_a_late_ring_sends_nothing_that_is_put_off(scene: Scene) -> None:
    scene.provider.script.append(TemporaryProviderError("busy"))
    ids = scene.notify("ada")
    scene.deliverer.deliver("email", ids)
    (row,) = scene.rows()
    assert row.due_at is not None
    scene.clock.at = row.due_at - timedelta(milliseconds=5)
    scene.deliverer.deliver("email", ids)
    assert len(scene.provider.messages) == 1


def test_one_call_carries_what_waited_in_quiet_hours_and_its_outcome_is_recorded_for_all(scene: Scene) -> None:
    keys = ("db-1", "db-2", "db-3")
    ada = replace(a_recipient("ada", "email"), quiet="22:00-07:00")
    for key in keys:
        notify(scene.deps, an_incident(key), [ada], policy=DEFAULT)
    rung = [row.id for key in keys for row in scene.rows(key)]
    for _ in rung:  # one at a time, while the latency is unknown
        scene.deliverer.deliver("email", rung)
    scene.clock.pass_time(timedelta(hours=4))
    scene.provider.script.append(TemporaryProviderError("busy", code="503"))
    scene.deliverer.deliver("email", rung[1:2])
    scene.clock.pass_time(timedelta(minutes=1))
    scene.deliverer.deliver("email", rung[2:])
    assert [message.content.title for message in scene.provider.messages] == [
        "3 incidents waited while you were quiet: 3 ERROR",
        "3 incidents: 3 ERROR",
    ]
    assert [scene.states(key) for key in keys] == [[NotificationState.SENT]] * 3
    attempts = [scene.rows(key)[0].attempts[-1] for key in keys]
    assert [(each.sent_with, each.provider_ref) for each in attempts] == [
        (attempts[0].id, attempts[0].id),
        (attempts[0].id, ""),
        (attempts[0].id, ""),
    ]
    assert [each.took_s is None for each in attempts] == [False, True, True]


@pytest.mark.parametrize(
    ("raised", "result", "state"),
    [
        (TemporaryProviderError("busy", code="503", retry_after_s=7), Result.TEMPORARY_FAILURE, NotificationState.QUEUED),
        (PermanentProviderError("no such address", code="404"), Result.PERMANENT_FAILURE, NotificationState.FAILED),
        (RefusedUsError("bad credentials", code="401"), Result.TEMPORARY_FAILURE, NotificationState.QUEUED),
        (UnknownOutcomeError("no answer"), Result.IN_DOUBT, NotificationState.QUEUED),
        (InvalidSettings(()), Result.TEMPORARY_FAILURE, NotificationState.QUEUED),
        (ZeroDivisionError("a plug-in's bug about ada@email"), Result.IN_DOUBT, NotificationState.QUEUED),
    ],
)
def test_each_way_to_fail_is_recorded_as_what_it_means(
    scene: Scene, raised: Exception, result: Result, state: NotificationState
) -> None:
    scene.provider.script.append(raised)
    with capture_logs() as lines:
        scene.deliverer.deliver("email", scene.notify("ada"))
    assert scene.attempt().result is result
    assert scene.states() == [state]
    assert scene.attempt().is_our_fault == isinstance(raised, RefusedUsError | InvalidSettings)
    assert scene.attempt().retry_after_s == getattr(raised, "retry_after_s", None)
    assert scene.attempt().is_doubted == (result is Result.IN_DOUBT)
    assert "ada@email" not in str(lines)


def test_a_critical_page_that_a_channel_cannot_render_leaves_without_its_title(scene: Scene) -> None:
    def render(message: OutboundMessage) -> None:
        message.content.title.encode("ascii")

    scene.provider.script.extend([render] * 2)
    incident = an_incident(severity=Severity.CRITICAL, title="заказы")
    notify(scene.deps, incident, [a_recipient("ada", "email")], policy=DEFAULT)
    rung = [row.id for row in scene.rows()]
    for _ in range(2):
        scene.deliverer.deliver("email", rung)
        scene.clock.pass_time(timedelta(seconds=30))
    assert [message.content.title for message in scene.provider.messages] == ["заказы", UNTITLED]
    assert scene.states() == [NotificationState.SENT]


def test_the_attempt_is_committed_before_the_provider_is_called(scene: Scene) -> None:
    seen: list[AttemptFacts] = []
    scene.provider.script.append(lambda _message: seen.append(scene.attempt()))
    scene.deliverer.deliver("email", scene.notify("ada"))
    (attempt,) = seen
    assert attempt.state is AttemptState.RUNNING
    assert attempt.id == scene.provider.messages[0].attempt_id


def test_a_provider_that_is_gone_after_the_claim_is_a_failure_of_its_attempts_alone(scene: Scene) -> None:
    ids = scene.notify("ada", "bob")
    scene.deliverer.deliver("email", scene.notify("eve", key="known"))  # now its latency is known, and two are claimed at once
    scene.provider.script.append(lambda _message: setattr(scene.provider, "name", "renamed"))
    scene.deliverer.deliver("email", ids)
    assert len(scene.provider.messages) == 2
    assert sorted(scene.states()) == [NotificationState.QUEUED, NotificationState.SENT]
    (failed,) = [row.attempts[0] for row in scene.rows() if row.state is NotificationState.QUEUED]
    assert (failed.result, failed.reason) == (Result.TEMPORARY_FAILURE, "the channel has no provider scripted any more")


def test_one_ring_makes_as_many_attempts_as_it_named_and_the_critical_ones_first(scene: Scene) -> None:
    ids = scene.notify("ada", "bob", "cyd", key="calm")
    scene.notify("eve", key="urgent", severity=Severity.CRITICAL)
    scene.deliverer.deliver("email", ids)
    assert len(scene.provider.messages) == 3
    assert scene.states("urgent") == [NotificationState.SENT]
    assert sorted(scene.states("calm")) == ["QUEUED", "SENT", "SENT"]


def test_one_is_claimed_while_the_latency_is_unknown_and_as_many_as_fit_afterwards(scene: Scene) -> None:
    running: list[int] = []

    def send(_message: object) -> None:
        running.append(sum(state is NotificationState.SENDING for state in scene.states()))
        scene.clock.pass_time(timedelta(milliseconds=20))

    scene.provider.script.extend([send] * 14)
    scene.deliverer.deliver("email", scene.notify(*"abcdefghijklmn"))
    # twelve fit into 250 ms; three outcomes are committed together, since a fourth call would outlast the 50 ms
    assert running == [1, *[12] * 3, *[9] * 3, *[6] * 3, *[3] * 3, 1]
    assert set(scene.states()) == {NotificationState.SENT}


def test_a_thread_that_finds_due_rows_for_long_claims_up_to_a_tenth_of_that_time(scene: Scene) -> None:
    scene.deliverer.share(1)
    running: list[int] = []

    def send(_message: object) -> None:
        if not running:  # it is turned away, so that the thread inside goes on until nothing is due
            scene.deliverer.deliver("email", ids[1:])
        running.append(sum(state is NotificationState.SENDING for state in scene.states()))
        scene.clock.pass_time(timedelta(milliseconds=200))

    scene.provider.script.extend([send] * 70)
    ids = scene.notify(*(f"r{number:02}" for number in range(70)))
    scene.deliverer.deliver("email", ids[:1])
    assert running[:20] == [1] * 20  # 250 ms allow one; 400 ms, after the first four seconds, two
    assert max(running) == 5  # a second
    assert sorted(map(running.index, range(1, 6))) == [*map(running.index, range(1, 6))]


def test_a_lease_that_would_not_outlive_the_send_is_given_back(scene: Scene) -> None:
    def dawdle(_message: object) -> None:
        scene.clock.pass_time(LEASE - SEND_BUDGET + timedelta(seconds=1))

    scene.deliverer.deliver("email", scene.notify("ada", key="before"))
    scene.provider.script.append(dawdle)
    ids = scene.notify("bob", "cyd")
    scene.deliverer.deliver("email", ids)
    by_state = {row.state: row for row in scene.rows()}
    assert by_state.keys() == {NotificationState.SENT, NotificationState.QUEUED}
    released = by_state[NotificationState.QUEUED]
    assert [attempt.state for attempt in released.attempts] == [AttemptState.NOT_SENT]
    assert len(scene.provider.messages) == 2
    assert scene.bell.rung == [("email", Severity.ERROR, (released.id,))]


@pytest.mark.parametrize(("lasts_s", "at_once"), [(0.05, 5), (3, 1)])
def test_under_a_short_lease_nothing_is_claimed_that_would_have_to_be_given_back(
    store: Store, lasts_s: float, at_once: int
) -> None:
    scene = Scene(store, lease=timedelta(seconds=5), send_budget=timedelta(seconds=3))
    running: list[int] = []

    def send(_message: object) -> None:
        running.append(sum(state is NotificationState.SENDING for state in scene.states()))
        scene.clock.pass_time(timedelta(seconds=lasts_s))

    scene.provider.script.extend([send] * 9)
    scene.deliverer.deliver("email", scene.notify(*"abcdefghi"))
    assert max(running) == at_once
    assert {(row.state, len(row.attempts)) for row in scene.rows()} == {(NotificationState.SENT, 1)}


def test_a_thread_that_is_cut_short_while_it_gives_rings_back_still_owes_them(scene: Scene) -> None:
    ids = scene.notify("ada")
    scene.flaky.failures = 1
    with pytest.raises(StorageUnavailable):
        scene.deliverer.deliver("email", ids)
    scene.flaky.failures, scene.flaky.error = 1, KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        scene.deliverer.pay_back()
    assert not sweep(scene.deps).due
    scene.deliverer.pay_back()
    assert [due.notification_id for due in sweep(scene.deps).due] == ids


def test_after_stop_what_runs_is_recorded_and_what_is_claimed_is_released(scene: Scene) -> None:
    scene.deliverer.deliver("email", scene.notify("ada", key="before"))
    scene.provider.script.append(lambda _message: scene.deliverer.stop())
    scene.deliverer.deliver("email", scene.notify("bob", "cyd", "dan"))
    assert sorted(scene.states()) == ["QUEUED", "QUEUED", "SENT"]
    assert {attempt.state for row in scene.rows() for attempt in row.attempts} == {AttemptState.RECORDED, AttemptState.NOT_SENT}
    assert all(row.due_at == scene.clock.now() for row in scene.rows() if row.state is NotificationState.QUEUED)
    scene.deliverer.deliver("email", scene.notify("eve", key="after"))
    assert scene.states("after") == [NotificationState.QUEUED]


def test_a_thread_that_is_cut_short_gives_back_what_it_has_not_begun(scene: Scene) -> None:
    def interrupt(_message: object) -> None:
        raise KeyboardInterrupt

    scene.deliverer.deliver("email", scene.notify("ada", key="before"))  # its latency is known, and several fit into a claim
    scene.provider.script.append(interrupt)
    with pytest.raises(KeyboardInterrupt):
        scene.deliverer.deliver("email", scene.notify("bob", "cyd", "dan"))
    assert sorted(scene.states()) == ["QUEUED", "QUEUED", "SENDING"]
    scene.deliverer.pay_back()
    assert {due.notification_id for due in sweep(scene.deps).due} == {row.id for row in scene.rows() if row.due_at is not None}
    scene.deliverer.deliver("email", scene.notify("eve", key="after"))
    assert scene.states("after") == [NotificationState.SENT]


def test_what_others_overtook_is_rung_for_again_by_the_next_sweep(scene: Scene) -> None:
    (calm,) = scene.notify("ada", key="calm")
    (urgent,) = scene.notify("eve", key="urgent", severity=Severity.CRITICAL)
    scene.deliverer.deliver("email", [calm])
    assert scene.states("urgent") == [NotificationState.SENT]
    assert [due.notification_id for due in sweep(scene.deps).due] == [calm]
    assert urgent != calm


def test_what_was_rung_for_is_not_forgotten_for_a_page_that_another_worker_ends(scene: Scene) -> None:
    scene.notify("eve", key="old", severity=Severity.CRITICAL)
    scene.clock.pass_time(timedelta(hours=73))
    (calm,) = scene.notify("ada", key="calm")
    (old,) = scene.rows("old")
    scene.flaky.others.append(lambda: end_queued(scene.deps, old.escalation_id, old.id, Ended.EXPIRED))
    scene.deliverer.deliver("email", [calm])
    assert scene.states("old") == [NotificationState.FAILED]
    assert [due.notification_id for due in sweep(scene.deps).due] == [calm]


def test_a_thread_gives_way_for_an_urgent_ring_after_the_current_send_and_nothing_is_kept(scene: Scene) -> None:
    def let_one_wait(_message: object) -> None:
        scene.urgent_rings = 1

    scene.deliverer.deliver("email", scene.notify("ada", key="before"))  # its latency is known, and many fit into a claim
    scene.provider.script.append(let_one_wait)
    ids = scene.notify(*(f"r{number}" for number in range(30)))
    scene.deliverer.deliver("email", ids)
    assert len(scene.provider.messages) == 2
    released = {row.id for row in scene.rows() if any(attempt.state is AttemptState.NOT_SENT for attempt in row.attempts)}
    assert len(released) == 19
    assert {rung for _, _, some in scene.bell.rung for rung in some} == released
    assert {due.notification_id for due in sweep(scene.deps).due} == {row.id for row in scene.rows() if not row.attempts}


def test_an_urgent_notification_in_hand_is_sent_before_the_thread_gives_way(scene: Scene) -> None:
    ids = scene.notify("ada", "bob", severity=Severity.CRITICAL)
    scene.urgent_rings = 5
    scene.deliverer.deliver("email", ids[:1], is_urgent=True)
    assert sorted(scene.states()) == ["QUEUED", "SENT"]


def test_a_thread_that_gives_way_passes_on_what_others_were_turned_away_with(scene: Scene) -> None:
    def turn_one_away(_message: object) -> None:
        scene.deliverer.deliver("email", more)
        scene.urgent_rings = 1

    scene.deliverer.share(2)
    more = scene.notify("eve", "fay", key="more")
    scene.provider.script.append(turn_one_away)
    scene.deliverer.deliver("email", scene.notify("ada"))
    assert scene.states("more") == [NotificationState.QUEUED] * 2
    assert {due.notification_id for due in sweep(scene.deps).due} >= set(more)


def test_a_worker_that_stops_gives_back_at_once_what_it_has_turned_away_and_what_it_has_not_begun(scene: Scene) -> None:
    hang, is_hanging = Event(), Event()

    def wait(_: OutboundMessage) -> None:
        is_hanging.set()
        hang.wait(timeout=30)

    scene.deliverer.share(2)
    scene.provider.script.append(wait)
    ids = scene.notify(*(f"r{number}" for number in range(9)), severity=Severity.CRITICAL)
    with ThreadPoolExecutor(1) as threads:
        send = threads.submit(scene.deliverer.deliver, "email", ids[:3])
        assert is_hanging.wait(timeout=30)
        scene.deliverer.deliver("email", ids[3:6])  # is turned away
        scene.deliverer.stop(unheard=ids[6:])
        assert not send.done()
        sent = {row.id for row in scene.rows() if row.attempts}
        returned = {due.notification_id for due in sweep(scene.deps).due}
        assert returned == set(ids) - sent
        hang.set()
        send.result()
    assert len(scene.provider.messages) == 1
    assert sum(len(row.attempts) for row in scene.rows()) == 1, "it claims on for those it has turned away"


def test_a_worker_that_stops_gives_back_at_once_what_it_has_claimed_and_not_begun(scene: Scene) -> None:
    hang, is_hanging = Event(), Event()

    def wait(_: OutboundMessage) -> None:
        is_hanging.set()
        hang.wait(timeout=30)

    scene.deliverer.deliver("email", scene.notify("ada", key="before"))  # its latency is known, and several fit into a claim
    scene.provider.script.append(wait)
    ids = scene.notify("bob", "cyd", "dan")
    with ThreadPoolExecutor(1) as threads:
        send = threads.submit(scene.deliverer.deliver, "email", ids)
        assert is_hanging.wait(timeout=30)
        assert scene.states() == [NotificationState.SENDING] * 3
        scene.deliverer.stop()
        assert not send.done()
        assert sorted(scene.states()) == ["QUEUED", "QUEUED", "SENDING"]
        returned = {due.notification_id for due in sweep(scene.deps).due}
        assert returned == {row.id for row in scene.rows() if row.state is NotificationState.QUEUED}
        hang.set()
        send.result()
    assert sorted(scene.states()) == ["QUEUED", "QUEUED", "SENT"]
    assert len(scene.provider.messages) == 2


def test_a_worker_that_has_stopped_gives_back_what_it_is_rung_for_afterwards(scene: Scene) -> None:
    scene.deliverer.stop()
    ids = scene.notify("ada", "bob")
    scene.deliverer.deliver("email", ids)
    assert {due.notification_id for due in sweep(scene.deps).due} == set(ids)
    assert not scene.provider.messages


def test_a_worker_that_stops_releases_what_it_could_not_search_for_before(scene: Scene) -> None:
    ids = scene.notify("ada", "bob")
    scene.flaky.failures = 1
    with pytest.raises(StorageUnavailable):
        scene.deliverer.deliver("email", ids)
    assert not sweep(scene.deps).due
    scene.deliverer.stop()
    assert {due.notification_id for due in sweep(scene.deps).due} == set(ids)


def test_rings_that_cannot_be_given_back_at_the_stop_are_at_the_end(scene: Scene) -> None:
    scene.deliverer.stop()
    ids = scene.notify("ada", "bob")
    scene.flaky.failures = 1
    with capture_logs() as lines:
        scene.deliverer.deliver("email", ids)
    assert [(line["event"], line["notifications"]) for line in lines] == [("engine.rings_not_returned", 2)]
    assert not sweep(scene.deps).due
    scene.deliverer.pay_back()
    assert {due.notification_id for due in sweep(scene.deps).due} == set(ids)


def test_who_lost_the_lease_records_nothing(scene: Scene) -> None:
    def oversleep(_message: object) -> None:
        scene.clock.pass_time(LEASE + timedelta(seconds=1))
        sweep(scene.deps)

    scene.provider.script.append(oversleep)
    with capture_logs() as lines:
        scene.deliverer.deliver("email", scene.notify("ada")[:1])
    assert "engine.attempt_fenced" in [line["event"] for line in lines]
    assert scene.attempt().is_doubted


def test_an_attempt_whose_row_is_gone_is_reported_with_what_became_of_it(scene: Scene) -> None:
    """As when a standby was promoted that had not received it."""

    def lose(_message: object) -> None:
        scene.deps.transactions.run(lambda ledger: ledger.attempts._unit.db.execute_sql("DELETE FROM notifyflow_attempt"))

    scene.provider.script.append(lose)
    with capture_logs() as lines:
        scene.deliverer.deliver("email", scene.notify("ada")[:1])
    (lost,) = [line for line in lines if line["event"] == "engine.attempt_lost"]
    assert (lost["log_level"], lost["result"], lost["see"]) == ("error", "accepted", "notifyflow check --log")
    assert "engine.attempt_fenced" not in [line["event"] for line in lines]


def test_recording_is_tried_again_while_the_lease_lasts(scene: Scene) -> None:
    def fail_three(_message: object) -> None:
        scene.flaky.failures = 3

    scene.provider.script.append(fail_three)
    scene.deliverer.deliver("email", scene.notify("ada"))
    assert scene.states() == [NotificationState.SENT]


def test_between_the_tries_to_record_there_are_pauses_that_grow(scene: Scene) -> None:
    """A database that says no at once, as a full disk does, would otherwise be asked without end."""
    pauses: list[float] = []

    def pause(length_s: float) -> None:
        pauses.append(length_s)
        scene.clock.pass_time(timedelta(seconds=length_s))

    def fill_the_disk(_message: object) -> None:
        scene.flaky.failures = 10_000

    scene.deliverer._recorder._pause = pause
    scene.provider.script.append(fill_the_disk)
    with capture_logs() as lines:
        scene.deliverer.deliver("email", scene.notify("ada"))
    scene.flaky.failures = 0
    assert "engine.attempt_unrecorded" in [line["event"] for line in lines]
    assert 20 < len(pauses) < 80  # over a lease of 60 s
    assert all(0 < length_s <= 2 for length_s in pauses)
    assert pauses[0] < pauses[3] < pauses[6] < LEASE.total_seconds()


def test_what_cannot_be_recorded_within_its_lease_is_left_to_the_sweeper(scene: Scene) -> None:
    def end_lease(_message: object) -> None:
        scene.flaky.failures = 1
        scene.clock.pass_time(LEASE + timedelta(seconds=1))

    scene.provider.script.append(end_lease)
    with capture_logs() as lines:
        scene.deliverer.deliver("email", scene.notify("ada"))
    assert "engine.attempt_unrecorded" in [line["event"] for line in lines]
    assert scene.states() == [NotificationState.SENDING]
    sweep(scene.deps)
    assert scene.states() == [NotificationState.QUEUED]
    assert scene.attempt().is_doubted


def test_what_cannot_be_released_is_left_to_the_sweeper(scene: Scene) -> None:
    scene.deliverer.deliver("email", scene.notify("ada", key="before"))

    def stop(_message: object) -> None:
        scene.deliverer.stop()

    scene.provider.script.append(stop)
    scene.notify("bob", "cyd")
    original = scene.flaky.run

    with capture_logs() as lines:
        calls = 0

        def run(use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
            nonlocal calls
            calls += 1
            if calls == 3:  # claim, unring, release
                raise StorageUnavailable(timeout_s)
            return original(use_case, timeout_s=timeout_s, tries=tries)

        scene.flaky.run = run  # type: ignore[method-assign]
        scene.deliverer.deliver("email", ["x", "y"])
    assert "engine.release_failed" in [line["event"] for line in lines]
    assert sorted(scene.states()) == ["SENDING", "SENT"]


@pytest.mark.parametrize("channel", ["slack", "fax"])
def test_what_nobody_can_carry_fails_at_the_claim_all_that_was_rung_for(scene: Scene, channel: str) -> None:
    ids = scene.notify("ada", "bob", "cyd", channel="slack")
    scene.deliverer.deliver("slack", ids)
    assert scene.states() == [NotificationState.FAILED] * 3
    scene.deliverer.deliver(channel, ids)


def test_a_bell_that_is_away_leaves_the_rows_to_the_next_sweep(scene: Scene) -> None:
    scene.bell.is_away = True
    reporter = Reporter(scene.bell, scene.deps)
    accepted = notify(scene.deps, an_incident(), [a_recipient("ada", "email")], policy=DEFAULT)
    assert sweep(scene.deps).due == ()
    assert reporter.report(accepted.follow_ups) == accepted.follow_ups.due
    assert [due.notification_id for due in sweep(scene.deps).due] == [row.id for row in scene.rows()]


def test_a_bell_and_a_database_that_are_both_away_raise_nothing(scene: Scene) -> None:
    accepted = notify(scene.deps, an_incident(), [a_recipient("ada", "email")], policy=DEFAULT)
    scene.bell.is_away = True
    scene.flaky.failures = 1
    assert Reporter(scene.bell, scene.deps).report(accepted.follow_ups) == accepted.follow_ups.due


def test_rings_are_shared_out_and_the_urgent_ones_go_first(scene: Scene) -> None:
    people = [a_recipient(f"p{number}", "email", "slack") for number in range(9)]
    calm = notify(scene.deps, an_incident("calm"), people, policy=DEFAULT).follow_ups
    urgent = notify(scene.deps, an_incident("urgent", severity=Severity.CRITICAL), people, policy=DEFAULT).follow_ups
    Reporter(scene.bell, scene.deps).report(calm + urgent)
    assert [(channel, severity, len(ids)) for channel, severity, ids in scene.bell.rung] == [
        (channel, severity, count)
        for severity in (Severity.CRITICAL, Severity.ERROR)
        for channel in ("email", "slack")
        for count in (1,) * 9
    ]


@pytest.mark.parametrize(
    ("raised", "failures", "circuit_opened_by", "throttled_s"),
    [
        (TemporaryProviderError("busy", code="503", is_unhealthy=True, retry_after_s=7), 1, None, 7),
        (TemporaryProviderError("slow down", code="429", is_throttled=True), 0, None, 10),
        (TemporaryProviderError("the mailbox is busy", code="450"), 0, None, None),
        (PermanentProviderError("no such address", code="404"), 0, None, None),
        (RefusedUsError("bad credentials", code="401"), 0, DeferralReason.SUSPENSION, None),
        (RefusedUsError("not to that country", code="21408", is_general=False), 0, None, None),
        (UnknownOutcomeError("no answer"), 1, None, None),
    ],
)
def test_what_a_failure_says_about_its_provider_holds_for_all_processes(
    scene: Scene, raised: Exception, failures: int, circuit_opened_by: DeferralReason | None, throttled_s: int | None
) -> None:
    scene.provider.script.append(raised)
    scene.deliverer.deliver("email", scene.notify("ada"))
    health = scene.health()
    assert (health.failures, health.circuit_opened_by) == (failures, circuit_opened_by)
    assert health.throttled_until == (None if throttled_s is None else scene.clock.now() + timedelta(seconds=throttled_s))


@pytest.mark.parametrize("raised", [RefusedUsError("the webhook is revoked"), TemporaryProviderError("slow", retry_after_s=60)])
def test_what_one_webhook_refuses_says_nothing_about_the_others(scene: Scene, raised: Exception) -> None:
    scene.provider.is_bound_to_address = True
    scene.provider.script.append(raised)
    scene.deliverer.deliver("email", scene.notify("ada", "ben"))
    assert (scene.health().circuit_opened_by, scene.health().throttled_until) == (None, None)
    assert len(scene.provider.messages) == 2


@pytest.mark.parametrize(
    "raised",
    [
        UnknownOutcomeError("no answer"),
        TemporaryProviderError("busy", code="503", is_unhealthy=True),
        TemporaryProviderError("slow down", code="429", is_throttled=True, retry_after_s=60),
        RefusedUsError("the secret is unknown", code="401"),
    ],
)
def test_what_fails_at_one_subscriber_keeps_no_other_waiting(scene: Scene, raised: Exception) -> None:
    scene.provider.has_server_per_address = True
    scene.provider.script.extend([raised] * 8)
    scene.deliverer.deliver("email", scene.notify(*(f"r{number}" for number in range(9))))
    assert (scene.health().failures, scene.health().circuit_opened_by, scene.health().throttled_until) == (0, None, None)
    assert len(scene.provider.messages) == 9


def test_a_channel_whose_provider_hangs_leaves_threads_to_the_others_and_catches_up(scene: Scene) -> None:
    hang, is_hanging = Event(), Barrier(7)

    def wait(_: OutboundMessage) -> None:
        is_hanging.wait(timeout=30)
        hang.wait(timeout=30)

    scene.provider.script.extend([wait] * 6)
    ids = scene.notify(*(f"r{number}" for number in range(8)))
    with ThreadPoolExecutor(8) as threads:
        sends = [threads.submit(scene.deliverer.deliver, "email", [each]) for each in ids[:6]]
        is_hanging.wait(timeout=30)
        scene.deliverer.deliver("email", ids[6:])  # would hang, too, were it let in
        assert len(scene.provider.messages) == 6
        hang.set()
        for send in sends:
            send.result()
    assert scene.states() == [NotificationState.SENT] * 8


def test_a_circuit_that_opens_and_closes_is_logged(scene: Scene) -> None:
    scene.provider.script.append(RefusedUsError("bad credentials", code="401"))
    with capture_logs() as lines:
        scene.deliverer.deliver("email", scene.notify("ada"))
        scene.clock.pass_time(timedelta(minutes=2))
        scene.deliverer.deliver("email", [scene.rows()[0].id])
    events = [line for line in lines if line["event"].startswith("engine.circuit")]
    assert [(line["event"], line.get("why")) for line in events] == [
        ("engine.circuit_opened", "suspension"),
        ("engine.circuit_closed", None),
    ]


def test_the_end_of_an_outage_is_logged(store: Store) -> None:
    outage = Outage(began_at=START, ended_at=START + timedelta(hours=2))
    with capture_logs() as lines:
        Reporter(NotedBell(), Scene(store).deps).report(FollowUps(outages=(outage,)))
    (line,) = lines
    assert (line["event"], line["lasted_s"]) == ("engine.outage_over", 7200.0)
