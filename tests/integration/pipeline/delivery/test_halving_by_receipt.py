"""A message of several whose content only a receipt refuses is halved until what is refused alone has failed."""

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from math import ceil, log2
from typing import Any

import pytest

from notifyflow.core.delivery.attempts import used_up
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import NotificationState, Receipt, Result, Severity
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.transaction.ports import Claimed
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, START, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver
from tests.integration.pipeline.transaction.test_sets import StopsAfter

DELIVERED, FAILED, QUEUED = NotificationState.DELIVERED, NotificationState.FAILED, NotificationState.QUEUED
A_WHILE = timedelta(seconds=15)


class Carrier:
    """A carrier that takes each text, and reports later that it filtered those about a faulty incident.

    Attributes:
        refused: The incidents of each text that it filtered, by key.
        delivered: Those of each text that it delivered.
    """

    def __init__(self, driver: Driver, keys: Sequence[str], faulty: Collection[str], result: Result) -> None:
        self.driver = driver
        self.keys = keys
        self.faulty = faulty
        self.refused: list[list[str]] = []
        self.delivered: list[list[str]] = []
        self._result = result
        self._key_of = {driver.status(key).facts.id: key for key in keys}

    def carry(self, call: Claimed) -> Receipt:
        """Accept a text; return the report on it."""
        keys = [self._key_of[each.message.incident_id] for each in call.attempts]
        for each in call.attempts:
            self.driver.record(each, replace(ACCEPTED, provider_ref=call.message.attempt_id))
        is_refused = not set(keys).isdisjoint(self.faulty)
        (self.refused if is_refused else self.delivered).append(keys)
        return report(call, self._result, code="30007", is_our_fault=True) if is_refused else report(call, Result.DELIVERED)

    def work(self, *, minutes: int = 0) -> None:
        """Carry everything that is due, also within some minutes; each report comes at once."""
        for _ in range(minutes * 4 + 1):
            while calls := self.driver.claim("sms"):
                for call in calls:
                    receive(self.driver.deps, self.carry(call), raw="")
            self.driver.note_sweep(self.driver.clock.at + A_WHILE)
            self.driver.sweep()

    def row(self, key: str) -> NotificationFacts:
        return self.driver.pages(key=key)["sms"]

    def assert_only_the_faulty_failed(self) -> None:
        """Require that all others were delivered once, and that each has used up one attempt."""
        bad = set(self.faulty)
        states = {key: self.row(key).state for key in self.keys}
        assert states == {key: FAILED if key in bad else DELIVERED for key in self.keys}
        assert Counter(key for keys in self.delivered for key in keys) == Counter(set(self.keys) - bad)
        assert {len(used_up(self.row(key))) for key in self.keys if key not in bad} <= {1}


def report(call: Claimed, result: Result, **fields: Any) -> Receipt:
    """Return a report on a text; one with a code refuses its content."""
    event_id = f"{call.message.attempt_id}:{result}:{'code' in fields}"
    named = {"provider": call.provider, "event_id": event_id, "attempt_id": call.message.attempt_id}
    return Receipt(result=result, is_about_content="code" in fields, **(named | fields))


def storm(
    store: Store,
    count: int,
    faulty: Collection[int],
    *channels: str,
    result: Result = Result.TEMPORARY_FAILURE,
    severity: Severity = Severity.ERROR,
) -> Carrier:
    """Let one text wait that is to carry what came while no worker ran."""
    driver, keys = Driver(store), [f"db-{number:02}" for number in range(count)]
    for key in keys:
        driver.notify(an_incident(key, severity=severity), a_recipient("ada", "sms", *channels))
    driver.note_sweep(START + timedelta(minutes=2))
    driver.deps = replace(driver.deps, set_size=4)
    return Carrier(driver, keys, [keys[number] for number in faulty], result)


@pytest.mark.parametrize(
    ("count", "faulty", "result"),
    [
        (40, [7], Result.PERMANENT_FAILURE),
        (15, [0, 1, 14], Result.PERMANENT_FAILURE),
        (4, [0, 1, 2, 3], Result.PERMANENT_FAILURE),
        (3, [1], Result.TEMPORARY_FAILURE),
    ],
)
def test_what_is_faulty_fails_alone_and_all_others_are_told_once(
    store: Store, count: int, faulty: Sequence[int], result: Result
) -> None:
    carrier = storm(store, count, faulty, result=result)
    began_at = carrier.driver.clock.at
    carrier.work()
    assert carrier.driver.clock.at - began_at == A_WHILE, "both halves leave at once"
    together = [keys for keys in carrier.refused if len(keys) > 1]
    assert len(together[0]) == count
    assert len(carrier.refused) + len(carrier.delivered) <= 1 + 2 * len(faulty) * ceil(log2(count))
    assert len(carrier.delivered) <= len(faulty) * ceil(log2(count))
    if result is Result.TEMPORARY_FAILURE:  # what is refused alone is tried again
        carrier.work(minutes=20)
    carrier.assert_only_the_faulty_failed()
    for key in carrier.faulty:
        attempts = used_up(carrier.row(key))
        assert len(attempts) == (1 if result is Result.PERMANENT_FAILURE else 5)
        assert all(each.sent_with is None for each in attempts)


