"""Every move is a compare-and-set with its line in the log."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from notifyflow.core.delivery.facts import NotificationFacts, Transition
from notifyflow.core.delivery.model import AttemptState, EscalationState, Incident, IncidentState, NotificationState, Result
from notifyflow.errors import AmbiguousKey, StaleRow, StorageError
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.facts import NOW, attempt, incident
from tests.integration.storage.samples import LATER, a_page, begin, claim, ids


def _log(store: Store) -> tuple[Transition, ...]:
    status = store.read(lambda reads: reads.status("db-1"))
    assert status is not None
    return status.transitions


def test_a_move_writes_what_changed_and_its_line(store: Store) -> None:
    begin(store)
    before = store.run(lambda ledger: ledger.incidents.lock("i"))
    after = replace(before, state=IncidentState.ACKNOWLEDGED, acknowledged_at=LATER, acknowledged_by="ada")
    moved = store.run(lambda ledger: ledger.move(before, after, event="acknowledged", at=LATER, detail={"by": "ada"}))
    assert moved == replace(after, version=2)
    assert store.run(lambda ledger: ledger.incidents.get("i")) == moved
    assert _log(store)[-1] == Transition(
        machine="incident",
        row_id="i",
        version=2,
        event="acknowledged",
        source="OPEN",
        target="ACKNOWLEDGED",
        at=LATER,
        detail={"by": "ada"},
    )


def test_starts_are_lines_without_a_source(store: Store) -> None:
    begin(store, a_page(1), a_page(2))
    assert [(line.machine, line.row_id, line.version, line.source, line.target) for line in _log(store)] == [
        ("incident", "i", 1, "", "OPEN"),
        ("escalation", "e", 1, "", "ACTIVE"),
        ("notification", "n1", 1, "", "QUEUED"),
        ("notification", "n2", 1, "", "QUEUED"),
    ]


def test_a_reflexive_move_has_a_line_too(store: Store) -> None:
    begin(store)

    def open_tier(ledger: Ledger) -> None:
        before = ledger.escalations.lock("e")
        ledger.move(before, replace(before, tier=2), event="tier_opened", at=LATER, detail={"tier": "2"})

    store.run(open_tier)
    line = _log(store)[-1]
    assert (line.source, line.target, line.version) == (EscalationState.ACTIVE, EscalationState.ACTIVE, 2)


def test_a_save_counts_the_version_and_writes_no_line(store: Store) -> None:
    begin(store)
    lines = _log(store)
    before = store.run(lambda ledger: ledger.escalations.lock("e"))
    saved = store.run(lambda ledger: ledger.save(before, replace(before, next_decision_at=LATER)))
    assert saved == store.run(lambda ledger: ledger.escalations.lock("e")) == replace(before, next_decision_at=LATER, version=2)
    assert _log(store) == lines


@pytest.mark.parametrize("change", [{"version": 2}, {"state": NotificationState.SENT, "due_at": None}])
def test_a_row_that_somebody_else_moved_is_stale(store: Store, change: dict[str, object]) -> None:
    begin(store, a_page())

    def use_case(ledger: Ledger) -> None:
        read = ledger.notifications.lock("n1")
        other = replace(read, **change)  # type: ignore[arg-type]
        with pytest.raises(StaleRow) as caught:
            ledger.move(other, replace(other, reason="x"), event="recorded", at=NOW)
        assert (caught.value.table, caught.value.row_id) == ("notification", "n1")

    store.run(use_case)
    assert len(_log(store)) == 3


def test_what_others_wrote_into_untouched_columns_stays(store: Store) -> None:
    begin(store, a_page())

    def use_case(ledger: Ledger) -> NotificationFacts:
        before = ledger.notifications.lock("n1")
        ledger.work.ring(now=NOW, again_after=timedelta(0), limit=1)
        return ledger.save(before, replace(before, deferred_since=NOW))

    store.run(use_case)
    assert store.run(lambda ledger: ledger.notifications.lock("n1")).rung_at == NOW


def test_a_new_due_time_clears_the_mark_of_the_bell(store: Store) -> None:
    begin(store, a_page(rung_at=NOW), a_page(2, rung_at=NOW))

    def use_case(ledger: Ledger) -> tuple[NotificationFacts, NotificationFacts]:
        first, second = ledger.notifications.lock_of(["e"])
        return (
            ledger.save(first, replace(first, due_at=LATER)),
            ledger.save(second, replace(second, due_at=LATER, rung_at=LATER)),
        )

    stored = store.run(use_case)
    assert [each.rung_at for each in stored] == [None, LATER]
    assert store.run(lambda ledger: ledger.notifications.lock_of(["e"])) == stored


def test_an_attempt_is_saved_once_by_the_holder_of_its_token(store: Store) -> None:
    begin(store, a_page())

    def use_case(ledger: Ledger) -> None:
        begun = claim(ledger, ledger.notifications.lock("n1"))
        recorded = replace(begun, state=AttemptState.RECORDED, result=Result.ACCEPTED, provider_ref="SM1")
        ledger.flush()
        for result in (Result.ACCEPTED, Result.DELIVERED):
            row = ledger.notifications.lock("n1")
            ledger.save(row, replace(row, attempts=(replace(recorded, result=result),)))

    store.run(use_case)
    row = store.run(lambda ledger: ledger.notifications.lock("n1"))
    assert (row.attempts[0].result, row.version) == (Result.DELIVERED, 2)

    def change_what_another_read(ledger: Ledger) -> None:
        other = replace(row, attempts=(replace(row.attempts[0], token="another"),))
        ledger.save(other, replace(row, attempts=(replace(row.attempts[0], result=Result.PERMANENT_FAILURE),)))
        with pytest.raises(StaleRow):
            ledger.flush()

    store.run(change_what_another_read)


def test_a_key_is_freed_and_given_to_a_new_incident_in_one_transaction(store: Store) -> None:
    begin(store)

    def open_another(ledger: Ledger) -> None:
        assert not tries, "the database has refused it"
        tries.append(ledger)
        before = ledger.incidents.lock("i")
        ledger.incidents.add(incident(id="i2", opened_at=LATER), Incident(key="db-1", title="again"))
        ledger.move(before, replace(before, state=IncidentState.RESOLVED), event="resolved", at=NOW)

    tries: list[Ledger] = []
    store.run(open_another)
    states = {each.id: each.state for each in store.read(lambda reads: reads.incidents(10))}
    assert states == {"i": IncidentState.RESOLVED, "i2": IncidentState.OPEN}


def test_a_running_attempt_is_ended_and_the_next_begins_in_one_transaction(store: Store) -> None:
    begin(store, a_page())
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n1")))

    def begin_another(ledger: Ledger) -> None:
        assert not tries, "the database has refused it"
        tries.append(ledger)
        row = ledger.notifications.lock("n1")
        ended = replace(row.attempts[0], state=AttemptState.RECORDED, result=Result.TEMPORARY_FAILURE)
        ledger.save(row, replace(row, attempts=(ended, attempt(2, notification_id="n1"))))

    tries: list[Ledger] = []
    store.run(begin_another)
    row = store.run(lambda ledger: ledger.notifications.lock("n1"))
    assert [each.state for each in row.attempts] == [AttemptState.RECORDED, AttemptState.RUNNING]


def test_a_tier_has_a_channel_once(store: Store) -> None:
    begin(store, a_page(1))
    again = a_page(9, tier=1)
    stored = store.run(lambda ledger: ledger.notifications.add([again, a_page(2)], event="queued"))
    assert ids(stored) == ["n2"]
    assert ids(store.run(lambda ledger: ledger.notifications.lock_of(["e"]))) == ["n1", "n2"]
    assert [line.row_id for line in _log(store)] == ["i", "e", "n1", "n2"]


def test_many_notifications_are_stored_at_once(store: Store) -> None:
    begin(store, *(a_page(number) for number in range(1, 1202)))
    assert len(store.run(lambda ledger: ledger.notifications.lock_of(["e"]))) == 1201


def test_no_escalations_have_no_notifications(store: Store) -> None:
    assert store.run(lambda ledger: ledger.notifications.lock_of([])) == ()


def test_rounds_are_numbered_per_recipient(store: Store) -> None:
    begin(store)
    assert store.run(lambda ledger: ledger.escalations.last_rounds("i")) == {"ada": 1}


def test_only_current_escalations_are_locked(store: Store) -> None:
    begin(store)

    def replace_round(ledger: Ledger) -> None:
        (old,) = ledger.escalations.lock_current("i")
        ledger.save(old, replace(old, is_current=False))
        ledger.escalations.add(replace(old, id="e2", round=2), event="started", detail={})

    store.run(replace_round)
    assert [each.id for each in store.run(lambda ledger: ledger.escalations.lock_current("i"))] == ["e2"]


def _resolve(ledger: Ledger, incident_id: str) -> None:
    before = ledger.incidents.lock(incident_id)
    ledger.move(before, replace(before, state=IncidentState.RESOLVED), event="resolved", at=NOW)


def test_a_key_names_one_unresolved_incident_and_otherwise_the_newest(store: Store) -> None:
    begin(store)
    store.run(lambda ledger: _resolve(ledger, "i"))
    assert store.run(lambda ledger: ledger.incidents.lock_newest_of([("", "db-1")]))["", "db-1"].id == "i"
    newest = store.run(lambda ledger: ledger.incidents.lock_named("db-1", namespace=None))
    assert newest is not None
    assert newest.id == "i"
    store.run(
        lambda ledger: ledger.incidents.add(incident(id="i2", opened_at=LATER), Incident(key="db-1", title="again")),
    )
    unresolved = store.run(lambda ledger: ledger.incidents.lock_newest_of([("", "db-1")]))["", "db-1"]
    assert unresolved == store.run(lambda ledger: ledger.incidents.lock_named("db-1", namespace=None))
    assert unresolved.id == "i2"
    assert store.run(lambda ledger: ledger.incidents.lock_named("unknown", namespace=None)) is None


def _add(store: Store, incident_id: str, namespace: str, *, timeout_s: float = 5.0, **given: Any) -> None:
    facts = incident(id=incident_id, namespace=namespace, **given)
    store.run(lambda ledger: ledger.incidents.add(facts, Incident(key=facts.key, title="t")), timeout_s=timeout_s)


def test_the_same_key_in_another_namespace_is_another_incident(store: Store) -> None:
    for namespace in ("", "prometheus", "staging"):
        _add(store, f"in {namespace}", namespace)
        found = store.run(lambda ledger, where=namespace: ledger.incidents.lock_newest_of([(where, "db-1")]))[namespace, "db-1"]
        assert (found.id, found.namespace) == (f"in {namespace}", namespace)
    assert store.run(lambda ledger: ledger.incidents.lock_newest_of([("nowhere", "db-1")])) == {}
    assert store.run(lambda ledger: ledger.incidents.lock_named("db-1", namespace="nowhere")) is None


@pytest.mark.parametrize("namespace", ["", "prometheus"])
def test_a_namespace_has_one_unresolved_incident_of_a_key(store: Store, namespace: str) -> None:
    _add(store, "first", namespace)
    with pytest.raises(StorageError, match="notifyflow_incident"):
        _add(store, "second", namespace, timeout_s=1)
    store.run(lambda ledger: _resolve(ledger, "first"))
    _add(store, "second", namespace)


def test_a_key_of_several_unresolved_incidents_is_ambiguous_without_a_namespace(store: Store) -> None:
    _add(store, "a", "", opened_at=LATER)
    _add(store, "b", "prometheus")
    for act in (
        lambda: store.run(lambda ledger: ledger.incidents.lock_named("db-1", namespace=None)),
        lambda: store.read(lambda reads: reads.status("db-1")),
        lambda: store.read(lambda reads: reads.is_settled("db-1")),
    ):
        with pytest.raises(AmbiguousKey) as caught:
            act()
        assert caught.value.incidents == (("", "a"), ("prometheus", "b"))
    for namespace, incident_id in (("", "a"), ("prometheus", "b")):
        found = store.run(lambda ledger, where=namespace: ledger.incidents.lock_named("db-1", namespace=where))
        status = store.read(lambda reads, where=namespace: reads.status("db-1", namespace=where))
        assert found is not None
        assert status is not None
        assert found.id == status.facts.id == incident_id


@pytest.mark.parametrize("namespace", [None, "prometheus"])
def test_an_id_names_its_incident_resolved_or_not(store: Store, namespace: str | None) -> None:
    _add(store, "a", "prometheus")
    _add(store, "b", "")
    for resolved in (False, True):
        if resolved:
            store.run(lambda ledger: _resolve(ledger, "a"))
            _add(store, "c", "prometheus")
        found = store.run(lambda ledger: ledger.incidents.lock_named("a", namespace=namespace))
        status = store.read(lambda reads: reads.status("a", namespace=namespace))
        assert found is not None
        assert status is not None
        assert found.id == status.facts.id == "a"
    assert store.run(lambda ledger: ledger.incidents.lock_named("a", namespace="")) is None


def test_whoever_calls_an_incident_by_the_id_of_another_makes_it_no_other(store: Store) -> None:
    """The id of an alert stands in logs; an incident with it as its key must not be taken in the alert's place."""
    _add(store, "victim", "prometheus")
    _add(store, "trap", "attacker", key="victim")
    with pytest.raises(AmbiguousKey) as caught:
        store.run(lambda ledger: ledger.incidents.lock_named("victim", namespace=None))
    assert caught.value.incidents == (("attacker", "trap"), ("prometheus", "victim"))
    found = store.run(lambda ledger: ledger.incidents.lock_named("victim", namespace="prometheus"))
    assert found is not None
    assert found.id == "victim"
    store.run(lambda ledger: _resolve(ledger, "trap"))
    found = store.run(lambda ledger: ledger.incidents.lock_named("victim", namespace=None))
    assert found is not None
    assert found.id == "victim"


def test_the_unresolved_incident_goes_before_a_newer_one_of_another_namespace_that_is_resolved(store: Store) -> None:
    _add(store, "open", "prometheus")
    _add(store, "over", "", opened_at=LATER)
    store.run(lambda ledger: _resolve(ledger, "over"))
    found = store.run(lambda ledger: ledger.incidents.lock_named("db-1", namespace=None))
    status = store.read(lambda reads: reads.status("db-1"))
    assert found is not None
    assert status is not None
    assert found.id == status.facts.id == "open"


def test_a_notification_has_one_running_attempt_at_most(store: Store) -> None:
    begin(store, a_page())
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n1")))

    def add_another(ledger: Ledger) -> None:
        row = ledger.notifications.lock("n1")
        ledger.save(row, replace(row, attempts=(*row.attempts, attempt(2, notification_id="n1"))))

    with pytest.raises(StorageError, match="notifyflow_attempt"):
        store.run(add_another, timeout_s=0.1)
