"""A set of items is one transaction: each sees its neighbours' changes, a bad one harms no other, and statements do not grow."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from peewee import Value

from notifyflow.core.delivery.incident_events import Subscriber
from notifyflow.core.delivery.model import (
    AttemptState,
    Contact,
    IncidentState,
    NotificationState,
    Notified,
    Receipt,
    Result,
    Severity,
)
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.errors import Contended, Fenced, IdempotencyMismatch, StorageError, StorageUnavailable, UnreadableRow
from notifyflow.pipeline.delivery import operations
from notifyflow.pipeline.delivery.notify import Submitted, store_all
from notifyflow.pipeline.delivery.receive import Received, apply_missed, receive_all
from notifyflow.pipeline.delivery.record import Recording, Release, record, release
from notifyflow.pipeline.transaction.idempotency import Once
from notifyflow.pipeline.transaction.ports import Claimed, Dependencies, ReceiptMatch
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetUseCase
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from notifyflow.storage.tables import IncidentRow, NotificationRow
from tests.builders import ACCEPTED, BUSY, KEY, REFUSED, a_contact, a_recipient, an_incident
from tests.damage import release_all
from tests.driver import Driver
from tests.leases import record_one

pytestmark = pytest.mark.usefixtures("each_by_itself")  # the rules for one row, whatever leaves with it

T = TypeVar("T")


def _recording(claimed: Claimed, outcome: Any = ACCEPTED) -> Recording:
    return Recording(lease=claimed.lease, outcome=outcome)


def test_two_failures_of_one_escalation_in_one_set_open_its_next_tier_once(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email", "slack", "sms"))
    claimed = [*driver.claim("email"), *driver.claim("slack")]
    settled = record(driver.deps, [_recording(each, REFUSED) for each in claimed])
    assert settled.results == (None, None)
    assert [due.channel for due in settled.follow_ups.due] == ["sms"]
    assert driver.pages()["sms"].state is NotificationState.QUEUED
    opened = [line for line in driver.status().transitions if line.event == "tier_opened"]
    assert len(opened) == 1


def test_every_version_of_a_row_has_its_line_in_the_log(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email", "slack", "sms"))
    record(driver.deps, [_recording(each, REFUSED) for each in (*driver.claim("email"), *driver.claim("slack"))])
    escalation = driver.escalations()[0].facts
    lines = [line for line in driver.status().transitions if line.row_id == escalation.id]
    assert [line.event for line in lines] == ["started", "tier_opened"]
    assert escalation.tier == 2


def test_an_item_that_is_fenced_off_harms_no_other(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email"), a_recipient("ben", "email"), a_recipient("cyd", "email"))
    first, second, third = driver.claim("email")
    record_one(driver.deps, second, ACCEPTED)
    settled = record(driver.deps, [_recording(each, REFUSED) for each in (first, second, third)])
    assert [type(each) for each in settled.results] == [type(None), Fenced, type(None)]
    assert sorted(row.state for who in ("ada", "ben", "cyd") for row in driver.pages(who).values()) == [
        "FAILED",
        "FAILED",
        "SENT",
    ]


def test_a_damaged_row_harms_no_other(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email"), a_recipient("ben", "email"))
    bad, good = driver.claim("email")
    _set_severity(driver, bad, "LOUD")
    settled = record(driver.deps, [_recording(bad), _recording(good)])
    assert isinstance(settled.results[0], UnreadableRow)
    assert settled.results[1] is None
    _set_severity(driver, bad, "ERROR")
    record_one(driver.deps, bad, ACCEPTED)


def _set_severity(driver: Driver, claimed: Claimed, severity: str) -> None:
    update = NotificationRow.update(severity=Value(severity, converter=False))
    is_it = NotificationRow.id == claimed.message.notification_id
    driver.store.run(lambda ledger: update.where(is_it).execute(ledger._unit.db))


def _mend(driver: Driver, claimed: Claimed) -> None:
    _set_severity(driver, claimed, "ERROR")
    release_all(driver.deps)


def _state(driver: Driver, claimed: Claimed) -> AttemptState:
    row = driver.store.run(lambda ledger: ledger.notifications.lock(claimed.message.notification_id))
    return row.attempts[-1].state


def test_a_write_that_the_database_refuses_harms_no_other(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email"), a_recipient("ben", "email"))
    bad, good = driver.claim("email")
    outcome = replace(REFUSED, code=None)  # the column holds no NULL
    settled = record(driver.deps, [_recording(bad, outcome), _recording(good)])
    assert isinstance(settled.results[0], StorageError)
    assert settled.results[1] is None
    record_one(driver.deps, bad, ACCEPTED)


class _CountsTransactions:
    """Counts the transactions that are committed."""

    def __init__(self, store: Store) -> None:
        self.number = 0
        self._store = store

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        result = self._store.run(use_case, timeout_s=timeout_s, tries=tries)
        self.number += 1
        return result


def test_a_set_of_operations_pages_and_others_is_two_sets(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("ops", "email", "slack")])
    driver.notify(an_incident(key="db-0"), a_recipient("dan", "email"))
    (dan,) = driver.claim("email")
    driver.record(dan, REFUSED)  # which pages operations
    driver.notify(an_incident(), a_recipient("ada", "email"))
    ops, ada = sorted(driver.claim("email"), key=lambda each: each.message.content.key == KEY)
    counting = _CountsTransactions(store)
    settled = record(replace(driver.deps, transactions=counting), [_recording(ada, REFUSED), _recording(ops)])
    assert (settled.results, counting.number) == ((None, None), 2)
    assert driver.pages("ops", operations.KEY)["email"].state is NotificationState.SENT
    assert driver.pages("ada")["email"].state is NotificationState.FAILED


class StopsAfter:
    """A database that runs a number of transactions, and then raises an error."""

    def __init__(self, store: Store, transactions: int, error: BaseException) -> None:
        self._store = store
        self._left = transactions
        self._error = error

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return self._store.run(use_case, timeout_s=timeout_s, tries=tries)


@pytest.mark.parametrize("error", [StorageUnavailable(5), KeyboardInterrupt()], ids=type)
def test_what_was_stored_before_the_set_was_cut_short_is_logged(driver: Driver, error: BaseException) -> None:
    driver.notify(an_incident(), *(a_recipient(f"p{number}", "email") for number in range(3)))
    first, bad, last = driver.claim("email")
    stopping = StopsAfter(driver.store, 2, error)  # the whole set, which the database refuses, and its first half
    outcomes = {first: REFUSED, bad: replace(REFUSED, code=None), last: REFUSED}
    settled = record(replace(driver.deps, transactions=stopping), [_recording(*each) for each in outcomes.items()])
    assert [type(each) for each in settled.results] == [type(None), StorageUnavailable, StorageUnavailable]
    assert [row.id for row in settled.follow_ups.failed] == [first.message.notification_id]
    assert settled.interruption == (None if isinstance(error, Exception) else error)


def test_what_all_led_to_is_reported_though_they_ran_apart(driver: Driver) -> None:
    driver.notify(an_incident(), *(a_recipient(f"p{number}", "email", "sms") for number in range(5)))
    first, second, bad, fourth, last = driver.claim("email")
    good = (first, second, fourth, last)
    _set_severity(driver, bad, "LOUD")
    settled = record(driver.deps, [_recording(each, REFUSED) for each in (first, second, bad, fourth, last)])
    assert [row.id for row in settled.follow_ups.failed] == [each.message.notification_id for each in good]
    assert len([due for due in settled.follow_ups.due if due.channel == "sms"]) == len(good)
    _mend(driver, bad)


def test_what_both_parts_of_a_set_with_operations_pages_led_to_is_reported(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("ops", "email", "slack")])
    driver.notify(an_incident(key="db-0"), a_recipient("dan", "email"))
    (dan,) = driver.claim("email")
    driver.record(dan, REFUSED)  # which pages operations
    driver.notify(an_incident(), a_recipient("ada", "email"))
    both = driver.claim("email")
    settled = record(driver.deps, [_recording(each, REFUSED) for each in both])
    assert settled.results == (None, None)
    assert {row.id for row in settled.follow_ups.failed} == {each.message.notification_id for each in both}


def test_a_row_that_another_process_has_moved_is_no_fault_of_its_item(driver: Driver) -> None:
    """The set is run again from its start, as any transaction that lost a race."""
    driver.notify(an_incident(), a_recipient("ada", "email"), a_recipient("ben", "email"))
    first, second = (driver.pages(who)["email"] for who in ("ada", "ben"))
    read_before = {second.id: second}
    driver.store.run(lambda ledger: ledger.save(second, replace(second, reason="another process was here")))

    def handle(tx: Transaction, loaded: None, notification_id: str) -> str:
        row = tx.ledger.notifications.lock(notification_id)
        before = read_before.pop(notification_id, row)
        tx.ledger.save(before, replace(before, deferred_since=driver.clock.now()))
        return before.reason

    settled = SetUseCase("try", lambda tx, items: None, handle).run(driver.deps, [first.id, second.id])
    assert settled.results == ("", "another process was here")
    assert [driver.pages(who)["email"].deferred_since for who in ("ada", "ben")] == [driver.clock.now()] * 2


def test_a_set_that_others_are_in_the_way_of_comes_back_at_half_its_size_and_grows_again(driver: Driver) -> None:
    sizes: list[int] = []
    passed: list[int] = []

    def load(tx: Transaction, items: Sequence[int]) -> None:
        sizes.append(len(items))
        if len(items) > 5 and len(passed) < 10:
            raise Contended(0, "deadlock", code="40P01")
        passed.extend(items)

    settled = SetUseCase("try", load, lambda tx, loaded, item: item, blames=lambda item: ("notification", str(item))).run(
        driver.deps, range(40)
    )
    assert settled.results == tuple(range(40))
    assert sizes == [40, 20, 10, 5, 5, 10, 20]
    assert settled.follow_ups.set_aside == ()


def test_a_single_item_that_others_are_in_the_way_of_is_tried_for_as_long_as_there_is_time(driver: Driver) -> None:
    tries: list[int] = []

    def load(tx: Transaction, items: Sequence[int]) -> None:
        tries.extend(items)
        if len(tries) < 4:
            raise Contended(0, "lock time-out", code="55P03")

    assert SetUseCase("try", load, lambda tx, loaded, item: item).run(driver.deps, [7]).results == (7,)
    assert tries == [7] * 4


def test_all_are_released_at_once(driver: Driver) -> None:
    driver.notify(an_incident(), *(a_recipient(f"p{number}", "email") for number in range(5)))
    claimed = driver.claim("email")
    leases = [each.lease for each in claimed]
    settled = release(driver.deps, [Release(lease=each) for each in leases])
    assert settled.results == (None,) * 5
    assert len(settled.follow_ups.due) == 5
    assert len(driver.claim("email")) == 5


@pytest.mark.parametrize("people", [2, 40])
def test_a_set_needs_as_many_statements_as_one_item(driver: Driver, people: int, counted: list[str]) -> None:
    driver.notify(an_incident(), *(a_recipient(f"p{number}", "email", "slack") for number in range(people)))
    opened = len(counted)
    claimed = driver.claim("email")
    claims = len(counted)
    record(driver.deps, [_recording(each, BUSY) for each in claimed])
    assert len(claimed) == people
    assert opened <= 9
    assert claims - opened <= 15
    assert len(counted) - claims <= 12


def _received(event_id: str, result: Result | None, **named: Any) -> Received:
    return Received(Receipt(provider="twilio", event_id=event_id, result=result, **named), "raw")


def _accept(driver: Driver, *people: str) -> list[str]:
    """Bring an email of each recipient to SENT; return their attempts, in the recipients' order."""
    driver.notify(an_incident(), *(a_recipient(each, "email", "sms") for each in people))
    claimed = driver.claim("email", providers=["twilio"])
    record(driver.deps, [_recording(each) for each in claimed])
    return [driver.pages(each)["email"].attempts[0].id for each in people]