@pytest.mark.parametrize("done", [0, 1, 2, 4, 5])
def test_a_process_that_dies_between_two_sets_leaves_the_same_halves(store: Store, done: int) -> None:
    carrier = storm(store, 15, [2], result=Result.PERMANENT_FAILURE)
    driver = carrier.driver
    (call,) = driver.claim("sms")
    reported = carrier.carry(call)
    with suppress(KeyboardInterrupt):
        receive(replace(driver.deps, transactions=StopsAfter(store, done, KeyboardInterrupt())), reported, raw="").finish(
            lambda follow_ups: None
        )
    refused = [row for row in map(carrier.row, carrier.keys) if row.attempts[0].half]
    assert len(refused) == min(4 * max(0, done - 1), 15)
    receive(driver.deps, reported, raw="")  # a process that could not store it did not answer: the provider repeats it
    carrier.work(minutes=2)
    ids = [each.message.attempt_id for each in call.attempts]
    assert [carrier.row(key).attempts[0].half for key in carrier.keys] == [ids[0]] * 8 + [ids[8]] * 7
    carrier.assert_only_the_faulty_failed()


@pytest.mark.parametrize("place", [0, 7, 14])
def test_a_damaged_row_is_in_its_half_once_it_is_mended_and_holds_up_no_other(store: Store, place: int) -> None:
    carrier = storm(store, 15, [2], result=Result.PERMANENT_FAILURE)
    driver, key = carrier.driver, carrier.keys[place]
    (call,) = driver.claim("sms")
    reported = carrier.carry(call)
    with damaged(driver.deps, "notification", carrier.row(key).id, Damage.REFUSED):
        receive(driver.deps, reported, raw="")
        carrier.work()
        others = [carrier.row(each).state for each in carrier.keys if each not in (key, "db-02")]
        assert others == [DELIVERED] * len(others)
    release_all(driver.deps)
    driver.sweep()
    carrier.work()
    carrier.assert_only_the_faulty_failed()


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.ERROR])
def test_each_page_of_a_refused_message_is_suspected_at_once_so_that_the_call_does_not_wait(
    store: Store, severity: Severity
) -> None:
    carrier = storm(store, 8, [5], "voice", severity=severity)
    (call,) = carrier.driver.claim("sms")
    receive(carrier.driver.deps, carrier.carry(call), raw="")
    for key in carrier.keys:
        pages = carrier.driver.pages(key=key)
        assert (pages["sms"].state, used_up(pages["sms"])) == (QUEUED, ())
        assert (pages["voice"].state, pages["voice"].due_at) == (QUEUED, carrier.driver.clock.at)


REPORTS = (Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE, Result.DELIVERED)


@pytest.mark.parametrize("order", [*permutations(REPORTS)], ids=lambda order: "-".join(each.value for each in order))
def test_a_delivery_wins_over_a_refusal_of_the_content_in_any_order(store: Store, order: Sequence[Result]) -> None:
    carrier = storm(store, 5, [])
    (call,) = carrier.driver.claim("sms")
    carrier.carry(call)
    reports = {each: report(call, each) for each in REPORTS}
    reports[Result.PERMANENT_FAILURE] = report(call, Result.PERMANENT_FAILURE, code="30007")
    for each in (*order, order[0]):
        receive(carrier.driver.deps, reports[each], raw="")
    rows = [carrier.row(key) for key in carrier.keys]
    assert {(row.state, row.attempts[0].result, len(row.attempts)) for row in rows} == {(DELIVERED, Result.DELIVERED, 1)}
    assert len({row.attempts[0].half for row in rows}) == 2


def test_what_is_acknowledged_between_the_halves_is_in_neither(store: Store) -> None:
    carrier = storm(store, 8, [5], result=Result.PERMANENT_FAILURE)
    (call,) = carrier.driver.claim("sms")
    reported = carrier.carry(call)
    carrier.driver.acknowledge(key="db-06")
    receive(carrier.driver.deps, reported, raw="")
    carrier.work()
    assert carrier.row("db-06").state is NotificationState.CANCELLED
    assert all("db-06" not in keys for keys in carrier.delivered)
    assert {carrier.row(key).state for key in carrier.keys if key not in ("db-05", "db-06")} == {DELIVERED}


def test_a_text_about_one_that_is_refused_for_its_content_is_a_failure_like_any(store: Store) -> None:
    carrier = storm(store, 1, [0])
    carrier.work()
    row = carrier.row("db-00")
    assert (row.state, len(used_up(row)), row.attempts[0].half) == (QUEUED, 1, None)
    assert row.due_at is not None
    assert row.due_at > carrier.driver.clock.at
