"""Work is found in the right order, once, by whoever looks first."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier

import pytest

from notifyflow.core.delivery.model import AttemptState, IncidentState, NotificationState, Severity
from notifyflow.storage.ledger import AttemptRef, Due, Ledger
from notifyflow.storage.store import Store
from tests.facts import LEASE, NOW
from tests.integration.storage.samples import LATER, a_page, begin, claim, ids

SECOND = timedelta(seconds=1)
AGAIN_AFTER = timedelta(seconds=30)


def _claim_due(store: Store, *requested_ids: str, limit: int = 10, now: datetime = NOW) -> list[str]:
    return ids(store.run(lambda ledger: ledger.work.claim("email", requested_ids, now=now, limit=limit).rows))


def _ring(store: Store, *, limit: int = 10, now: datetime = NOW) -> list[str]:
    return [
        due.notification_id for due in store.run(lambda ledger: ledger.work.ring(now=now, again_after=AGAIN_AFTER, limit=limit))
    ]


def test_a_claim_takes_urgent_ones_first_then_those_rung_for_then_the_oldest(store: Store) -> None:
    begin(
        store,
        a_page(1, due_at=NOW - 3 * SECOND),
        a_page(2, due_at=NOW - 9 * SECOND),
        a_page(3, due_at=NOW - 1 * SECOND),
        a_page(4, due_at=NOW - 2 * SECOND, urgent=True),
        a_page(5, due_at=NOW - 5 * SECOND, urgent=True),
        a_page(6, due_at=NOW + SECOND),
        a_page(7, "sms"),
    )
    assert _claim_due(store, "n3", "n4", "n6", "n7", "unknown") == ["n5", "n4", "n3", "n2", "n1"]
    assert _claim_due(store, "n3", limit=3) == ["n5", "n4", "n3"]
    assert _claim_due(store, limit=1) == ["n5"]
    assert _claim_due(store, now=NOW - 10 * SECOND) == []


def test_namespaces_take_turns_whatever_one_has_waiting_and_requests(store: Store) -> None:
    flood = [a_page(number, namespace="flood", due_at=NOW - 99 * SECOND) for number in range(1, 60)]
    begin(store, *flood, a_page(100, namespace="other"), a_page(101, namespace="third", due_at=LATER))
    requested_ids = [each.id for each in flood]
    assert "n100" in _claim_due(store, *requested_ids, limit=2)
    begin(store, a_page(200, namespace="other"), a_page(201, namespace="other"), number=2)
    assert [each for each in _claim_due(store, *requested_ids, limit=6) if each not in requested_ids] == ["n100", "n200", "n201"]
    assert len(_claim_due(store, *requested_ids, limit=20)) == 20


def test_of_two_namespaces_each_gets_every_other_row(store: Store) -> None:
    begin(store, *(a_page(number, namespace="flood", due_at=NOW - 99 * SECOND) for number in range(1, 9)))
    begin(store, *(a_page(number, namespace="other") for number in range(11, 15)), number=2)

    def claim_one(ledger: Ledger) -> str:
        (row,) = ledger.work.claim("email", (), now=NOW, limit=1).rows
        claim(ledger, row)
        return row.namespace

    claimed = [store.run(claim_one) for _ in range(12)]
    assert Counter(claimed[:8]) == {"flood": 4, "other": 4}
    assert all(Counter(claimed[: 2 * count])["other"] == count for count in range(1, 5))
    assert claimed[8:] == ["flood"] * 4


def test_who_was_away_saves_no_turns_up(store: Store) -> None:
    begin(store, *(a_page(number, namespace="busy") for number in range(1, 30)))
    begin(store, a_page(31, namespace="steady"), number=2)
    for _ in range(5):
        _claim_due(store, limit=10)
    begin(store, *(a_page(number, namespace="back") for number in range(41, 60)), number=3)
    claimed = _claim_due(store, limit=9)
    assert 3 <= sum(each in {f"n{number}" for number in range(41, 60)} for each in claimed) <= 5


def test_within_a_namespace_urgent_and_requested_rows_still_go_first(store: Store) -> None:
    begin(
        store, a_page(1, namespace="a", due_at=NOW - 9 * SECOND), a_page(2, namespace="a"), a_page(3, namespace="a", urgent=True)
    )
    begin(store, a_page(4, namespace="b", due_at=NOW - 400 * SECOND), a_page(5, namespace="b"), number=2)
    assert _claim_due(store, "n2") == ["n3", "n2", "n5", "n1", "n4"]


def test_after_an_outage_a_claim_takes_what_is_fresh_before_what_is_stale_and_the_newest_of_that_first(store: Store) -> None:
    begin(
        store,
        a_page(1, due_at=NOW - 400 * SECOND),
        a_page(2, due_at=NOW - 300 * SECOND),
        a_page(3, due_at=NOW - 299 * SECOND),
        a_page(4, due_at=NOW - 1 * SECOND),
        a_page(5, due_at=NOW - 900 * SECOND, urgent=True),
        a_page(6, due_at=NOW - 800 * SECOND, urgent=True),
        a_page(7, due_at=NOW - 2 * SECOND, urgent=True),
    )
    assert _claim_due(store, "n1") == ["n7", "n6", "n5", "n3", "n4", "n2", "n1"]
    assert _ring(store) == ["n7", "n5", "n6", "n3", "n4", "n1", "n2"]


def test_a_claim_brings_the_attempts(store: Store) -> None:
    begin(store, a_page())

    def release(ledger: Ledger) -> None:
        begun = claim(ledger, ledger.notifications.lock("n1"))
        row, not_sent = ledger.notifications.lock("n1"), replace(begun, state=AttemptState.NOT_SENT)
        ledger.move(row, replace(row, state=NotificationState.QUEUED, due_at=NOW, attempts=(not_sent,)), event="released", at=NOW)

    store.run(release)
    (claimed,) = store.run(lambda ledger: ledger.work.claim("email", (), now=NOW, limit=1)).rows
    assert [each.id for each in claimed.attempts] == ["n1-a1"]


def test_workers_that_claim_at_once_share_the_work_without_a_gap(store: Store) -> None:
    workers, each = 6, 5
    begin(store, *(a_page(number) for number in range(1, workers * each + 1)))
    start = Barrier(workers)

    def work(_: int) -> list[str]:
        start.wait()

        def use_case(ledger: Ledger) -> list[str]:
            rows = ledger.work.claim("email", ("n1",), now=NOW, limit=each).rows
            for row in rows:
                claim(ledger, row)
            return ids(rows)

        return store.run(use_case, timeout_s=30)

    with ThreadPoolExecutor(workers) as pool:
        claimed = [claimed for batch in pool.map(work, range(workers)) for claimed in batch]
    assert sorted(claimed) == sorted(f"n{number}" for number in range(1, workers * each + 1))


def test_what_is_due_is_rung_for_once_urgent_ones_first(store: Store) -> None:
    begin(store, a_page(1), a_page(2, urgent=True), a_page(3, due_at=LATER), a_page(4, rung_at=NOW - SECOND))
    assert _ring(store) == ["n2", "n1"]
    assert _ring(store) == []
    assert _ring(store, now=LATER) == ["n2", "n3", "n4", "n1"]


def test_what_stays_due_is_rung_for_again(store: Store) -> None:
    begin(store, a_page(1), a_page(2))
    assert sorted(_ring(store)) == ["n1", "n2"]
    assert _ring(store, now=NOW + AGAIN_AFTER - SECOND) == []
    assert sorted(_ring(store, now=NOW + AGAIN_AFTER)) == ["n1", "n2"]


def test_a_ring_says_channel_and_severity(store: Store) -> None:
    begin(store, a_page(1, urgent=True))
    (due,) = store.run(lambda ledger: ledger.work.ring(now=NOW, again_after=AGAIN_AFTER, limit=10))
    assert due == Due(notification_id="n1", channel="email", severity=Severity.CRITICAL)


def test_rings_are_limited_with_the_urgent_ones_in_front(store: Store) -> None:
    begin(store, a_page(1, due_at=NOW - SECOND), a_page(2), a_page(3, urgent=True))
    assert _ring(store, limit=2) == ["n3", "n1"]
    assert _ring(store, limit=2) == ["n2"]


def test_an_urgent_one_is_rung_for_again_before_others_for_the_first_time(store: Store) -> None:
    begin(store, a_page(1, urgent=True, rung_at=NOW - AGAIN_AFTER), a_page(2))
    assert _ring(store, limit=1) == ["n1"]


def test_a_ring_that_was_undone_is_repeated(store: Store) -> None:
    begin(store, a_page(1), a_page(2))
    _ring(store)
    store.run(lambda ledger: ledger.work.unring(["n2"]))
    assert _ring(store) == ["n2"]


def test_sweepers_that_ring_at_once_ring_once(store: Store) -> None:
    begin(store, *(a_page(number) for number in range(1, 41)))
    start = Barrier(4)

    def sweep(_: int) -> list[str]:
        start.wait()
        return _ring(store, limit=40)

    with ThreadPoolExecutor(4) as pool:
        rung = [each for batch in pool.map(sweep, range(4)) for each in batch]
    assert len(rung) == len(set(rung))
    assert set(rung) | set(_ring(store, limit=40)) == {f"n{number}" for number in range(1, 41)}


def test_leases_that_are_over_are_found(store: Store) -> None:
    begin(store, a_page(1), a_page(2))
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n1")))
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n2"), lease_until=NOW + 2 * LEASE))
    ref = AttemptRef(
        incident_id="i", escalation_id="e", notification_id="n1", attempt_id="n1-a1", provider="p", provider_ref="", namespace=""
    )
    assert store.run(lambda ledger: ledger.attempts.expired_leases(now=NOW + LEASE, limit=10)) == (ref,)
    assert store.run(lambda ledger: ledger.attempts.expired_leases(now=NOW + LEASE - SECOND, limit=10)) == ()
    assert len(store.run(lambda ledger: ledger.attempts.expired_leases(now=NOW + 2 * LEASE, limit=10))) == 2
    assert len(store.run(lambda ledger: ledger.attempts.expired_leases(now=NOW + 2 * LEASE, limit=1))) == 1


def test_escalations_are_decided_when_their_time_has_come(store: Store) -> None:
    for number, (next_decision_at, is_current) in enumerate(((LATER, True), (NOW, True), (None, True), (NOW, False)), start=1):
        begin(store, number=number)

        def check(
            ledger: Ledger,
            number: int = number,
            next_decision_at: datetime | None = next_decision_at,
            is_current: bool = is_current,
        ) -> None:
            before = ledger.escalations.lock("e" if number == 1 else f"e{number}")
            ledger.save(before, replace(before, next_decision_at=next_decision_at, is_current=is_current))

        store.run(check)
    assert store.run(lambda ledger: ledger.work.escalations_due(now=NOW, limit=10)) == (("i2", "e2"),)
    assert store.run(lambda ledger: ledger.work.escalations_due(now=LATER, limit=10)) == (("i2", "e2"), ("i", "e"))
    assert store.run(lambda ledger: ledger.work.escalations_due(now=LATER, limit=1)) == (("i2", "e2"),)


def test_rounds_of_operations_are_due_while_the_incident_is_not_resolved(store: Store) -> None:
    for number, state in enumerate((IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED), start=1):
        begin(store, number=number)

        def set_round(ledger: Ledger, number: int = number, state: IncidentState = state) -> None:
            before = ledger.incidents.lock("i" if number == 1 else f"i{number}")
            ledger.save(before, replace(before, state=state, round_at=NOW + number * SECOND))

        store.run(set_round)
    assert store.run(lambda ledger: ledger.work.incidents_due(now=LATER, limit=10)) == (("i", "i2"), False)
    assert store.run(lambda ledger: ledger.work.incidents_due(now=NOW + SECOND, limit=10)) == (("i",), False)


def test_rounds_are_due_by_incident_as_soon_as_one_recipients_is(store: Store) -> None:
    for number, (due_at, is_current) in enumerate(((LATER, True), (NOW, True), (None, True), (NOW, False)), start=1):
        begin(store, number=number)

        def set_round(
            ledger: Ledger, number: int = number, due_at: datetime | None = due_at, is_current: bool = is_current
        ) -> None:
            before = ledger.escalations.lock("e" if number == 1 else f"e{number}")
            ledger.save(before, replace(before, next_round_at=due_at, is_current=is_current))

        store.run(set_round)
    assert store.run(lambda ledger: ledger.work.rounds_due(now=NOW, limit=10)) == ("i2",)
    assert store.run(lambda ledger: ledger.work.rounds_due(now=LATER, limit=10)) == ("i2", "i")
    assert store.run(lambda ledger: ledger.work.rounds_due(now=LATER, limit=1)) == ("i2",)


def test_the_sweeper_wakes_for_the_earliest_of_all_timers(store: Store) -> None:
    def wake() -> datetime | None:
        return store.run(lambda ledger: ledger.work.next_wake_at())

    assert wake() is None
    begin(store, a_page(1, due_at=NOW + 9 * SECOND), a_page(2, due_at=NOW, rung_at=NOW))
    assert wake() == NOW + 9 * SECOND

    def set_round(ledger: Ledger) -> None:
        before = ledger.incidents.lock("i")
        ledger.save(before, replace(before, round_at=NOW + 8 * SECOND))

    store.run(set_round)
    assert wake() == NOW + 8 * SECOND

    def set_recipients_round(ledger: Ledger) -> None:
        before = ledger.escalations.lock("e")
        ledger.save(before, replace(before, next_round_at=NOW + 7.5 * SECOND))

    store.run(set_recipients_round)
    assert wake() == NOW + 7.5 * SECOND

    def set_timer(ledger: Ledger) -> None:
        before = ledger.escalations.lock("e")
        ledger.save(before, replace(before, next_decision_at=NOW + 7 * SECOND))

    store.run(set_timer)
    assert wake() == NOW + 7 * SECOND
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n2"), lease_until=NOW + 6 * SECOND))
    assert wake() == NOW + 6 * SECOND


def test_an_attempt_is_found_by_our_id_and_by_the_providers(store: Store) -> None:
    begin(store, a_page())
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n1"), provider="twilio", provider_ref="SM1"))
    ref = AttemptRef(
        incident_id="i",
        escalation_id="e",
        notification_id="n1",
        attempt_id="n1-a1",
        provider="twilio",
        provider_ref="SM1",
        namespace="",
    )
    assert store.run(lambda ledger: ledger.attempts.refs(["n1-a1", "unknown"])) == {"n1-a1": ref}
    assert store.run(lambda ledger: ledger.attempts.refs_by_provider_refs([("ses", "SM1"), ("twilio", "SM1")])) == (None, ref)


@pytest.mark.parametrize(("provider", "reference"), [("twilio", ""), ("twilio", "SM2"), ("ses", "SM1")])
def test_another_providers_id_finds_nothing(store: Store, provider: str, reference: str) -> None:
    begin(store, a_page(1), a_page(2))
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n1"), provider="twilio", provider_ref="SM1"))
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n2"), provider="twilio"))
    assert store.run(lambda ledger: ledger.attempts.refs_by_provider_refs([(provider, reference)])) == (None,)