@pytest.mark.parametrize("is_delivered_first", [False, True])
def test_two_receipts_of_one_attempt_in_one_set_both_count(driver: Driver, is_delivered_first: bool) -> None:
    (attempt_id,) = _accept(driver, "ada")
    delivered = _received("1", Result.DELIVERED, attempt_id=attempt_id)
    failed = _received("2", Result.PERMANENT_FAILURE, attempt_id=attempt_id)
    settled = receive_all(driver.deps, [delivered, failed] if is_delivered_first else [failed, delivered])
    assert settled.results == (ReceiptMatch.MATCHED, ReceiptMatch.MATCHED)
    page = driver.pages()["email"]
    assert page.state is NotificationState.FAILED
    assert page.attempts[0].result is Result.PERMANENT_FAILURE
    assert len([line for line in driver.status().transitions if line.event == "tier_opened"]) == 1


def test_an_event_twice_in_one_set_is_repeated(driver: Driver) -> None:
    (attempt_id,) = _accept(driver, "ada")
    event = "SM1:delivered\0" + "\N{CJK UNIFIED IDEOGRAPH-4E00}" * 600
    twice = [_received(event, Result.DELIVERED, attempt_id=attempt_id) for _ in range(2)]
    settled = receive_all(driver.deps, twice)
    assert settled.results == (ReceiptMatch.MATCHED, ReceiptMatch.REPEATED)
    assert receive_all(driver.deps, twice).results == (ReceiptMatch.REPEATED, ReceiptMatch.REPEATED)


