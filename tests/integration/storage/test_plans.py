"""Claiming, sweeping and looking up walk an index: the databases themselves say so, for the very statements that run."""

import gc
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from importlib import import_module
from itertools import product
from typing import Any

import peewee
import pytest
from peewee import Database

from notifyflow.core.delivery.model import DeferralReason, Evidence, IncidentState, NotificationState, Severity
from notifyflow.core.insight.message_log import MessageFilter
from notifyflow.core.insight.views import IncidentFilter
from notifyflow.core.limits.lanes import Class
from notifyflow.storage.delivery import work
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.metrics.rollup import RollupPosition
from notifyflow.storage.reads import Reads
from notifyflow.storage.session import sets
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.store import Store
from notifyflow.storage.tables import NotificationRow
from tests.columns import dotted, sources
from tests.facts import NOW, escalation
from tests.integration.storage.samples import a_page, begin, claim
from tests.patience import PatientStore

SECOND = timedelta(seconds=1)
QUEUED = MessageFilter(states=frozenset({NotificationState.QUEUED}))
UNFINISHED = MessageFilter(states=frozenset({NotificationState.QUEUED, NotificationState.SENDING}), channels=frozenset({"email"}))
FAILED = MessageFilter(states=frozenset({NotificationState.FAILED}), text="landline", evidence=frozenset({Evidence.CARRIER}))
RESOLVED = """
    INSERT INTO notifyflow_incident
        SELECT (jsonb_populate_record(one, jsonb_build_object('id', 'a' || number, 'key', number, 'state', 'RESOLVED'))).*
        FROM notifyflow_incident AS one, generate_series(1, 500) AS number
"""
"""So many that PostgreSQL has no choice between two indexes, whatever it remembers of a table that was emptied."""
MANY_PAGES = """
    INSERT INTO notifyflow_notification
        SELECT (jsonb_populate_record(one, jsonb_build_object('id', 'a' || number, 'channel', 'c' || number))).*
        FROM notifyflow_notification AS one, generate_series(1, 5000) AS number
"""
MANY_ROUNDS = """
    INSERT INTO notifyflow_escalation
        SELECT (jsonb_populate_record(one, jsonb_build_object(
            'id', 'a' || number, 'recipient_id', 'p' || mod(number, 50), 'round', 1 + number / 50, 'is_current', false,
            'started_at', one.started_at + number * interval '1 s'
        ))).*
        FROM notifyflow_escalation AS one, generate_series(1, 2000) AS number
"""
PAGES_OF_ROUNDS = """
    INSERT INTO notifyflow_notification
        SELECT (jsonb_populate_record(one, jsonb_build_object(
            'id', 'a' || number, 'channel', 'c' || number, 'escalation_id', 'a' || 1 + mod(number, 2000)
        ))).*
        FROM notifyflow_notification AS one, generate_series(1, 6000) AS number
"""
INDEXED: dict[str, Callable[[Ledger], object]] = {
    "claim_due": lambda ledger: ledger.work.claim("email", ["n1"], now=NOW, limit=10),
    "due": lambda ledger: ledger.notifications.due("email", "", is_urgent=False, now=NOW, limit=10),
    "bring_forward": lambda ledger: ledger.notifications.bring_forward([DeferralReason.CIRCUIT], channel="email", now=NOW),
    "lock_due": lambda ledger: ledger.notifications.lock_due(["n1"], now=NOW),
    "lock_many": lambda ledger: ledger.escalations.lock_many({"e"}),
    "load_escalations": lambda ledger: ledger.escalations.load(["e"], moving=["n1"]),
    "operations_among": lambda ledger: ledger.operations.among(["i"]),
    "earlier_notifications": lambda ledger: ledger.notifications.of_earlier_rounds([escalation(round=2)]),
    "lanes": lambda ledger: ledger.lanes.read([("l", Severity.ERROR)], now=NOW),
    "lanes_of_several": lambda ledger: ledger.lanes.read([("l", Severity.ERROR), ("m", Severity.CRITICAL)], now=NOW),
    "lanes_and_the_queued": lambda ledger: ledger.lanes.read([("l", Severity.ERROR)], now=NOW, counts_queued=True),
    "start_of_a_storm": lambda ledger: ledger.lanes.start("l", Class.URGENT, now=NOW),
    "lock_lanes": lambda ledger: ledger.lanes.lock(["l"], "sms"),
    "claim_lanes": lambda ledger: ledger.work.claim_lanes(["l"], (), now=NOW, limit=10),
    "lock_provider_health": lambda ledger: ledger.providers.lock("email", ["ses"]),
    "ring_due": lambda ledger: ledger.work.ring(now=NOW, again_after=SECOND, limit=10),
    "expired_leases": lambda ledger: ledger.attempts.expired_leases(now=NOW, limit=10),
    "escalations_due": lambda ledger: ledger.work.escalations_due(now=NOW, limit=10),
    "rounds_due": lambda ledger: ledger.work.rounds_due(now=NOW, limit=10),
    "incidents_due": lambda ledger: ledger.work.incidents_due(now=NOW, limit=10),
    "next_wake_at": lambda ledger: ledger.work.next_wake_at(),
    "attempt_refs": lambda ledger: ledger.attempts.refs(["a"]),
    "attempt_refs_by_provider_refs": lambda ledger: ledger.attempts.refs_by_provider_refs([("p", "r"), ("q", "s")]),
    "outages": lambda ledger: ledger.intervals.outages(since=NOW, now=NOW),
    "paused_intervals": lambda ledger: ledger.intervals.of("i", since=NOW, now=NOW),
    "decide_again": lambda ledger: ledger.escalations.decide_again(now=NOW),
    "lock_last_sweep": lambda ledger: ledger.intervals.lock_last_sweep(),
    "has_waited": lambda ledger: ledger.intervals.has_waited(since=NOW),
    "has_called_back": lambda ledger: ledger.inbox.has_called_back("p", "email", since=NOW),
    "silence": lambda ledger: ledger.attempts.silence("p", "email", since=NOW, now=NOW),
    "has_notice": lambda ledger: ledger.operations.has_notice("r", "p", at=NOW),
    "lock_newest_of": lambda ledger: ledger.incidents.lock_newest_of([("", "k")]),
    "lock_named": lambda ledger: ledger.incidents.lock_named("k", namespace=None),
    "lock_named_in_a_namespace": lambda ledger: ledger.incidents.lock_named("k", namespace="prometheus"),
    "lock_escalations": lambda ledger: ledger.escalations.lock_current("i"),
    "load_repeated": lambda ledger: ledger.escalations.load_repeated(["i", "j"]),
    "lock_notifications": lambda ledger: ledger.notifications.lock_of(["e", "f"]),
    "waiting_receipts": lambda ledger: ledger.inbox.waiting(["p"], ["r"]),
    "last_rounds": lambda ledger: ledger.escalations.last_rounds("i"),
    "missed_receipts": lambda ledger: ledger.inbox.missed(since=NOW, before=NOW - SECOND, limit=10),
    "stale_receipts": lambda ledger: ledger.inbox.stale(before=NOW, limit=10),
    "forget_bodies": lambda ledger: ledger.inbox.forget_bodies(before=NOW, limit=10),
    "attempts_to_poll": lambda ledger: ledger.attempts.to_poll(["p"], ahead=SECOND, waits=[SECOND] * 2, now=NOW, limit=10),
    "calls_to_ask": lambda ledger: ledger.attempts.calls_to_ask(["p"], now=NOW, within=SECOND, limit=10),
    "calls_to_recall": lambda ledger: ledger.attempts.calls_to_recall(["a"]),
    "calls_under_way": lambda ledger: ledger.attempts.numbers_taken(["l"], now=NOW),
    "waiting_in_vain": lambda ledger: ledger.notifications.stop_waiting(["voice"], is_bundling=True, now=NOW, limit=10),
    "lock_operations": lambda ledger: ledger.operations.lock(),
    "uncounted": lambda ledger: ledger.operations.uncounted("i"),
    "idempotent response": lambda ledger: ledger.responses.get([("a", "k")], now=NOW),
    "is_left_behind": lambda ledger: ledger.heartbeat.is_left_behind(before=NOW - SECOND),
    "is_operations_unreached": lambda ledger: ledger.heartbeat.is_operations_unreached(),
    "rollup": lambda ledger: ledger.rollups.read(
        RollupPosition(xid=0, line_id=0, after_id=0, rolled_up_at=None, until=1 << 30), limit=10
    ),
    "prune_incidents": lambda ledger: ledger.pruning.incidents((NOW, ""), before=NOW, limit=10),
}
QUEUES: dict[str, Callable[[Ledger], object]] = {
    "claim_due": INDEXED["claim_due"],
    "namespaces_due": lambda ledger: ledger.work._fair_queue.due("email", is_urgent=False, now=NOW),
    "fair_queue": lambda ledger: ledger.work._fair_queue.served("email", ["a", "b"], is_urgent=True),
}
"""Where several namespaces have something due."""
INDEXED_READS: dict[str, Callable[[Reads], object]] = {
    "status": lambda reads: reads.status("db-1"),
    "status_in_a_namespace": lambda reads: reads.status("db-1", namespace=""),
    "is_settled": lambda reads: reads.is_settled("db-1"),
    "pending_count": lambda reads: reads.pending_count(due_by=NOW),
    "running": lambda reads: reads.running(),
    "incidents": lambda reads: reads.incidents(10),
    "incident_page": lambda reads: reads.incident_list.newest(IncidentFilter(), before_id="i", limit=10),
    "incident_page_of_key": lambda reads: reads.incident_list.newest(IncidentFilter(key="db-1"), before_id=None, limit=10),
    "unresolved": lambda reads: reads.incident_list.page(
        IncidentFilter(states=frozenset({IncidentState.OPEN})), after=None, limit=10
    ),
    "keys": lambda reads: reads.listings.keys(None, limit=10),
    "incident_list": lambda reads: reads.incident_list.page(IncidentFilter(), after=None, limit=10),
    "incident_list_of_a_namespace": lambda reads: reads.incident_list.page(
        IncidentFilter(namespaces=frozenset({""})), after=None, limit=10
    ),
    "incident_list_of_a_recipient": lambda reads: reads.incident_list.page(
        IncidentFilter(recipient_id="ada", severities=frozenset({Severity.ERROR})), after=None, limit=10
    ),
    "incident_list_of_a_time": lambda reads: reads.incident_list.page(
        IncidentFilter(since=NOW, until=NOW, text="orders"), after=None, limit=10
    ),
    "etag": lambda reads: reads.etags.of("i"),
    "recipient_ids": lambda reads: reads.listings.recipient_ids(limit=10),
    "recipient_page": lambda reads: reads.listings.recipients(after_id="", limit=10, since=NOW),
    "recipient": lambda reads: reads.listings.recipient("ada", since=NOW),
    "messages": lambda reads: reads.messages.page(MessageFilter(), before='["n3"]', limit=10),
    "failed_messages": lambda reads: reads.messages.page(FAILED, before=None, limit=10, searched=2),
    "open_messages": lambda reads: reads.messages.page(QUEUED, before=None, limit=10, searched=2),
    "unfinished_messages": lambda reads: reads.messages.page(UNFINISHED, before=None, limit=10, searched=2),
    "messages_of_a_recipient": lambda reads: reads.messages.page(MessageFilter(recipient_id="ada"), before=None, limit=10),
    "messages_of_a_key": lambda reads: reads.messages.page(MessageFilter(key="db-1"), before=None, limit=10),
    "message_of_a_reference": lambda reads: reads.messages.page(MessageFilter(provider_ref="r"), before=None, limit=10),
    "api_key": lambda reads: reads.keys.find("k"),
    "audit": lambda reads: reads.audits.page("", now=NOW),
    "oldest_due": lambda reads: reads.scrape.oldest_due_at(["email", "sms"], NOW),
    "oldest_unacknowledged": lambda reads: reads.scrape.oldest_unacknowledged_at(),
    "records": lambda reads: reads.people.records(["ada", "bob"], None),
    "records_within": lambda reads: reads.people.records(["ada", "bob"], frozenset({"", "web"})),
    "unreached": lambda reads: reads.scrape.unreached(["ada", "bob"]),
    "charted_durations": lambda reads: reads.metrics.durations(15, since=NOW),
    "charted_calls": lambda reads: reads.metrics.calls(15, since=NOW),
    "prunable_incidents": lambda reads: reads.prunable.incidents((NOW, ""), before=NOW, limit=10),
}


