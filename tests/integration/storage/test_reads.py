"""What people are shown is one consistent state, in order, read by as many queries as there are tables."""

from contextlib import closing
from dataclasses import replace

import pytest

from notifyflow.core.delivery.model import DETAILS, Contact, EscalationState, Incident, IncidentState, Kind, NotificationState
from notifyflow.core.insight.views import IncidentFilter
from notifyflow.storage.dialects import dialect_for
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.reads import Reads
from notifyflow.storage.store import Store
from tests.facts import NOW, attempt, escalation, incident, page
from tests.integration.storage.samples import LATER, a_page, begin, claim
from tests.patience import PatientStore


def _crowd(ledger: Ledger, people: int, pages: int) -> None:
    """Store an incident with so many recipients, two rounds each, and so many pages with two attempts a round."""
    ledger.incidents.add(incident(), Incident(key="db-1", title="t"))
    for person in range(people):
        name = f"p{person}"
        ledger.contacts.put("i", [Contact(recipient_id=name, name=name, addresses={})])
        for number in (1, 2):
            facts = escalation(id=f"{name}-{number}", recipient_id=name, round=number)
            ledger.escalations.add(facts, event="started", detail={})
            rows = [
                page(f"c{each}", NotificationState.SENT, id=f"{facts.id}-{each}", escalation_id=facts.id) for each in range(pages)
            ]
            calls = {
                row.id: tuple(
                    attempt(call, row.attempts[0].result, id=f"{row.id}-{call}", notification_id=row.id) for call in (1, 2)
                )
                for row in rows
            }
            ledger.notifications.add([replace(row, version=2, attempts=calls[row.id]) for row in rows], event="queued")


def test_an_unknown_key_has_no_status(store: Store) -> None:
    assert store.read(lambda reads: (reads.status("db-1"), reads.status_by_id("i"), reads.is_settled("db-1"))) == (
        None,
        None,
        None,
    )


def test_a_status_is_whole_and_in_order(store: Store) -> None:
    store.run(lambda ledger: _crowd(ledger, 2, 2))
    update = page("c0", id="update", escalation_id="p1-2", kind=Kind.STATUS_UPDATE, tier=None, due_at=NOW)
    store.run(lambda ledger: ledger.notifications.add([update, a_page(3, "a", escalation_id="p1-2")], event="queued"))
    status = store.read(lambda reads: reads.status("db-1"))
    assert status is not None
    assert status == store.read(lambda reads: reads.status_by_id("i"))
    assert [each.facts.id for each in status.escalations] == ["p0-1", "p0-2", "p1-1", "p1-2"]
    assert [each.contact.recipient_id for each in status.escalations] == ["p0", "p0", "p1", "p1"]
    assert [each.id for each in status.escalations[-1].notifications] == ["p1-2-0", "p1-2-1", "n3", "update"]
    assert [each.number for each in status.escalations[0].notifications[0].attempts] == [1, 2]
    assert status.content == Incident(key="db-1", title="t", body="", **dict.fromkeys(DETAILS, ""), labels={})
    assert status.operations_key is None
    assert len(status.transitions) == 1 + 4 + 8 + 2


@pytest.mark.parametrize("size", [1, 6])
def test_a_status_takes_the_same_number_of_queries_whatever_its_size(store: Store, database_url: str, size: int) -> None:
    store.run(lambda ledger: _crowd(ledger, size, size))
    db = dialect_for(database_url).connect(Deadline(600))
    statements: list[str] = []
    Reads(db).status("db-1")  # the first read of a process parses the policy, too
    db.query_hooks.append(lambda event: statements.append(event.sql))
    status = Reads(db).status("db-1")
    db.close()
    assert status is not None
    assert len(status.escalations) == 2 * size
    assert len(statements) == 13


def test_incidents_are_listed_by_when_they_were_last_seen(store: Store) -> None:
    begin(store)
    begin(store, number=2)

    def see_again(ledger: Ledger) -> None:
        before = ledger.incidents.lock("i")
        ledger.save(before, replace(before, last_seen_at=LATER))

    store.run(see_again)
    assert [each.id for each in store.read(lambda reads: reads.incidents(10))] == ["i", "i2"]
    assert [each.id for each in store.read(lambda reads: reads.incidents(1))] == ["i"]


