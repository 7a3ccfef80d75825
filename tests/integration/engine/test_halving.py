"""A message of several that is refused for its content is halved until what is refused alone has failed: over a real database."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta
from math import ceil, log2
from typing import Any

import pytest

from notifyflow.channels.base import Accepted
from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import AttemptState, NotificationState, Result, Severity, Via
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.limits.cap_counts import Caps, hour_of
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.references import ByKey
from notifyflow.errors import InvalidSettings, PermanentProviderError, RefusedUsError
from notifyflow.pipeline.delivery.acknowledge import acknowledge
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.storage.store import Store
from notifyflow.storage.tables import SpentRow
from tests.builders import a_recipient, an_incident
from tests.integration.engine.scripted import ScriptedProvider
from tests.integration.engine.test_deliver import Scene
from tests.log_lines import capture_logs
from tests.notifying import notify

NIGHT = timedelta(hours=4)
TOO_LONG = PermanentProviderError("our message is too long", code="413", is_about_content=True)


class Strict(ScriptedProvider):
    """Refuses each message that tells of a faulty incident, and reads what it is handed as the person would."""

    def __init__(self, faulty: Collection[str], refusal: Exception = TOO_LONG) -> None:
        super().__init__()
        self.faulty = faulty
        self.refusal = refusal
        self.refused: list[list[str]] = []
        self.taken: list[list[str]] = []

    def send(self, message: OutboundMessage) -> Accepted:
        keys = [each.key for each in message.content.bundled] or [message.content.key]
        if set(keys) & set(self.faulty):
            self.refused.append(keys)
            raise self.refusal
        self.taken.append(keys)
        return super().send(message)


class Night:
    """A worker, and incidents that waited in Ada's quiet hours."""

    def __init__(self, store: Store, count: int, faulty: Collection[int], refusal: Exception = TOO_LONG, **deps: Any) -> None:
        self.keys = [f"db-{number:02}" for number in range(count)]
        self.strict = Strict([self.keys[number] for number in faulty], refusal)
        self.scene = Scene(store, provider=self.strict, **deps)
        ada = replace(a_recipient("ada", "email"), quiet="22:00-07:00")
        for key in self.keys:
            notify(self.scene.deps, an_incident(key), [ada], policy=DEFAULT)
        for _ in self.keys:  # one at a time, while the latency is unknown
            self.scene.deliverer.deliver("email", self.ids())
        self.scene.clock.pass_time(NIGHT)
        self.note_sweep()

    def note_sweep(self) -> None:
        at = self.scene.clock.now()
        self.scene.store.run(lambda ledger: ledger.intervals.note_sweep(at=at))

    def row(self, key: str) -> NotificationFacts:
        (row,) = self.scene.rows(key)
        return row

    def rows(self) -> list[NotificationFacts]:
        return [self.row(key) for key in self.keys]

    def ids(self) -> list[str]:
        return [row.id for row in self.rows()]

    def work(self, *, minutes: int = 0) -> None:
        """Let rings be handled until nothing is due, for some time."""
        self.scene.deliverer.deliver("email", self.ids()[:1])
        for _ in range(minutes * 4 + 1):
            while rung := [ids for _, _, ids in self.scene.bell.rung]:
                self.scene.bell.rung.clear()
                for ids in rung:
                    self.scene.deliverer.deliver("email", ids)
            self.scene.bell.rung += [(due.channel, due.severity, (due.notification_id,)) for due in sweep(self.scene.deps).due]
            if not self.scene.bell.rung:
                self.scene.clock.pass_time(timedelta(seconds=15))
                self.note_sweep()

    def states(self) -> dict[str, NotificationState]:
        return {key: self.row(key).state for key in self.keys}


CASES = [(2, [0]), (5, [4]), (15, [7]), (15, [0, 1, 14]), (15, []), (4, [0, 1, 2, 3])]


