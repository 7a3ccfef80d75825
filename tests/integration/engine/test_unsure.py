"""Nobody could tell whether a commit was done: what it led to is reported once, and nothing is taken for done or given up."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from peewee import Value

from notifyflow.core.delivery.model import AttemptState, NotificationState, Receipt, Result, Severity
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import PermanentProviderError, StorageUnavailable
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.transaction.ports import ReceiptMatch
from notifyflow.storage.tables import NotificationRow
from tests.builders import a_contact
from tests.integration.engine.breaking import BreakingStore, attempts_become, becomes
from tests.integration.engine.test_deliver import LEASE, SEND_BUDGET, Scene
from tests.log_lines import capture_logs

FAILED, CRITICAL_FAILURE = "engine.notification_failed", "engine.critical_failure"
RECORDED, RELEASED = "engine.attempt_recorded", "engine.attempt_released"
LOST = ("engine.attempt_fenced", "engine.attempt_unrecorded", "engine.release_failed")
REFUSED = PermanentProviderError("no such mailbox", code="550")

DONE_OR_NOT = pytest.mark.parametrize("is_done", [True, False], ids=["done", "not done"])
AWAY_FOR = pytest.mark.parametrize("away_for", [1, 4])


@pytest.fixture
def store(database_url: str) -> Iterator[BreakingStore]:
    opened = BreakingStore(database_url)
    yield opened
    opened.close()


@pytest.fixture
def scene(store: BreakingStore) -> Scene:
    """A scene that knows how fast its provider is: several attempts fit into a claim, and several outcomes into a set."""
    made = Scene(store)
    made.deliverer.deliver("email", made.notify("first", key="before"))
    return made


def _deliver(scene: Scene, ids: list[str]) -> list[dict[str, Any]]:
    with capture_logs() as lines:
        scene.deliverer.deliver("email", ids)
    return lines


def _of(lines: list[dict[str, Any]], *events: str) -> list[str]:
    """Return the notifications that lines of some events are about, or else their recipients."""
    return sorted(line.get("notification_id", line.get("recipient_id", "")) for line in lines if line["event"] in events)


@DONE_OR_NOT
@AWAY_FOR
def test_what_a_set_of_outcomes_led_to_is_reported_once(
    scene: Scene, store: BreakingStore, *, is_done: bool, away_for: int
) -> None:
    ids = scene.notify("ada", "ben", "cyd")
    scene.provider.script.extend([REFUSED] * 3)
    store.break_at(attempts_become(AttemptState.RECORDED, *ids), is_done=is_done, then_away_for=away_for)
    lines = _deliver(scene, ids)
    assert store.has_broken
    assert _of(lines, FAILED) == _of(lines, RECORDED) == sorted(ids)
    assert _of(lines, CRITICAL_FAILURE) == ["ada", "ben", "cyd"]
    assert _of(lines, *LOST) == []


@DONE_OR_NOT
@pytest.mark.parametrize("is_of_operations", [True, False])
@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.ERROR])
def test_what_a_part_of_a_set_led_to_is_reported_once(
    store: BreakingStore, severity: Severity, *, is_done: bool, is_of_operations: bool
) -> None:
    """Pages of operations are recorded in a transaction of their own."""
    scene = Scene(store, operations=(a_contact("ops", "email"),))
    scene.provider.script.extend([REFUSED] * 4)
    scene.deliverer.deliver("email", scene.notify("dan", key="before"))  # which pages operations
    others = scene.notify("ada", "ben", severity=severity)  # if they are urgent, they come first, since they are rung for
    own = [row.id for row in scene.rows(operations.KEY)]
    part = own if is_of_operations else others
    store.break_at(attempts_become(AttemptState.RECORDED, *part), is_done=is_done)
    lines = _deliver(scene, [*others, "a ring for what others have sent"])
    assert store.has_broken
    assert _of(lines, FAILED) == _of(lines, RECORDED) == sorted([*own, *others])
    assert _of(lines, *LOST) == []


@DONE_OR_NOT
def test_an_outcome_whose_neighbour_is_damaged_is_recorded_and_reported_once(
    scene: Scene, store: BreakingStore, *, is_done: bool
) -> None:
    bad, good, last = scene.notify("ada", "ben", "cyd")

    def damage(_message: object) -> None:
        _set_severity(store, bad, "LOUD")
        raise REFUSED

    scene.provider.script.extend([damage, REFUSED, REFUSED])
    store.break_at(attempts_become(AttemptState.RECORDED, good), is_done=is_done)
    lines = _deliver(scene, [bad, good, last])
    assert store.has_broken
    assert _of(lines, FAILED) == _of(lines, RECORDED) == sorted([good, last])
    assert _of(lines, "engine.attempt_fenced") == []
    _set_severity(store, bad, "ERROR")


def _set_severity(store: BreakingStore, notification_id: str, severity: str) -> None:
    update = NotificationRow.update(severity=Value(severity, converter=False)).where(NotificationRow.id == notification_id)
    store.run(lambda ledger: update.execute(ledger._unit.db))


@DONE_OR_NOT
@AWAY_FOR
def test_it_is_not_given_up_when_the_lease_is_over(scene: Scene, store: BreakingStore, *, is_done: bool, away_for: int) -> None:
    """What was recorded has to be reported, and this thread alone knows of it; no sweep has taken the attempt back."""
    (email,) = scene.notify("ada")

    def refuse_late(_message: object) -> None:
        scene.clock.pass_time(LEASE + timedelta(seconds=1))
        raise REFUSED

    scene.provider.script.append(refuse_late)
    store.break_at(attempts_become(AttemptState.RECORDED, email), is_done=is_done, then_away_for=away_for)
    lines = _deliver(scene, [email])
    assert store.has_broken
    assert _of(lines, FAILED) == _of(lines, RECORDED) == [email]
    assert _of(lines, *LOST) == []
    assert scene.states() == [NotificationState.FAILED]


@DONE_OR_NOT
@AWAY_FOR
def test_what_was_given_back_is_due_and_rung_for(scene: Scene, store: BreakingStore, *, is_done: bool, away_for: int) -> None:
    def dawdle(_message: object) -> None:
        scene.clock.pass_time(LEASE - SEND_BUDGET + timedelta(seconds=1))

    scene.provider.script.append(dawdle)
    sent, released = scene.notify("ada", "ben")
    store.break_at(attempts_become(AttemptState.NOT_SENT, released), is_done=is_done, then_away_for=away_for)
    lines = _deliver(scene, [sent, released])
    assert store.has_broken
    assert _of(lines, RELEASED) == [released]
    assert _of(lines, *LOST) == []
    assert scene.bell.rung == [("email", Severity.ERROR, (released,))]
    assert {row.id: row.state for row in scene.rows()} == {sent: NotificationState.SENT, released: NotificationState.QUEUED}


@DONE_OR_NOT
@AWAY_FOR
def test_what_was_given_back_beside_a_damaged_row_is_due_and_rung_for(
    scene: Scene, store: BreakingStore, *, is_done: bool, away_for: int
) -> None:
    sent, bad, good, last = scene.notify("ada", "ben", "cyd", "dan")

    def give_way(_message: object) -> None:
        _set_severity(store, bad, "LOUD")
        scene.urgent_rings = 1

    scene.provider.script.append(give_way)
    store.break_at(attempts_become(AttemptState.NOT_SENT, good), is_done=is_done, then_away_for=away_for)
    lines = _deliver(scene, [sent, bad, good, last])
    assert store.has_broken
    assert good in _of(lines, RELEASED)
    assert good in {row_id for _, _, rung in scene.bell.rung for row_id in rung}
    assert bad in _of(lines, "engine.release_failed")
    _set_severity(store, bad, "ERROR")
    assert {row.id: row.state for row in scene.rows()}[good] is NotificationState.QUEUED


@DONE_OR_NOT
def test_what_a_claim_ended_is_reported(scene: Scene, store: BreakingStore, *, is_done: bool) -> None:
    ids = scene.notify("ada", "ben")
    scene.clock.at += timedelta(hours=25)
    store.run(lambda ledger: ledger.intervals.note_sweep(at=scene.clock.at))
    store.break_at(becomes(NotificationState.FAILED, ids[0]), is_done=is_done)
    lines = _deliver(scene, ids)
    lines += _deliver(scene, ids)  # what nobody could end is due
    assert store.has_broken
    failed, critical = _of(lines, FAILED), _of(lines, CRITICAL_FAILURE)
    assert (set(failed), set(critical)) == (set(ids), {"ada", "ben"})
    if is_done:  # what was not is ended by the next claim, and may be reported by both
        assert (len(failed), len(critical)) == (2, 2)


@DONE_OR_NOT
@AWAY_FOR
def test_no_sender_is_told_that_something_is_stored_that_is_not(
    scene: Scene, store: BreakingStore, *, is_done: bool, away_for: int
) -> None:
    store.break_at(lambda ledger: ledger.line is not None, is_done=is_done, then_away_for=away_for)
    is_accepted = _returns(lambda: scene.notify("ada"))
    assert store.has_broken
    is_stored = store.read(lambda reads: reads.status("db-1")) is not None
    assert is_stored or not is_accepted


@DONE_OR_NOT
@AWAY_FOR
def test_no_provider_is_told_that_a_receipt_is_kept_that_is_not(
    scene: Scene, store: BreakingStore, *, is_done: bool, away_for: int
) -> None:
    """It matches no attempt, so that the log has no line of it."""
    receipt = Receipt(provider="scripted", event_id="1", result=Result.DELIVERED, provider_ref="SM9")
    store.break_at(lambda ledger: True, is_done=is_done, then_away_for=away_for)
    is_accepted = _returns(lambda: receive(scene.deps, receipt, raw=""))
    assert store.has_broken
    store.away_for = 0
    is_kept = receive(scene.deps, receipt, raw="").only().value is ReceiptMatch.REPEATED
    assert is_kept or not is_accepted
    assert is_kept or not is_done


def _returns(use: Callable[[], object]) -> bool:
    try:
        use()
    except StorageUnavailable:
        return False
    return True


def test_a_thread_that_is_cut_short_records_what_it_has_sent(scene: Scene) -> None:
    def interrupt(_message: OutboundMessage) -> None:
        raise KeyboardInterrupt

    scene.provider.script.extend([lambda _message: None, interrupt])
    sent, interrupted, *others = scene.notify("ada", "ben", "cyd")
    with pytest.raises(KeyboardInterrupt):
        scene.deliverer.deliver("email", [sent, interrupted, *others])
    states = {row.id: row.state for row in scene.rows()}
    assert states == {
        sent: NotificationState.SENT,
        interrupted: NotificationState.SENDING,
        **dict.fromkeys(others, NotificationState.QUEUED),
    }