def test_each_receipt_of_a_set_has_its_own_fate(driver: Driver) -> None:
    known, other = _accept(driver, "ada", "ben")
    settled = receive_all(
        driver.deps,
        [
            _received("z", Result.DELIVERED, attempt_id="unknown"),
            _received("y", Result.DELIVERED, provider_ref="SM9"),
            _received("x", Result.DELIVERED, attempt_id=known),
            _received("w", None, attempt_id=other),
        ],
    )
    assert settled.results == (ReceiptMatch.FOREIGN, ReceiptMatch.WAITING, ReceiptMatch.MATCHED, ReceiptMatch.MATCHED)
    assert driver.pages("ada")["email"].state is NotificationState.DELIVERED
    assert driver.pages("ben")["email"].state is NotificationState.SENT


def test_receipts_that_waited_are_applied_with_the_one_that_names_their_attempt(driver: Driver) -> None:
    driver.notify(an_incident(), a_recipient("ada", "email", "sms"))
    (claimed,) = driver.claim("email", providers=["twilio"])
    attempt_id = claimed.message.attempt_id
    early = _received("1", Result.DELIVERED, provider_ref="SM1")
    assert receive_all(driver.deps, [early]).results == (ReceiptMatch.WAITING,)
    also = [_received(each, Result.ACCEPTED, attempt_id=attempt_id, provider_ref="SM1") for each in ("2", "3")]
    assert receive_all(driver.deps, also).results == (ReceiptMatch.MATCHED, ReceiptMatch.MATCHED)
    assert driver.pages()["email"].attempts[0].result is Result.DELIVERED
    driver.record(claimed, ACCEPTED)
    assert driver.pages()["email"].state is NotificationState.DELIVERED