@pytest.mark.parametrize(("count", "faulty"), CASES)
def test_what_is_faulty_fails_alone_and_all_others_are_told_once(store: Store, count: int, faulty: Sequence[int]) -> None:
    night = Night(store, count, faulty, set_size=4)
    began_at = night.scene.clock.now()
    night.work()
    assert night.scene.clock.now() - began_at <= timedelta(seconds=15), "both halves leave at once"
    bad = set(night.strict.faulty)
    assert night.states() == {key: NotificationState.FAILED if key in bad else NotificationState.SENT for key in night.keys}
    assert Counter(key for keys in night.strict.taken for key in keys) == Counter(set(night.keys) - bad)
    assert {keys[0] for keys in night.strict.refused if len(keys) == 1} == bad
    calls, depth = len(night.strict.taken) + len(night.strict.refused), ceil(log2(count))
    assert calls <= 1 + 2 * len(bad) * depth
    assert len(night.strict.taken) <= max(1, len(bad) * depth)
    for row in night.rows():
        (attempt,) = counted(row)
        assert attempt.sent_with is None or attempt.result is Result.ACCEPTED
        assert all(each.reason == "our message is too long" for each in row.attempts[:-1])


REFUSALS = [
    TOO_LONG,
    RefusedUsError("Slack does not understand our message", code="invalid_payload", is_about_content=True),
    InvalidSettings(()),  # a template that breaks on one title
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: type(each).__name__)
def test_each_refusal_of_the_content_keeps_the_faulty_one_alone_from_then_on(store: Store, refusal: Exception) -> None:
    night = Night(store, 8, [5], refusal)
    night.work(minutes=20)
    bad = night.row("db-05")
    assert bad.state is NotificationState.FAILED
    assert {row.state for row in night.rows() if row.id != bad.id} == {NotificationState.SENT}
    assert [len(keys) for keys in night.strict.refused] == [8, 4, 2] + [1] * len(counted(bad))
    assert len(counted(bad)) == (5 if bad.attempts[-1].is_our_fault else 1)
    assert night.scene.health().circuit_opened_by is None


@pytest.mark.parametrize(
    "refusal",
    [PermanentProviderError("no such mailbox", code="550"), RefusedUsError("bad credentials", code="401")],
    ids=lambda each: each.code,
)
def test_a_refusal_of_the_address_or_of_us_concerns_all_at_once(store: Store, refusal: Exception) -> None:
    night = Night(store, 8, [5], refusal)
    night.work()
    assert [len(keys) for keys in night.strict.refused] == [8]
    assert {row.attempts[0].code for row in night.rows()} == {refusal.code}  # type: ignore[attr-defined]
    assert {len(counted(row)) for row in night.rows()} == {1}


class Killed(BaseException):
    """Raised where the worker is killed."""


def kill_after(night: Night, transactions: int) -> Callable[[], None]:
    """Kill the worker so many transactions after the first refusal."""
    run = night.scene.flaky.run
    left = [transactions]

    def dying(use_case, **limits):  # type: ignore[no-untyped-def]
        if night.strict.refused and left[0] == 0:
            raise Killed
        left[0] -= bool(night.strict.refused)
        return run(use_case, **limits)

    night.scene.flaky.run = dying  # type: ignore[method-assign]

    def revive() -> None:
        night.scene.flaky.run = run  # type: ignore[method-assign]

    return revive


@pytest.mark.parametrize("transactions", range(4))
def test_a_worker_killed_between_the_halves_loses_none_and_doubles_none(store: Store, transactions: int) -> None:
    night = Night(store, 15, [2], set_size=4)
    revive = kill_after(night, transactions)
    with pytest.raises(Killed):
        night.scene.deliverer.deliver("email", night.ids()[:1])
    revive()
    night.scene.start()
    released = [row for row in night.rows() if row.attempts[-1].is_halved]
    assert len(released) == min(4 * transactions, 15)
    night.scene.clock.pass_time(timedelta(seconds=61))
    night.note_sweep()
    night.work(minutes=2)
    assert night.states() == {key: NotificationState.FAILED if key == "db-02" else NotificationState.SENT for key in night.keys}
    assert Counter(key for keys in night.strict.taken for key in keys) == Counter(set(night.keys) - {"db-02"})