class _Explained:
    """A connection that explains every query before it runs it."""

    def __init__(self, db: Database) -> None:
        self.plans: list[str] = []
        self._db = db
        self._run = db.execute_sql
        db.execute_sql = self._explain  # type: ignore[method-assign]

    def _explain(self, sql: str, params: Any = None) -> Any:
        if sql.lstrip("(").startswith(("SELECT", "WITH")):
            word = "EXPLAIN QUERY PLAN " if isinstance(self._db, peewee.SqliteDatabase) else "EXPLAIN "
            self.plans.append(sql + "\n" + "\n".join(str(row[-1]) for row in self._run(word + sql, params).fetchall()))
        return self._run(sql, params)


@pytest.fixture
def explained(store: Store, database_url: str) -> Iterator[_Explained]:
    begin(store, *(a_page(number) for number in range(1, 4)))
    store.run(lambda ledger: claim(ledger, ledger.notifications.lock("n1")))
    db = dialect_for(database_url).connect(Deadline(600))
    if not store.is_embedded:
        execute(db, "SET enable_seqscan = off")  # tables of three rows are read faster whole, and sorted
        execute(db, "SET enable_sort = off")
    yield _Explained(db)
    db.close()


def _assert_indexed(explained: _Explained) -> None:
    assert explained.plans
    for plan in explained.plans:
        assert "SCAN notifyflow" not in plan.replace("SCAN notifyflow_incident AS t1 USING INDEX", ""), plan
        assert "SCAN t" not in plan or "USING" in plan, plan
        assert "Seq Scan" not in plan, plan