def test_a_pressed_key_and_a_failure_in_one_set_leave_nothing_queued(driver: Driver) -> None:
    first, second = _accept(driver, "ada", "ben")
    failed = _received("1", Result.PERMANENT_FAILURE, attempt_id=first)
    pressed = _received("2", Result.DELIVERED, attempt_id=second, is_acknowledgement=True, is_key_press=True)
    assert receive_all(driver.deps, [failed, pressed]).results == (ReceiptMatch.MATCHED, ReceiptMatch.MATCHED)
    status = driver.status()
    assert (status.facts.state, status.facts.acknowledged_by) == (IncidentState.ACKNOWLEDGED, "ben")
    assert driver.pages("ada")["sms"].state is NotificationState.CANCELLED


def test_a_receipt_of_a_damaged_row_harms_no_other(driver: Driver) -> None:
    bad, good = _accept(driver, "ada", "ben")
    page = driver.pages("ada")["email"]
    update = NotificationRow.update(severity=Value("LOUD", converter=False)).where(NotificationRow.id == page.id)
    driver.store.run(lambda ledger: update.execute(ledger._unit.db))
    both = [_received(each, Result.DELIVERED, attempt_id=each) for each in (bad, good)]
    settled = receive_all(driver.deps, both)
    assert isinstance(settled.results[0], UnreadableRow)
    assert settled.results[1] is ReceiptMatch.MATCHED
    update = NotificationRow.update(severity="ERROR").where(NotificationRow.id == page.id)
    driver.store.run(lambda ledger: update.execute(ledger._unit.db))
    assert receive_all(driver.deps, both).results == (ReceiptMatch.MATCHED, ReceiptMatch.REPEATED), "nothing of it was stored"


@pytest.mark.parametrize("people", [1, 40])
def test_receipts_need_as_many_statements_as_one(driver: Driver, people: int, counted: list[str]) -> None:
    attempts = _accept(driver, *(f"p{number}" for number in range(people)))
    some = [_received(each, Result.DELIVERED, attempt_id=each) for each in attempts]
    some += [_received(each, Result.DELIVERED, provider_ref=each) for each in attempts]
    before = len(counted)
    receive_all(driver.deps, [*some, *(Received(each.receipt, "raw") for each in some)])
    first = len(counted)
    receive_all(driver.deps, [Received(each.receipt, "raw") for each in some])
    assert first - before <= 15
    assert len(counted) - first <= 6


