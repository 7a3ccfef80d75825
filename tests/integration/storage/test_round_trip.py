"""What is stored is what is read: every field, to the microsecond, in any script."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.incident_events import IncidentEvent
from notifyflow.core.delivery.model import (
    DETAILS,
    AttemptState,
    Contact,
    DeferralReason,
    Ended,
    EscalationState,
    Evidence,
    Incident,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
)
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.core.delivery.series_carried import Carried, EarlierPage, Series
from notifyflow.errors import StorageError
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.facts import NOW, attempt, escalation, incident, page
from tests.integration.storage.samples import begin

INSTANT = NOW + timedelta(microseconds=1)

FULL_INCIDENT = incident(
    state=IncidentState.RESOLVED,
    version=7,
    severity=Severity.CRITICAL,
    policy=INSISTENT,
    namespace="prometheus",
    run_number=2,
    is_operations=True,
    times_seen=3,
    last_seen_at=INSTANT,
    round_at=INSTANT + timedelta(days=1),
    acknowledged_at=INSTANT,
    acknowledged_by="ada",
    acknowledged_via="link",
    resolved_at=INSTANT,
    resolved_by="grace",
    series=Series(
        first_id="i0",
        severity=Severity.ERROR,
        openings=(NOW, INSTANT),
        open_for=timedelta(seconds=12, microseconds=345_678),
        told_at={"CRITICAL": INSTANT},
        flapping_at=INSTANT,
        is_flapping_told=True,
        has_reached=True,
        is_over=True,
        over_for=("ada",),
    ),
)
FULL_ESCALATION = escalation(
    state=EscalationState.EXHAUSTED,
    version=4,
    tier=3,
    policy=INSISTENT,
    next_decision_at=INSTANT,
    next_round_at=INSTANT + timedelta(days=1),
    repetition=2,
    critical_at=INSTANT,
    alerted_at=INSTANT,
    held_up_at=INSTANT,
    reported_at=INSTANT,
    is_current=False,
    reason="no_address",
    carried=Carried(
        clock=timedelta(microseconds=1),
        tier=2,
        is_first=False,
        pages=(EarlierPage(notification_id="n0", tier=2, channel="sms", failures=1, waited=timedelta(1), paged_at=INSTANT),),
    ),
    readdressed_at=INSTANT,
    readdress_at=INSTANT,
)
FULL_PAGE = page(
    "sms",
    NotificationState.FAILED,
    kind=Kind.INCIDENT_EVENT,
    tier=None,
    version=9,
    rung_at=INSTANT,
    deferred_since=INSTANT,
    deferred_by=DeferralReason.LIMIT,
    paused_since=INSTANT,
    paused_until=INSTANT,
    lane="0123456789abcdef",
    waits_until=INSTANT,
    ended=Ended.CAPPED,
    ended_at=INSTANT,
    namespace="prometheus",
    is_stopped=True,
    has_been_silenced=True,
    reason="capped",
    incident_event=IncidentEvent(
        subscriber="status-page",
        event="acknowledged",
        incident_id="i",
        at=INSTANT,
        state=IncidentState.ACKNOWLEDGED,
        severity=Severity.ERROR,
        version=4,
        by="ada",
        via="link",
    ),
)
FULL_ATTEMPT = attempt(
    1,
    notification_id=FULL_PAGE.id,
    state=AttemptState.RECORDED,
    ended_at=INSTANT,
    result=Result.TEMPORARY_FAILURE,
    evidence=Evidence.CARRIER,
    is_doubted=True,
    is_our_fault=True,
    code="30003",
    reason="the phone is off",
    provider_ref="SM1",
    retry_after_s=1.5,
    receipt_due_at=INSTANT,
    sent_with="a0",
    position=1,
    is_named=False,
    over_at=INSTANT,
    unproven_at=INSTANT,
    half="a1",
)


def test_every_field_of_an_incident_comes_back(store: Store) -> None:
    store.run(lambda ledger: ledger.incidents.add(FULL_INCIDENT, Incident(key="db-1", title="t")))
    assert store.run(lambda ledger: ledger.incidents.get("i")) == FULL_INCIDENT


@pytest.mark.parametrize("nothing", [{}, {"body": "", "source": "", "url": "", "labels": {}}])
def test_missing_fields_are_kept_as_empty(store: Store, nothing: dict[str, Any]) -> None:
    store.run(lambda ledger: ledger.incidents.add(FULL_INCIDENT, Incident(key="db-1", title="t", **nothing)))
    content = store.run(lambda ledger: ledger.incidents.content("i"))
    assert (content.body, content.source, content.url, content.labels) == ("", "", None, {})


def test_every_field_of_an_escalation_comes_back(store: Store) -> None:
    begin(store)
    stored = replace(FULL_ESCALATION, id="e2", round=2)
    store.run(lambda ledger: ledger.escalations.add(stored, event="started", detail={}))
    assert store.run(lambda ledger: ledger.escalations.lock("e2")) == stored


def test_every_field_of_a_notification_and_its_attempts_comes_back(store: Store) -> None:
    stored = replace(FULL_PAGE, attempts=(FULL_ATTEMPT,))
    begin(store, stored)

    def add_attempt(ledger: Ledger) -> None:
        row = ledger.notifications.lock(stored.id)
        ledger.save(row, replace(row, attempts=(FULL_ATTEMPT,)))

    store.run(add_attempt)
    assert store.run(lambda ledger: ledger.notifications.lock(stored.id)) == stored


def test_content_and_contacts_come_back_in_order(store: Store) -> None:
    content = Incident(
        key="db-1",
        title="注文 DB が停止 🔥",
        body="line 1\nline 2",
        severity=Severity.WARNING,
        **dict.fromkeys(DETAILS, "prometheus"),
        url="https://example.com/1",
        labels={"z": "last name first", "a": "ÿ"},
        occurred_at=INSTANT,
    )
    people = [
        Contact(
            recipient_id=each,
            name=each,
            addresses={"sms": "+1", "email": each},
            timezone="Asia/Tokyo",
            quiet="22:00-07:00",
            channels={"ERROR": ("sms", "email")},
        )
        for each in "cab"
    ]
    store.run(lambda ledger: ledger.incidents.add(incident(), Incident(key="db-1", title="before")))
    store.run(lambda ledger: ledger.incidents.set_content("i", content))
    for person in people:
        store.run(lambda ledger, person=person: ledger.contacts.put("i", [person]))
    moved = replace(people[1], addresses={"email": "new"})
    store.run(lambda ledger: ledger.contacts.put("i", [moved]))

    read = store.run(lambda ledger: ledger.incidents.content("i"))
    assert read == content
    assert list(read.labels) == ["z", "a"]
    assert list(store.run(lambda ledger: ledger.contacts.of("i")).values()) == [people[0], moved, people[2]]
    assert store.run(lambda ledger: ledger.contacts.get("i", "a")) == moved


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    instant=st.datetimes(
        min_value=datetime(1970, 1, 2),  # noqa: DTZ001 (Hypothesis adds the zone)
        max_value=datetime(2200, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=9, minutes=30))]),
    ),
    text=st.text(st.characters(codec="utf-8", exclude_characters="\0")),
)
def test_any_instant_and_any_text_come_back(sqlite_and_postgres: tuple[Store, Store], instant: datetime, text: str) -> None:
    for store in sqlite_and_postgres:
        before = store.run(lambda ledger: ledger.incidents.lock("i"))
        after = replace(before, last_seen_at=instant, resolved_by=text)
        stored = store.run(lambda ledger, before=before, after=after: ledger.save(before, after))
        assert store.run(lambda ledger: ledger.incidents.lock("i")) == stored
        assert stored.last_seen_at == instant


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_what_no_database_can_keep_is_replaced(store: Store, text: str) -> None:
    store.run(lambda ledger: ledger.incidents.add(incident(key=text), Incident(key=text, title=text, labels={text: text})))
    found = store.run(lambda ledger: ledger.incidents.lock_named(text, namespace=None))
    assert found is not None
    assert found.key in ("a\N{REPLACEMENT CHARACTER}b", "a?b")
    assert store.run(lambda ledger: ledger.incidents.content("i")).labels == {text: text}


def test_an_instant_without_a_zone_is_refused(store: Store) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 (that is the point)
    with pytest.raises(ValueError, match="without a zone"):
        store.run(lambda ledger: ledger.incidents.add(incident(last_seen_at=naive), Incident(key="db-1", title="t")))


@pytest.mark.parametrize(
    "read", ["incidents.lock", "incidents.get", "incidents.content", "escalations.lock", "escalations.get", "notifications.lock"]
)
def test_a_row_that_is_not_there_is_an_error_with_its_id(store: Store, read: str) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        store.run(lambda ledger: attrgetter(read)(ledger)("nowhere"))


def test_a_read_without_a_lock_reads_the_same(store: Store) -> None:
    begin(store)
    assert store.run(lambda ledger: ledger.incidents.get("i")) == store.run(lambda ledger: ledger.incidents.lock("i"))
    assert store.run(lambda ledger: ledger.escalations.get("e")) == store.run(lambda ledger: ledger.escalations.lock("e"))


@pytest.mark.parametrize(
    ("full", "facts"), [(FULL_INCIDENT, IncidentFacts), (FULL_ESCALATION, EscalationFacts), (FULL_PAGE, NotificationFacts)]
)
def test_these_tests_leave_no_field_at_its_default(full: object, facts: type) -> None:
    excused = {"attempts", "due_at", "times_aside", "is_readable"}
    untouched = {field.name for field in fields(facts) if getattr(full, field.name) == field.default} - excused
    assert untouched == set()