def test_its_call_counts_for_no_cap_and_once_for_the_providers_health(store: Store) -> None:
    caps = Caps(channels=frozenset({"email"}), recipients={"email": 60})
    night = Night(store, 8, [5], caps=caps)
    with capture_logs() as lines:
        night.work()
    spent = store.run(lambda ledger: list(ledger._unit.rows(SpentRow.select())))
    (count,) = [row["count"] for row in spent if row["hour"] == hour_of(night.scene.clock.now())]
    assert count == len(night.strict.taken) + 1  # and what was refused alone
    released = [line for line in lines if line["event"] == "engine.attempt_released"]
    assert len(released) == 8 + 4 + 2
    assert {line["reason"] for line in released} == {
        f"refused for its content with {others} others: our message is too long" for others in (7, 3, 1)
    }


def test_what_is_acknowledged_between_the_halves_is_in_neither(store: Store) -> None:
    night = Night(store, 8, [5])
    refuse = night.strict.send

    def send(message: OutboundMessage) -> Accepted:
        try:
            return refuse(message)
        finally:
            if len(night.strict.refused) == 1:
                acknowledge(night.scene.deps, ByKey("db-06"), by="ada", via=Via.LIBRARY)

    night.strict.send = send  # type: ignore[method-assign]
    night.work()
    assert night.states()["db-06"] is NotificationState.CANCELLED
    assert all("db-06" not in keys for keys in night.strict.taken)
    assert {state for key, state in night.states().items() if key not in ("db-05", "db-06")} == {NotificationState.SENT}


def test_a_worker_that_stops_gives_back_a_whole_bundle_which_leaves_as_one_later(store: Store) -> None:
    night = Night(store, 15, [], set_size=4)
    night.scene.deliverer.deliver(
        "email", night.scene.notify("eve", key="before", severity=Severity.CRITICAL)
    )  # its latency is known
    night.strict.script.append(lambda _message: night.scene.deliverer.stop())
    night.scene.deliverer.deliver("email", night.scene.notify("ben", key="urgent", severity=Severity.CRITICAL) + night.ids())
    assert {row.attempts[-1].state for row in night.rows()} == {AttemptState.NOT_SENT}
    assert {row.due_at for row in night.rows()} == {night.scene.clock.now()}
    assert not any(row.attempts[-1].is_halved for row in night.rows())
    night.scene.start()
    night.work()
    assert night.strict.taken == [["before"], ["urgent"], night.keys]


def test_a_lease_that_ends_between_two_sets_of_its_outcomes_leaves_the_rest_in_doubt(store: Store) -> None:
    night = Night(store, 15, [], set_size=4)
    run = night.scene.flaky.run
    recorded: list[int] = []

    def dawdle(use_case, **limits):  # type: ignore[no-untyped-def]
        done = run(use_case, **limits)
        count = sum(state is NotificationState.SENT for state in night.states().values()) if night.strict.taken else 0
        if count == 8 and not recorded:  # the second set is committed
            recorded.append(count)
            night.scene.clock.pass_time(timedelta(seconds=61))
            sweep(night.scene.deps)
        return done

    night.scene.flaky.run = dawdle  # type: ignore[method-assign]
    with capture_logs() as lines:
        night.scene.deliverer.deliver("email", night.ids()[:1])
    assert sum(line["event"] == "engine.attempt_fenced" for line in lines) == 7
    night.work(minutes=2)
    assert set(night.states().values()) == {NotificationState.SENT}
    assert [len(keys) for keys in night.strict.taken] == [15, 7]
    assert sorted(row.attempts[0].is_doubted for row in night.rows()) == [False] * 8 + [True] * 7