@pytest.mark.parametrize("search", INDEXED)
def test_the_ledger_searches_by_an_index(explained: _Explained, search: str) -> None:
    INDEXED[search](Ledger(UnitOfWork(explained._db)))
    _assert_indexed(explained)


@pytest.mark.parametrize("search", QUEUES)
def test_namespaces_take_turns_by_an_index_and_sort_nothing(store: Store, explained: _Explained, search: str) -> None:
    others = [a_page(number, namespace=f"sender {number % 3}", urgent=number % 2 == 0) for number in range(10, 30)]
    begin(store, *others, number=2)
    QUEUES[search](Ledger(UnitOfWork(explained._db)))
    _assert_indexed(explained)
    for plan in explained.plans:
        if "notifyflow_attempt" not in plan and '"id" IN' not in plan and '"id" NOT IN' not in plan:
            assert "TEMP B-TREE" not in plan, plan
            assert "Sort" not in plan, plan


@pytest.mark.parametrize("read", INDEXED_READS)
def test_reads_search_by_an_index(explained: _Explained, read: str) -> None:
    INDEXED_READS[read](Reads(explained._db))
    _assert_indexed(explained)


def test_a_set_is_updated_by_an_index_though_the_table_is_not_large(store: Store, database_url: str) -> None:
    begin(store, a_page())
    update = sets._update(NotificationRow, ("due_at",), ("id", "state", "version"), not store.is_embedded)
    db = dialect_for(database_url).connect(Deadline(600))
    if not store.is_embedded:
        execute(db, MANY_PAGES)
        execute(db, "ANALYZE notifyflow_notification")
    explain = "EXPLAIN QUERY PLAN" if store.is_embedded else "EXPLAIN"
    plan = "\n".join(str(row[-1]) for row in execute(db, f"{explain} {update}", "[]").fetchall())
    db.close()
    assert "Seq Scan" not in plan, plan
    assert "SCAN t" not in plan, plan