@pytest.mark.parametrize("people", [1, 40])
def test_receipts_that_were_missed_need_as_many_statements_as_one(driver: Driver, people: int, counted: list[str]) -> None:
    names = [f"p{number}" for number in range(people)]
    driver.notify(an_incident(), *(a_recipient(each, "email") for each in names))
    claimed = driver.claim("email", providers=["twilio"])
    for each in claimed:
        driver.record(each, replace(ACCEPTED, provider_ref=each.message.attempt_id))
    missed = [
        Receipt(provider="twilio", event_id=each, result=Result.DELIVERED, provider_ref=each)
        for each in (other.message.attempt_id for other in claimed)
    ]
    for receipt in missed:
        driver.store.run(lambda ledger, one=receipt: ledger.inbox.add(one, raw="raw", at=driver.clock.now()))
    before = len(counted)
    assert apply_missed(driver.deps, missed).results == (None,) * people
    assert len(counted) - before <= 13
    assert {driver.pages(each)["email"].state for each in names} == {NotificationState.DELIVERED}


@pytest.mark.parametrize("people", [2, 40])
def test_what_ends_or_pages_all_recipients_needs_a_bounded_number_of_statements(
    driver: Driver, people: int, counted: list[str]
) -> None:
    names = [f"p{number}" for number in range(people)]
    everybody = [a_recipient(each, "email", "slack", "sms") for each in names]
    moved = [a_recipient(each, email=f"new@{each}") for each in names]
    more = [a_recipient(f"q{number}", "email", "sms") for number in range(people)]
    driver.notify(an_incident(), *everybody)
    driver.deliver()
    uses = {
        "a repeated key": lambda: driver.notify(an_incident(), *everybody),
        "new addresses": lambda: driver.notify(an_incident(), *moved),
        "new recipients": lambda: driver.notify(an_incident(), *more),
        "a raised severity": lambda: driver.notify(an_incident(severity=Severity.CRITICAL), *everybody),
        "an acknowledgement": lambda: driver.acknowledge("p0"),
        "paging one again": lambda: driver.page_again("p1"),
        "the end": lambda: driver.resolve("p0"),
    }
    needed = {}
    for name, use in uses.items():
        before = len(counted)
        use()
        needed[name] = len(counted) - before
        driver.deliver()
    assert len(driver.status_updates("p1")) > 0
    assert max(needed.values()) <= 25, needed


@pytest.mark.parametrize("people", [2, 40])
def test_a_sweep_needs_a_bounded_number_of_statements(driver: Driver, people: int, counted: list[str]) -> None:
    everybody = [a_recipient(f"p{number}", "email", "slack", "sms") for number in range(people)]
    driver.notify(an_incident(), *everybody, policy=INSISTENT)
    lost = driver.claim("slack")
    driver.deps = replace(driver.deps, is_bundling=True)
    driver.note_sweep(driver.clock.at + timedelta(minutes=1))
    expiring = len(counted)
    driver.sweep()
    expired = len(counted)
    assert all(_state(driver, each) is AttemptState.RECORDED for each in lost)
    driver.deliver()
    driver.note_sweep(driver.clock.at + timedelta(minutes=5))
    deciding = len(counted)
    opened = driver.sweep()
    assert sum(due.channel == "sms" for due in opened.due) == people
    assert expired - expiring <= 33
    assert len(counted) - deciding <= 31


def test_a_sweep_ends_pages_that_are_too_old(driver: Driver) -> None:
    people = [a_recipient(f"p{number}", "email", "sms") for number in range(3)]
    driver.notify(an_incident(), *people)
    driver.note_sweep(driver.clock.at + timedelta(days=2))
    assert driver.sweep().broken == ()
    assert {driver.pages(each.id)["email"].state for each in people} == {NotificationState.FAILED}


def test_a_damaged_escalation_leaves_its_neighbours_leases_to_expire(driver: Driver) -> None:
    driver.notify(an_incident(), *(a_recipient(f"p{number}", "email") for number in range(3)))
    bad, *others = driver.claim("email")
    _set_severity(driver, bad, "LOUD")
    driver.note_sweep(driver.clock.at + timedelta(minutes=1))
    assert [each.row_id for each in driver.sweep().set_aside] == [bad.message.notification_id]
    _mend(driver, bad)
    assert {_state(driver, each) for each in others} == {AttemptState.RECORDED}
    assert _state(driver, bad) is AttemptState.RUNNING


