"""A receipt of a call that carried several reaches each of their rows, also beside a damaged one, and after a crash."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from notifyflow.core.delivery.model import NotificationState, Receipt, Recipient, Result
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.delivery.receive import Received, apply_to_all, receive, receive_all
from notifyflow.pipeline.delivery.record import Recording, record
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.pipeline.transaction.ports import Claimed, FollowUps, ReceiptMatch
from notifyflow.storage.delivery.inbox import ReceiptState
from notifyflow.storage.store import Store
from notifyflow.storage.tables import ReceiptRow
from tests.builders import ACCEPTED, START, a_contact, a_recipient, an_incident
from tests.damage import UNWRITABLE, Damage, damaged, release_all
from tests.driver import Driver
from tests.integration.pipeline.transaction.test_sets import StopsAfter

COUNT = 15
KEYS = [f"db-{number:02}" for number in range(COUNT)]
NIGHT = timedelta(hours=4)
SENT, FAILED, DELIVERED = NotificationState.SENT, NotificationState.FAILED, NotificationState.DELIVERED


_IN_THE_WAY = [
    *((machine, damage) for machine in ("notification", "escalation") for damage in Damage),
    *(("incident", damage) for damage in Damage if damage not in UNWRITABLE),  # no receipt writes it
]


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store, operations=[a_contact("olga", "push")])


def quiet(*channels: str) -> Recipient:
    return replace(a_recipient("ada", *channels), quiet="22:00-07:00")


def bundled(driver: Driver) -> Claimed:
    """Let one text carry what waited in the night."""
    driver.notify(an_incident("old"), a_recipient("old", "teams"))
    driver.resolve(key="old")
    for key in KEYS:
        driver.notify(an_incident(key), quiet("sms"))
    driver.deliver()
    driver.note_sweep(START + NIGHT)
    (call,) = driver.claim("sms")
    assert len(call.attempts) == COUNT
    driver.deps = replace(driver.deps, set_size=4)
    return call


def sent(driver: Driver) -> Claimed:
    call = bundled(driver)
    for each in call.attempts:
        driver.record(each, replace(ACCEPTED, provider_ref="SM1"))
    return call


def receipt(call: Claimed, result: Result, number: int = 1, **fields: object) -> Receipt:
    named = {"attempt_id": call.message.attempt_id, "provider_ref": "SM1"} | fields
    return Receipt(provider=call.provider, event_id=f"e{number}", result=result, code=result.value, **named)  # type: ignore[arg-type]


def states(driver: Driver, *, without: str = "") -> list[NotificationState]:
    return [driver.pages(key=key)["sms"].state for key in KEYS if key != without]


def inbox(driver: Driver) -> list[str]:
    query = ReceiptRow.select(ReceiptRow.state).order_by(ReceiptRow.event_id)
    return driver.store.run(lambda ledger: [row["state"] for row in ledger.inbox._unit.rows(query)])


def set_aside(driver: Driver) -> set[str]:
    return {each.row_id for each in driver.store.read(lambda reads: reads.set_aside.all())}


@pytest.mark.parametrize("place", [0, 7])
@pytest.mark.parametrize(("machine", "damage"), _IN_THE_WAY)
def test_all_others_get_it_and_the_damaged_one_when_it_is_mended(
    driver: Driver, machine: str, damage: Damage, place: int
) -> None:
    call = sent(driver)
    bad = call.attempts[place].message
    key = next(key for key in KEYS if driver.status(key).facts.id == bad.incident_id)
    row = driver.pages(key=key)["sms"]
    row_id = {"notification": row.id, "escalation": row.escalation_id, "incident": row.incident_id}[machine]
    with damaged(driver.deps, machine, row_id, damage):
        first = receive(driver.deps, receipt(call, Result.DELIVERED), raw="raw").only().value
        assert states(driver, without=key) == [DELIVERED] * (COUNT - 1)
        again = receive(driver.deps, receipt(call, Result.DELIVERED), raw="raw").only().value
        assert again is ReceiptMatch.REPEATED
    if first is ReceiptMatch.MATCHED:  # it was not in the way
        assert inbox(driver) == [ReceiptState.MATCHED]
        return
    assert (first, inbox(driver)) == (ReceiptMatch.WAITING, [ReceiptState.WAITING])
    assert {row.id, "e1"} & set_aside(driver)
    release_all(driver.deps)
    driver.sweep()
    assert (states(driver), inbox(driver)) == ([DELIVERED] * COUNT, [ReceiptState.MATCHED])


ORDERS = [*permutations((Result.ACCEPTED, Result.TEMPORARY_FAILURE, Result.DELIVERED))]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "-".join(each.value for each in order))
def test_receipts_commute_over_a_call_beside_a_damaged_row(driver: Driver, order: Sequence[Result]) -> None:
    call = sent(driver)
    key = KEYS[3]
    with damaged(driver.deps, "notification", driver.pages(key=key)["sms"].id, Damage.REFUSED):
        for each in (*order, order[0]):
            receive(driver.deps, receipt(call, each, ORDERS[0].index(each)), raw="raw")
            release_all(driver.deps)
    driver.sweep()
    attempts = [driver.pages(key=each)["sms"].attempts[0] for each in KEYS]
    assert states(driver) == [DELIVERED] * COUNT
    assert {(each.result, each.evidence, each.is_doubted) for each in attempts} == {
        (Result.DELIVERED, attempts[0].evidence, False)
    }
    assert inbox(driver) == [ReceiptState.MATCHED] * 3


@pytest.mark.parametrize("done", range(5))
def test_a_thread_that_is_cut_short_in_between_reports_what_it_did_and_leaves_the_rest_to_the_next_sweep(
    driver: Driver, store: Store, done: int
) -> None:
    call = sent(driver)
    stored = receive_all(driver.deps, [Received(receipt(call, Result.PERMANENT_FAILURE), "raw")]).only().value
    driver.deps = replace(driver.deps, transactions=StopsAfter(store, done, KeyboardInterrupt()))
    reported: list[FollowUps] = []
    with pytest.raises(KeyboardInterrupt):
        apply_to_all(driver.deps, stored).finish(reported.append)  # type: ignore[arg-type]
    assert states(driver).count(FAILED) == sum(len(each.failed) for each in reported) == min(4 * done, COUNT)
    assert inbox(driver) == [ReceiptState.WAITING]
    driver.deps = replace(driver.deps, transactions=store)
    driver.sweep()
    assert (states(driver), inbox(driver)) == ([FAILED] * COUNT, [ReceiptState.MATCHED])


@pytest.mark.parametrize("error", [StorageUnavailable(0.0), KeyboardInterrupt()], ids=type)
def test_each_failure_is_reported_once_wherever_a_sweep_is_cut_short(driver: Driver, store: Store, error: BaseException) -> None:
    call = sent(driver)
    receive_all(driver.deps, [Received(receipt(call, Result.PERMANENT_FAILURE), "raw")])
    reported = 0
    for done in range(60):
        with suppress(type(error)):  # before it has done anything
            swept = sweep(replace(driver.deps, transactions=StopsAfter(store, done, error)))
            reported += len(swept.failed)
        assert reported == states(driver).count(FAILED)
    assert (reported, inbox(driver)) == (COUNT, [ReceiptState.MATCHED])


def test_it_waits_in_the_inbox_while_the_database_is_away(driver: Driver) -> None:
    call = sent(driver)
    stored = receive_all(driver.deps, [Received(receipt(call, Result.DELIVERED), "raw")]).only().value
    assert inbox(driver) == [ReceiptState.WAITING]
    assert not isinstance(stored, ReceiptMatch)
    driver.sweep()
    assert (states(driver), inbox(driver)) == ([DELIVERED] * COUNT, [ReceiptState.MATCHED])
    assert apply_to_all(driver.deps, stored).only().value is ReceiptMatch.MATCHED
    assert states(driver) == [DELIVERED] * COUNT


def test_a_receipt_by_the_providers_id_that_came_early_applies_to_all_with_the_next_sweep(driver: Driver) -> None:
    call = bundled(driver)
    early = receipt(call, Result.DELIVERED, attempt_id=None)
    assert receive(driver.deps, early, raw="").only().value is ReceiptMatch.WAITING
    for each in call.attempts:
        driver.record(each, replace(ACCEPTED, provider_ref="SM1"))
    assert states(driver) == [SENT] * COUNT
    driver.sweep()
    assert (states(driver), inbox(driver)) == ([DELIVERED] * COUNT, [ReceiptState.MATCHED])


def test_a_receipt_that_comes_before_the_record_applies_to_all(driver: Driver) -> None:
    call = bundled(driver)
    assert receive(driver.deps, receipt(call, Result.DELIVERED), raw="").only().value is ReceiptMatch.MATCHED
    for each in call.attempts:
        driver.record(each, replace(ACCEPTED, provider_ref="SM1"))
    assert states(driver) == [DELIVERED] * COUNT


@pytest.mark.parametrize("place", [0, 7])
@pytest.mark.parametrize("damage", UNWRITABLE)
def test_a_row_damaged_during_the_call_keeps_no_other_from_its_outcome_and_receipt(
    driver: Driver, damage: Damage, place: int
) -> None:
    call = bundled(driver)
    bad = call.attempts[place].message.notification_id
    with damaged(driver.deps, "notification", bad, damage):
        outcome = replace(ACCEPTED, provider_ref="SM1")
        done = record(driver.deps, [Recording(lease=each.lease, outcome=outcome) for each in call.attempts])
        assert [number for number, error in enumerate(done.results) if error is not None] == [place]
        receive(driver.deps, receipt(call, Result.DELIVERED), raw="")
        assert sorted(states(driver)) == [DELIVERED] * (COUNT - 1) + [NotificationState.SENDING]
    release_all(driver.deps)
    driver.sweep()
    assert states(driver) == [DELIVERED] * COUNT