def test_rounds_of_many_people_read_no_more_notifications_than_they_have(store: Store, database_url: str) -> None:
    """Where PostgreSQL expects many rounds, it would rather read all notifications once than search an index for each."""
    begin(store, a_page())
    people = [f"p{number}" for number in range(50)]
    with closing(dialect_for(database_url).connect(Deadline(600))) as db:
        if not store.is_embedded:
            execute(db, MANY_ROUNDS)
            execute(db, PAGES_OF_ROUNDS)
            execute(db, "ANALYZE notifyflow_escalation, notifyflow_notification")
        explained = _Explained(db)
        for namespaces in (None, frozenset({"web", "prometheus"})):
            Reads(db).people.records(people, namespaces)
    plans = [plan for plan in explained.plans if "MAX(CASE" in plan]
    assert plans
    for plan in plans:
        assert "Seq Scan on notifyflow_notification" not in plan, plan
        assert "SCAN t" not in plan, plan


def test_a_page_of_people_is_marked_without_reading_the_rounds_before_its_last_person(store: Store, database_url: str) -> None:
    """Where PostgreSQL expects a person's rounds everywhere, it would look for the first one from the beginning of all."""
    begin(store, a_page())
    with closing(dialect_for(database_url).connect(Deadline(600))) as db:
        if not store.is_embedded:
            execute(db, MANY_ROUNDS)
            execute(db, "ANALYZE notifyflow_escalation")
        explained = _Explained(db)
        Reads(db).people.mark("ada" if store.is_embedded else "p7")
    (plan,) = explained.plans
    assert "notifyflow_escalation_recipient" in plan, plan


@pytest.mark.parametrize("wanted", [QUEUED, UNFINISHED])
def test_a_storm_is_listed_with_the_statistics_of_a_quiet_hour(store: Store, database_url: str, wanted: MessageFilter) -> None:
    """Where PostgreSQL expects no queued notification, it would compare each with each other one."""
    begin(store, a_page())
    with closing(dialect_for(database_url).connect(Deadline(600))) as db:
        if not store.is_embedded:
            execute(db, "ANALYZE notifyflow_notification")
            execute(db, MANY_PAGES)
        explained = _Explained(db)
        found = Reads(db).messages.page(wanted, before=None, limit=10)
    assert found.messages
    for plan in explained.plans:
        assert "Semi Join" not in plan, plan


