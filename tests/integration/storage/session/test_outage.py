"""PostgreSQL goes away and comes back, ends connections, and finds deadlocks: nothing is lost, nothing done twice."""

import logging
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from peewee import Database
from psycopg import sql

from notifyflow.core.delivery.escalation import AlertOperations
from notifyflow.core.delivery.model import Incident
from notifyflow.errors import StorageUnavailable
from notifyflow.storage.dialects import execute
from notifyflow.storage.dialects.postgres import Postgres as Dialect
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.facts import incident
from tests.integration.storage.samples import begin, count
from tests.patience import PATIENCE_S, PatientStore
from tests.servers.postgres import Postgres, postgres
from tests.waiting import wait_until

EXHAUSTED = AlertOperations(reason="exhausted", is_paging=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server that tests may stop; it runs again when a test begins."""
    with postgres() as running:
        yield running


@pytest.fixture
def database_url(server: Postgres) -> str:
    server.start()
    return server.url(server.create_database())


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = PatientStore(database_url)
    opened.upgrade()
    begin(opened)
    yield opened
    opened.close()


def _seen(store: Store) -> int:
    return store.read(lambda reads: reads.incidents(1)[0].times_seen)


def _end_connections(server: Postgres) -> None:
    others = sql.SQL("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'notifyflow'")
    server.execute(others)


def _open_connections(store: Store, number: int) -> None:
    """Use some connections at the same time, so that all of them are idle afterwards."""
    together = threading.Barrier(number)

    def wait_for_all(ledger: Ledger) -> None:
        together.wait(30)

    with ThreadPoolExecutor(number) as pool:
        list(pool.map(lambda _: store.run(wait_for_all), range(number)))


def test_a_server_that_is_down_is_unavailable_and_used_again_once_it_is_up(server: Postgres, store: Store) -> None:
    server.stop()
    for run in (lambda: store.run(count, timeout_s=0.2), lambda: Store(server.url()).run(count, timeout_s=0.2)):
        with pytest.raises(StorageUnavailable, match="connection"):
            run()
    server.start()
    store.run(count)
    assert _seen(store) == 2


REFUSED = {
    "a wrong password": ("ada:wrong@", "/postgres", "the server refuses the user or the password"),
    "no password": ("ada@", "/postgres", "the server wants a password"),
    "no such role": ("nobody@", "/postgres", "the server has no such user"),
    "a role that may not log in": ("sleeper@", "/postgres", "role for this user may not log in"),
    "no such database": ("postgres@", "/missing", "the server has no such database"),
    "a database of others": ("stranger@", "/closed", "the user may not connect to this database"),
    "no TLS": ("postgres@", "/postgres?sslmode=require", "the server offers no TLS, which sslmode wants"),
}


@pytest.fixture(scope="module")
def refusing(server: Postgres) -> str:
    """The URL of a server that knows some users and a database whom it lets in nowhere."""
    server.start()
    server.create_login("ada", "sesame")
    for words in (
        *("CREATE ROLE sleeper", "CREATE ROLE stranger LOGIN", "CREATE ROLE crowd LOGIN CONNECTION LIMIT 1"),
        *("CREATE DATABASE closed", "REVOKE CONNECT ON DATABASE closed FROM public"),
    ):
        server.execute(sql.SQL(words))
    return server.direct_url()


@pytest.mark.parametrize(("user", "place", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_told_at_once_and_by_name(server: Postgres, refusing: str, user: str, place: str, reason: str) -> None:
    server.start()
    url = refusing.replace("postgres@", user).removesuffix("/postgres") + place
    with closing(Store(url)) as refused, pytest.raises(StorageUnavailable, match=reason) as caught:
        refused.run(count, timeout_s=PATIENCE_S)
    assert caught.value.is_refused
    assert caught.value.waited_s < PATIENCE_S / 2
    assert "NOTIFYFLOW_DATABASE_URL" in str(caught.value)


def test_a_role_whose_connections_are_used_up_is_told_so_and_what_to_raise(server: Postgres, refusing: str) -> None:
    server.start()
    url = refusing.replace("postgres@", "crowd@")
    with psycopg.connect(url), closing(Store(url)) as waiting:
        with pytest.raises(StorageUnavailable, match="no connection left: raise the CONNECTION LIMIT of the role") as caught:
            waiting.run(lambda _: None, timeout_s=0.5)
        assert not caught.value.is_refused
    with closing(Store(url)) as waiting:
        waiting.run(lambda _: None, timeout_s=PATIENCE_S)


def test_a_process_that_works_goes_on_while_its_password_is_changed(server: Postgres, refusing: str) -> None:
    server.start()
    with closing(Store(refusing.replace("postgres@", "ada:sesame@"))) as working:
        working.run(lambda _: None)
        server.execute(sql.SQL("ALTER ROLE ada PASSWORD 'changed'"))
        held, may_end = threading.Event(), threading.Event()

        def hold(_: Ledger) -> None:
            held.set()
            assert may_end.wait(PATIENCE_S)

        with ThreadPoolExecutor(1) as pool:
            holding = pool.submit(working.run, hold, timeout_s=PATIENCE_S)
            assert held.wait(PATIENCE_S)
            with pytest.raises(StorageUnavailable, match="refuses the user or the password"):
                working.run(lambda _: None)  # needs a second connection
            may_end.set()
            holding.result()
        working.run(lambda _: None)
        server.execute(sql.SQL("ALTER ROLE ada PASSWORD 'sesame'"))


def _is_told_at_once(store: Store) -> bool:
    with pytest.raises(StorageUnavailable) as caught:
        store.run(count, timeout_s=PATIENCE_S)
    return caught.value.waited_s < PATIENCE_S / 2


@pytest.mark.slow
def test_once_a_call_gave_up_no_other_waits_for_a_server_that_is_away(
    server: Postgres, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store.fail_fast()
    store.run(count)
    server.stop()
    with pytest.raises(StorageUnavailable):
        store.run(count, timeout_s=4)
    assert all(_is_told_at_once(store) for _ in range(20))
    server.start()
    wait_until(lambda: "storage.server_back" in caplog.text, within_s=PATIENCE_S)
    store.run(count)
    assert caplog.text.count("storage.server_away") == 1


@pytest.mark.slow
def test_a_lock_a_dead_connection_or_a_refusal_is_no_server_that_is_away(
    server: Postgres, store: Store, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.fail_fast()
    with closing(psycopg.connect(database_url)) as other:
        other.execute("SELECT 1 FROM notifyflow_incident FOR UPDATE")
        with pytest.raises(StorageUnavailable):
            store.run(count, timeout_s=4)
        assert store.read(lambda reads: reads.incidents(1)[0].times_seen) == 1
    _open_connections(store, 3)
    _end_connections(server)
    store.run(count)
    with closing(Store(f"{database_url}?sslmode=require")) as refused:
        refused.fail_fast()
        assert _is_told_at_once(refused)
    store.run(count)
    assert "storage.server_away" not in caplog.text


def test_a_use_case_waits_for_a_server_that_is_coming_up(server: Postgres, store: Store) -> None:
    server.stop()
    with ThreadPoolExecutor(1) as pool:
        counted = pool.submit(store.run, count, timeout_s=60)
        server.start()
        counted.result(60)
    assert _seen(store) == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_every_idle_connection_recovers_from_a_restart(server: Postgres, store: Store, how: signal.Signals) -> None:
    _open_connections(store, 4)
    server.stop(how)
    server.start()
    store.run(count)
    assert _seen(store) == 2


def test_one_connection_that_is_dead_tells_of_all_that_are_idle(
    server: Postgres, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _open_connections(store, 6)
    _end_connections(server)
    tries: list[object] = []
    begin_once = Dialect.begin

    def counted(dialect: Dialect, db: Database, **named: Any) -> None:
        tries.append(db)
        begin_once(dialect, db, **named)

    monkeypatch.setattr(Dialect, "begin", counted)
    store.run(count)
    assert len(tries) == 2  # on one that was idle, and on a new one


def test_no_connection_is_left_when_a_store_is_closed(server: Postgres) -> None:
    name = server.create_database()
    store = PatientStore(server.url(name))
    _open_connections(store, 3)
    store.run(lambda ledger: store.close())  # its own comes back later
    left = sql.SQL("SELECT pid FROM pg_stat_activity WHERE datname = {}").format(sql.Literal(name))
    wait_until(lambda: server.execute(left) == [])


def test_a_use_case_whose_connection_broke_runs_again_on_another(server: Postgres, store: Store) -> None:
    runs = 0

    def use_case(ledger: Ledger) -> None:
        nonlocal runs
        runs += 1
        count(ledger)
        if runs == 1:
            _end_connections(server)
            count(ledger)

    store.run(use_case, timeout_s=60)
    assert (runs, _seen(store)) == (2, 2)


def test_a_commit_whose_outcome_is_unknown_raises_and_is_not_repeated(server: Postgres, store: Store) -> None:
    runs = 0

    def use_case(ledger: Ledger) -> None:
        nonlocal runs
        runs += 1
        count(ledger)
        ledger.flush()
        _end_connections(server)

    with pytest.raises(StorageUnavailable, match="may have been done"):
        store.run(use_case, timeout_s=60)
    assert runs == 1
    store.run(count)


def test_a_deadlock_repeats_the_use_case_that_lost(store: Store) -> None:
    begin(store, number=2)
    both_have_one = threading.Barrier(2)
    runs = 0

    def use_case(first: str, second: str) -> None:
        tries = 0

        def body(ledger: Ledger) -> None:
            nonlocal runs, tries
            runs, tries = runs + 1, tries + 1
            before = ledger.incidents.lock(first)
            if tries == 1:
                both_have_one.wait(30)
            ledger.incidents.lock(second)
            ledger.save(before, replace(before, times_seen=before.times_seen + 1))

        store.run(body, timeout_s=60)

    with ThreadPoolExecutor(2) as pool:
        for done in (pool.submit(use_case, "i", "i2"), pool.submit(use_case, "i2", "i")):
            done.result(60)
    assert runs == 3
    assert [each.times_seen for each in store.read(lambda reads: reads.incidents(10))] == [2, 2]


def test_two_that_open_one_key_at_once_open_one_incident(store: Store) -> None:
    nobody_sees_it = threading.Barrier(2)

    def notify(incident_id: str) -> bool:
        tries = 0

        def body(ledger: Ledger) -> bool:
            nonlocal tries
            tries += 1
            known = ledger.incidents.lock_newest_of([("", "db-9")]).get(("", "db-9"))
            if tries == 1:
                nobody_sees_it.wait(30)
            if known is not None:
                ledger.save(known, replace(known, times_seen=known.times_seen + 1))
                return False
            ledger.incidents.add(incident(id=incident_id, key="db-9"), Incident(key="db-9", title="t"))
            return True

        return store.run(body, timeout_s=60)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(notify, ("x", "y"))) == [False, True]
    status = store.read(lambda reads: reads.status("db-9"))
    assert status is not None
    assert status.facts.times_seen == 2


def test_whoever_refers_to_a_locked_row_does_not_wait_for_it(store: Store) -> None:
    def body(ledger: Ledger) -> None:
        ledger.incidents.lock("i")
        store.run(
            lambda other: other.operations.link("i", {"e": EXHAUSTED}, at=incident().opened_at),
            timeout_s=30,
        )

    store.run(body)


def test_a_process_that_is_frozen_in_a_transaction_keeps_its_locks_for_seconds_only(store: Store) -> None:
    locked, ended = threading.Event(), threading.Event()

    def freeze(ledger: Ledger) -> None:
        ledger.incidents.lock("i")
        locked.set()
        ended.wait(60)

    with ThreadPoolExecutor(1) as thread:
        frozen = thread.submit(store.run, freeze, tries=1)
        assert locked.wait(60)
        store.run(count, timeout_s=30)
        ended.set()
        assert isinstance(frozen.exception(), StorageUnavailable)
    assert _seen(store) == 2


def test_a_slow_statement_raises_storage_unavailable(store: Store) -> None:
    def body(ledger: Ledger) -> None:
        execute(ledger._unit.db, "SET LOCAL statement_timeout = 10")
        execute(ledger._unit.db, "SELECT pg_sleep(60)")

    with pytest.raises(StorageUnavailable, match="QueryCanceled"):
        store.run(body, timeout_s=0.05)


def test_a_server_that_hangs_is_unavailable_and_used_again_once_it_responds(server: Postgres, store: Store) -> None:
    with server.hanging(), pytest.raises(StorageUnavailable, match="timeout"):
        store.run(count, timeout_s=0.1)
    store.run(count, timeout_s=60)
    assert _seen(store) == 2


def test_a_server_that_accepts_and_says_nothing_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Store(f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/x")
        with pytest.raises(StorageUnavailable, match="timeout"):
            store.run(count, timeout_s=0.1)
        store.close()