def test_an_incident_is_settled_when_no_escalation_is_active(store: Store) -> None:
    begin(store)
    assert store.read(lambda reads: reads.is_settled("db-1")) is False

    def settle(ledger: Ledger) -> None:
        before = ledger.escalations.lock("e")
        ledger.move(before, replace(before, state=EscalationState.REACHED), event="settled", at=NOW)

    store.run(settle)
    assert store.read(lambda reads: reads.is_settled("db-1")) is True


def test_the_stamp_of_everything_differs_after_each_commit_also_of_a_transaction_that_began_before(
    store: Store, database_url: str
) -> None:
    def etag() -> str | None:
        return store.read(lambda reads: reads.etags.of_all())

    if store.is_embedded:
        assert etag() is None
        return
    seen = [etag()]
    with closing(PatientStore(database_url)) as other:

        def write_early(ledger: Ledger) -> None:
            ledger.replies.opt_out("+15005550001", "+15005550006", at=NOW)
            other.run(lambda later: later.replies.opt_out("+15005550001", "+15005550007", at=NOW))
            seen.append(etag())

        store.run(write_early)
    seen.append(etag())
    assert etag() == seen[-1]
    assert len(set(seen)) == 3


def test_a_status_shows_the_newest_incident_of_a_key(store: Store) -> None:
    begin(store)

    def reopen(ledger: Ledger) -> None:
        old = ledger.incidents.lock("i")
        ledger.move(old, replace(old, state=IncidentState.RESOLVED), event="resolved", at=NOW)
        ledger.incidents.add(incident(id="i2", opened_at=LATER), Incident(key="db-1", title="again"))

    store.run(reopen)
    status = store.read(lambda reads: reads.status("db-1"))
    assert status is not None
    assert (status.facts.id, status.content.title) == ("i2", "again")


def test_what_is_queued_or_sending_is_pending(store: Store) -> None:
    begin(store, a_page(1), a_page(2, due_at=LATER), a_page(3), a_page(4, state=NotificationState.SENT, due_at=None))
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n3")))
    assert store.read(lambda reads: reads.pending_count()) == 3
    assert store.read(lambda reads: reads.pending_count(due_by=NOW)) == 2


def test_a_read_sees_one_state_whatever_is_written_meanwhile(store: Store) -> None:
    begin(store)

    def read_twice(reads: Reads) -> tuple[int, int]:
        before = len(reads.incidents(10))
        begin(store, number=2)
        return before, len(reads.incidents(10))

    assert store.read(read_twice) == (1, 1)
    assert len(store.read(lambda reads: reads.incidents(10))) == 2


def test_unresolved_incidents_are_listed_with_whom_their_newest_rounds_reached(store: Store) -> None:
    def body(ledger: Ledger) -> None:
        _crowd(ledger, 2, 2)
        exhausted = escalation(id="e3", recipient_id="p2", state=EscalationState.EXHAUSTED)
        ledger.escalations.add(exhausted, event="started", detail={})
        ledger.notifications.add(
            [replace(a_page(3, "a", escalation_id="e3"), state=NotificationState.FAILED, due_at=None)], event="queued"
        )
        ledger.incidents.add(incident(id="j", key="db-2", state=IncidentState.RESOLVED), Incident(key="db-2", title="t"))

    store.run(body)
    wanted = IncidentFilter(states=frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED}))
    (found,) = store.read(lambda reads: reads.incident_list.page(wanted, after=None, limit=10)).lines
    assert found.facts.id == "i"
    assert (found.counts.recipients, found.counts.reached, found.counts.failed) == (3, 2, 1)
    assert store.read(lambda reads: reads.incident_list.page(IncidentFilter(key="none"), after=None, limit=10)).lines == ()


def test_names_are_read_from_the_newest_incidents(store: Store) -> None:
    store.run(lambda ledger: _crowd(ledger, 2, 0))
    store.run(lambda ledger: ledger.incidents.add(incident(id="j", key="db-2", namespace="web"), Incident(key="db-2", title="t")))
    assert store.read(lambda reads: reads.listings.keys(None, limit=10)) == ["db-2", "db-1"]
    assert store.read(lambda reads: reads.listings.keys("web", limit=10)) == ["db-2"]
    assert sorted(store.read(lambda reads: reads.listings.recipient_ids(limit=10))) == ["p0", "p1"]
