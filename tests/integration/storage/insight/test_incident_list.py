"""The list of incidents and the etag of one, over both databases."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import chain
from typing import Any

import pytest

from notifyflow.core import ids
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import (
    Contact,
    EscalationState,
    Evidence,
    Incident,
    IncidentState,
    NotificationState,
    Result,
    Severity,
    StepState,
)
from notifyflow.core.insight.views import ETag, IncidentFilter, IncidentPage, ListPlace, RecipientCounts
from notifyflow.storage.dialects import dialect_for
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.insight.incident_list import WINDOW
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.reads import Reads
from notifyflow.storage.store import Store
from tests.chains import step
from tests.facts import NOW, escalation, incident
from tests.integration.storage.samples import a_page, begin, claim

OPEN, ACKNOWLEDGED, RESOLVED = IncidentState
HOUR = timedelta(hours=1)
STEPS = (step(1, StepState.STARTED), step(2, StepState.STARTED), step(3), step(4))


def add(store: Store, number: int, state: IncidentState = OPEN, *, who: Sequence[str] = ("ada",), **content: Any) -> str:
    """Store an incident that was opened so many hours after the first; return its id."""
    at = NOW + number * HOUR
    facts: IncidentFacts = incident(
        id=ids.lowest(at),
        key=f"db-{number}",
        state=state,
        opened_at=at,
        severity=content.pop("severity", Severity.ERROR),
        namespace=content.pop("namespace", ""),
    )
    told = Incident(key=facts.key, **({"title": f"title {number}"} | content))

    def body(ledger: Ledger) -> None:
        ledger.incidents.add(facts, told)
        ledger.contacts.put(facts.id, [Contact(recipient_id=each, name=each.title(), addresses={}) for each in who])

    store.run(body)
    return facts.id


def page(store: Store, after: ListPlace | None = None, *, limit: int = 10, window: int = WINDOW, **wanted: Any) -> IncidentPage:
    return store.read(lambda reads: reads.incident_list.page(IncidentFilter(**wanted), after=after, limit=limit, window=window))


def keys(found: IncidentPage) -> list[str]:
    return [line.facts.key for line in found.lines]


def every_page(store: Store, *, limit: int, window: int = WINDOW, **wanted: Any) -> list[list[str]]:
    pages, after = [], None
    while True:
        found = page(store, after, limit=limit, window=window, **wanted)
        pages.append(keys(found))
        after = found.following
        if after is None:
            return pages


@pytest.fixture
def filled(store: Store) -> Store:
    states = (RESOLVED, OPEN, RESOLVED, ACKNOWLEDGED, OPEN, RESOLVED)
    for number, state in enumerate(states):
        add(store, number, state, namespace="web" if number % 2 else "", who=("ada",) if number < 4 else ("ben",))
    return store


def test_what_is_open_comes_first_then_what_is_acknowledged_then_what_is_resolved(filled: Store) -> None:
    found = page(filled)
    assert keys(found) == ["db-4", "db-1", "db-3", "db-5", "db-2", "db-0"]
    assert (found.following, found.is_cut) == (None, False)
    assert found.lines[0].title == "title 4"


@pytest.mark.parametrize("number", [1, 4])
def test_chains_are_read_with_as_many_queries_however_many_there_are(store: Store, database_url: str, number: int) -> None:
    def begin_chain(ledger: Ledger, incident_id: str) -> None:
        before = ledger.incidents.lock(incident_id)
        ledger.save(before, replace(before, run_number=1))
        steps = [step(each.number, each.state, id=f"{incident_id}{each.id}", incident_id=incident_id) for each in STEPS]
        ledger.steps.add(steps, [Contact(recipient_id="cy", name="Cy", addresses={})], at=NOW)

    for each in range(number):
        incident_id = add(store, each)
        store.run(lambda ledger: begin_chain(ledger, incident_id))  # noqa: B023 - it is run at once
    add(store, number)
    db = dialect_for(database_url).connect(Deadline(600))
    statements: list[str] = []
    Reads(db).incident_list.page(IncidentFilter(), after=None, limit=10)  # the first read of a process parses the policy, too
    db.query_hooks.append(lambda event: statements.append(event.sql))
    found = Reads(db).incident_list.page(IncidentFilter(), after=None, limit=10)
    db.close()
    assert found.lines[0].chain is None
    chains = [line.chain for line in found.lines[1:]]
    assert [(each.step, each.steps, dict(each.people)) for each in chains if each] == [(2, 3, {"cy": "Cy"})] * number
    assert len([each for each in statements if "notifyflow_step" in each]) == 2


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
def test_pages_follow_each_other_without_a_gap_or_a_repetition(filled: Store, limit: int) -> None:
    pages = every_page(filled, limit=limit)
    assert list(chain(*pages)) == ["db-4", "db-1", "db-3", "db-5", "db-2", "db-0"]
    assert all(len(each) == limit for each in pages[:-1])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"states": frozenset({RESOLVED})}, ["db-5", "db-2", "db-0"]),
        ({"states": frozenset({ACKNOWLEDGED, OPEN})}, ["db-4", "db-1", "db-3"]),
        ({"namespaces": frozenset({"web"})}, ["db-1", "db-3", "db-5"]),
        ({"namespaces": frozenset({"web", ""})}, ["db-4", "db-1", "db-3", "db-5", "db-2", "db-0"]),
        ({"namespaces": frozenset()}, []),
        ({"recipient_id": "ben"}, ["db-4", "db-5"]),
        ({"recipient_id": "ada", "namespaces": frozenset({""})}, ["db-2", "db-0"]),
        ({"since": NOW + 2 * HOUR}, ["db-4", "db-3", "db-5", "db-2"]),
        ({"since": NOW + HOUR, "until": NOW + 3 * HOUR}, ["db-1", "db-2"]),
        ({"text": "TITLE 3"}, ["db-3"]),
        ({"text": "db-"}, ["db-4", "db-1", "db-3", "db-5", "db-2", "db-0"]),
        ({"text": ids.lowest(NOW)}, ["db-0"]),
        ({"text": "%"}, []),
        ({"key": "db-5"}, ["db-5"]),
    ],
)
def test_a_filter_leaves_out_all_others(filled: Store, wanted: dict[str, Any], expected: list[str]) -> None:
    assert keys(page(filled, **wanted)) == expected
    assert list(chain(*every_page(filled, limit=1, **wanted))) == expected


def test_labels_severity_and_text_are_found(store: Store) -> None:
    add(store, 1, RESOLVED, severity=Severity.CRITICAL, labels={"team": "orders"}, title="100 % full", source="grafana")
    add(store, 2, RESOLVED, labels={"team": "search"})
    assert keys(page(store, severities=frozenset({Severity.CRITICAL}))) == ["db-1"]
    assert keys(page(store, labels=frozenset({("team", "orders")}))) == ["db-1"]
    assert page(store, labels=frozenset({("team", "orders")})).lines[0].labels == {"team": "orders"}
    assert keys(page(store, text="100 %")) == ["db-1"]
    assert keys(page(store, text="Grafana")) == ["db-1"]


@pytest.mark.parametrize("more", [{}, {"recipient_id": "ada"}, {"namespaces": frozenset({"", "web"})}])
def test_without_an_index_a_page_searches_what_is_open_and_a_window_of_the_history(store: Store, more: dict[str, Any]) -> None:
    wanted = {"text": "needle"} | more
    add(store, 0, OPEN, title="needle")
    add(store, 1, RESOLVED, title="needle")
    for number in range(2, 6):
        add(store, number, RESOLVED, namespace="web" if "namespaces" in more and number == 5 else "")
    first = page(store, window=3, **wanted)
    assert keys(first) == ["db-0"]
    assert first.is_cut
    second = page(store, first.following, window=3, **wanted)
    assert keys(second) == ["db-1"]
    assert list(chain(*every_page(store, limit=10, window=3, **wanted))) == ["db-0", "db-1"]
    assert not page(store, window=10, **wanted).is_cut


def test_a_line_says_whom_the_newest_rounds_have_reached(store: Store) -> None:
    def body(ledger: Ledger) -> None:
        ledger.incidents.add(incident(id="i", state=RESOLVED), Incident(key="db-1", title="t"))
        ledger.contacts.put("i", [Contact(recipient_id=each, name=each, addresses={}) for each in ("ada", "ben")])
        for each in (
            escalation(id="e1", recipient_id="ada", round=1, state=EscalationState.EXHAUSTED, critical_at=NOW, is_current=False),
            escalation(id="e2", recipient_id="ada", round=2, state=EscalationState.REACHED, is_current=False),
            escalation(id="e3", recipient_id="ben", state=EscalationState.EXHAUSTED, critical_at=NOW, is_current=False),
        ):
            ledger.escalations.add(each, event="started", detail={})
        rows = [
            (1, "e1", NotificationState.FAILED),
            (2, "e2", NotificationState.SENT),
            (3, "e3", NotificationState.FAILED),
            (4, "e3", NotificationState.FAILED),
        ]
        pages = [replace(a_page(number, escalation_id=own), state=state, due_at=None) for number, own, state in rows]
        ledger.notifications.add(pages, event="queued")

    store.run(body)
    (line,) = page(store).lines
    assert line.counts == RecipientCounts(recipients=2, reached=1, failed=1, critical=1, failed_pages=2)


def test_an_unknown_incident_has_no_stamp(store: Store) -> None:
    assert store.read(lambda reads: reads.etags.of("i")) is None


def test_each_change_of_an_incident_changes_its_stamp(store: Store) -> None:
    begin(store, a_page())
    seen: list[ETag | None] = []

    def note() -> None:
        seen.append(store.read(lambda reads: reads.etags.of("i")))
        assert len({each.figures for each in seen if each}) == len(seen)

    def change(act: Callable[[Ledger], object]) -> None:
        store.run(act)
        note()

    def strengthen(**fields: Any) -> Callable[[Ledger], object]:
        def body(ledger: Ledger) -> None:
            row = ledger.notifications.lock("n1")
            ledger.save(row, replace(row, attempts=(*row.attempts[:-1], replace(row.attempts[-1], **fields))))

        return body

    note()
    first = seen[0]
    assert first is not None
    assert (first.namespace, first.soonest_at) == ("", NOW)
    change(lambda ledger: claim(ledger, ledger.notifications.lock("n1"), receipt_due_at=NOW + HOUR))
    change(strengthen(ended_at=NOW, result=Result.ACCEPTED, evidence=Evidence.ACCEPTED))
    change(strengthen(evidence=Evidence.CARRIER))
    change(strengthen(result=Result.DELIVERED))
    change(lambda ledger: ledger.save(one := ledger.escalations.lock("e"), replace(one, next_round_at=NOW - HOUR)))
    latest = seen[-1]
    assert latest is not None
    assert latest.soonest_at == NOW - HOUR
    change(lambda ledger: ledger.move(one := ledger.incidents.lock("i"), replace(one, times_seen=2), event="repeated", at=NOW))