@pytest.mark.parametrize("counts_queued", [False, True])
def test_a_claim_reads_the_pages_of_its_own_lanes_alone(store: Store, database_url: str, *, counts_queued: bool) -> None:
    """Where PostgreSQL expects nothing that is so recent, it would rather read the last minute of all lanes."""
    begin(store, a_page())
    with closing(dialect_for(database_url).connect(Deadline(600))) as db:
        if not store.is_embedded:
            execute(db, MANY_PAGES)
            execute(db, "UPDATE notifyflow_notification SET lane = left(channel, 2), created_at = created_at - interval '1 day'")
            execute(db, "VACUUM ANALYZE notifyflow_notification")
        explained = _Explained(db)
        lanes = [(f"c{number}", Severity.ERROR) for number in range(1, 9)]
        Ledger(UnitOfWork(db)).lanes.read(lanes, now=NOW, counts_queued=counts_queued)
    (plan,) = explained.plans
    assert "SCAN t" not in plan, plan
    assert store.is_embedded or "Index Cond: ((lane = " in plan, plan


def test_a_search_for_one_is_planned_by_an_index_while_the_tables_are_empty(empty_database_url: str) -> None:
    with closing(PatientStore(empty_database_url)) as store:
        store.upgrade()
    for path in sources("storage"):
        import_module(dotted(path))
    for is_urgent, has_namespace in product((False, True), repeat=2):
        for group, age in product((work._DEFERRED, work._REQUESTED, work._ANY), (work._FRESH, work._DUE, work._STALE)):
            work._picking(is_urgent=is_urgent, has_namespace=has_namespace, group=group, age=age)
    gc.unfreeze()  # the collector does not name what tests/conftest.py keeps from it
    built = [each for each in gc.get_objects() if type(each) is Statement]
    gc.freeze()
    statements = [each for each in built if each._build.__module__.startswith("notifyflow.")]
    with closing(dialect_for(empty_database_url).connect(Deadline(600))) as db:
        texts = [one.sql for each in statements if (one := each.built_for(db, (), is_alone=True)).lists]
        plans = [_kept_plan(db, text) for text in texts]
    assert len(plans) > 80
    for plan in plans:
        assert "Seq Scan" not in plan
        assert "SCAN t" not in plan


def _kept_plan(db: Database, text: str) -> str:
    """Return the plan that the database makes of a text without its values, which it keeps while the tables fill."""
    if isinstance(db, peewee.SqliteDatabase):
        found = execute(db, f"EXPLAIN QUERY PLAN {text}", *[""] * text.count("?")).fetchall()
    else:
        *parts, last = text.split("%s")
        numbered = "".join(f"{part}${number}" for number, part in enumerate(parts, start=1))
        found = execute(db, f"EXPLAIN (GENERIC_PLAN) {numbered}{last}").fetchall()
    return text + "\n" + "\n".join(str(row[-1]) for row in found)


def test_a_list_of_what_is_not_resolved_passes_over_nothing_that_is(explained: _Explained) -> None:
    states = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED})
    wanted = IncidentFilter(states=states, labels=frozenset({("team", "orders")}))
    if not isinstance(explained._db, peewee.SqliteDatabase):
        execute(explained._db, RESOLVED)
        execute(explained._db, "ANALYZE notifyflow_incident")
    Reads(explained._db).incident_list.newest(wanted, before_id="i", limit=10)
    plan = explained.plans[-1]
    assert "notifyflow_incident_unresolved" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("search", ["next_wake_at", "ring_due", "escalations_due", "expired_leases", "incidents_due"])
def test_an_idle_sweep_reads_the_first_row_of_an_index(explained: _Explained, search: str) -> None:
    INDEXED[search](Ledger(UnitOfWork(explained._db)))
    for plan in explained.plans:
        assert not {word for word in ("TEMP B-TREE", "Sort", "Aggregate", "Hash") if word in plan}, plan


@pytest.mark.parametrize("search", ["claim_due", "ring_due"])
def test_the_most_urgent_are_found_without_sorting_the_backlog(explained: _Explained, search: str) -> None:
    INDEXED[search](Ledger(UnitOfWork(explained._db)))
    by_index = [plan for plan in explained.plans if "notifyflow_attempt" not in plan]
    assert by_index
    for plan in by_index:
        assert "TEMP B-TREE" not in plan, plan
        assert "Sort" not in plan, plan