def _submitted(key: str, *people: str, severity: Severity = Severity.ERROR, once: Once | None = None) -> Submitted:
    contacts = tuple(Contact(recipient_id=each, name=each, addresses={"email": f"{each}@example.com"}) for each in people)
    checked = CheckedIncident(incident=an_incident(key=key, severity=severity), contacts=contacts, faults=())
    return Submitted(checked=checked, policy=DEFAULT, once=once)


def _once(name: str, fingerprint: str = "f") -> Once:
    return Once(api_key_id="a", idempotency_key=name, fingerprint=fingerprint)


def _subscribed(driver: Driver) -> Dependencies:
    return replace(driver.deps, subscribers=(Subscriber(name="audit", url="https://audit.example.com", secrets=("s",)),))


@pytest.mark.parametrize("number", [1, 40])
def test_submissions_need_as_many_statements_as_one(driver: Driver, number: int, counted: list[str]) -> None:
    deps = _subscribed(driver)
    new = [_submitted(f"db-{each}", "ada", "ben", once=_once(f"new {each}")) for each in range(number)]
    opened = store_all(deps, new)
    opens = len(counted)
    repeated = store_all(deps, [replace(each, once=_once(f"again {place}")) for place, each in enumerate(new)])
    repeats = len(counted) - opens
    changed = [
        replace(each, checked=replace(each.checked, incident=replace(each.checked.incident, title="again")), once=None)
        for each in new
    ]
    amended = store_all(deps, changed)
    amends = len(counted) - opens - repeats
    assert all(not isinstance(each, Exception) and each.is_new for each in opened.results)
    assert all(not isinstance(each, Exception) and each.repeated == ("ada", "ben") for each in repeated.results)
    assert all(not isinstance(each, Exception) and each.repeated == ("ada", "ben") for each in amended.results)
    assert opens <= 14
    assert repeats <= 11
    assert amends <= 14
    assert {driver.status(f"db-{each}").content.title for each in range(number)} == {"again"}


def test_a_request_that_is_refused_harms_no_other_of_its_set(driver: Driver) -> None:
    store_all(driver.deps, [_submitted("db-1", "ada", once=_once("k"))])
    settled = store_all(
        driver.deps,
        [
            _submitted("db-2", "ada"),
            _submitted("db-3", "ada", once=_once("k", "another")),
            _submitted("db-4", "ada", once=_once("l")),
        ],
    )
    assert [type(each) for each in settled.results] == [Notified, IdempotencyMismatch, Notified]
    assert len(settled.follow_ups.due) == 2
    assert len(driver.claim("email")) == 3


def test_one_set_opens_incidents_repeats_keys_and_returns_stored_responses(driver: Driver) -> None:
    (first,) = store_all(driver.deps, [_submitted("db-1", "ada", once=_once("k"))]).results
    settled = store_all(
        driver.deps,
        [
            _submitted("db-1", "ada", once=_once("k")),
            _submitted("db-1", "ben", severity=Severity.CRITICAL),
            _submitted("db-1", "ada"),
            _submitted("db-2", "ada", once=_once("l")),
            _submitted("db-2", "ben", once=_once("l")),
        ],
    )
    repeated_request, raised, counted, new, same = settled.results
    assert repeated_request == first
    assert isinstance(raised, Notified)
    assert isinstance(new, Notified)
    assert raised.added == ("ben",)
    assert counted == replace(raised, added=(), repeated=("ada",))
    assert (new.is_new, same) == (True, new)
    assert driver.status("db-1").facts.times_seen == 3
    assert driver.status("db-1").facts.severity is Severity.CRITICAL


def test_a_submission_of_a_damaged_incident_harms_no_other(driver: Driver) -> None:
    (damaged,) = store_all(driver.deps, [_submitted("db-1", "ada")]).results
    assert isinstance(damaged, Notified)

    def set_severity(severity: str) -> None:
        update = IncidentRow.update(severity=Value(severity, converter=False))
        driver.store.run(lambda ledger: update.where(IncidentRow.id == damaged.incident_id).execute(ledger._unit.db))

    set_severity("LOUD")
    settled = store_all(driver.deps, [_submitted("db-1", "ada"), _submitted("db-2", "ada")])
    assert [type(each) for each in settled.results] == [UnreadableRow, Notified]
    set_severity("ERROR")
    release_all(driver.deps)
