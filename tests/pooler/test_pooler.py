"""What is different behind a PgBouncer: many sessions for one client, its own errors, and a server that restarts unseen."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest
from psycopg import sql

from notifyflow.errors import Refused, StorageUnavailable
from notifyflow.storage.dialects import execute
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.integration.storage.samples import begin, count
from tests.patience import PATIENCE_S
from tests.servers.postgres import Postgres, postgres

SESSIONS = 4
SETTINGS = "SELECT name FROM pg_settings WHERE source = 'session' AND name <> 'application_name' ORDER BY name"


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres(pooler={"default_pool_size": str(SESSIONS)}) as running:
        yield running


@pytest.fixture
def url(server: Postgres) -> Iterator[str]:
    name = server.create_database()
    yield server.url(name)
    server.drop_database(name)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with closing(Store(url)) as opened:
        opened.upgrade()
        yield opened


def _together(store: Store, number: int, work: Callable[[Ledger], object] = lambda _: None) -> None:
    """Run some transactions side by side, each with a session of its own."""
    all_begun = threading.Barrier(number)

    def body(ledger: Ledger) -> None:
        all_begun.wait(PATIENCE_S)
        work(ledger)

    with ThreadPoolExecutor(number) as pool:
        list(pool.map(lambda _: store.run(body), range(number)))


def test_one_client_meets_many_sessions_and_finds_nothing_of_others_but_the_time_zone(url: str, store: Store) -> None:
    begin(store)
    _together(store, SESSIONS)
    writers = [store.run(lambda ledger: ledger.server_transaction) for _ in range(3 * SESSIONS)]
    assert len({writer.pid for writer in writers if writer}) == SESSIONS
    for _ in range(3 * SESSIONS):
        store.run(count)
    with closing(Store(url)) as another:
        found = [another.read_one(lambda reads: execute(reads._source.db, SETTINGS).fetchall()) for _ in range(2 * SESSIONS)]
    names = {name for rows in found for (name,) in rows}
    assert names == {"TimeZone", "statement_timeout"}  # the latter is the question's own


def test_prepared_statements_follow_a_client_through_all_sessions(store: Store) -> None:
    _together(store, SESSIONS)
    for _ in range(20 * SESSIONS):
        assert store.read(lambda reads: reads.incidents(1)) == ()


def test_a_pooler_without_prepared_statements_is_named_and_the_setting_helps() -> None:
    with postgres(pooler={"max_prepared_statements": "0"}) as server:
        url = server.url(server.create_database())
        with closing(Store(url)) as store, closing(Store(url, prepares=False)) as unprepared:
            store.upgrade()
            _together(unprepared, SESSIONS)

            def read(opened: Store) -> None:
                for _ in range(20 * SESSIONS):
                    opened.read(lambda reads: reads.incidents(1))

            with pytest.raises(Refused, match="NOTIFYFLOW_PREPARED_STATEMENTS=off"):
                read(store)
            read(unprepared)


def test_a_full_pooler_is_named(url: str, store: Store) -> None:
    all_begun, may_end = threading.Barrier(SESSIONS + 1), threading.Event()

    def hold(_: Ledger) -> None:
        all_begun.wait(PATIENCE_S)
        assert may_end.wait(PATIENCE_S)

    with ThreadPoolExecutor(SESSIONS) as pool, closing(Store(url)) as another:
        held = [pool.submit(store.run, hold, timeout_s=PATIENCE_S) for _ in range(SESSIONS)]
        all_begun.wait(PATIENCE_S)
        with pytest.raises(StorageUnavailable, match="the pooler had no connection left: raise its default_pool_size"):
            another.run(lambda _: None)
        may_end.set()
        for each in held:
            each.result()


@pytest.mark.parametrize("limit", ["max_client_conn", "max_db_client_connections", "max_user_client_connections"])
def test_a_pooler_without_a_place_for_another_client_names_its_limit(limit: str) -> None:
    named = pytest.raises(StorageUnavailable, match=f"the pooler has no connection left: raise its {limit}")
    with postgres(pooler={limit: "1"}) as server, psycopg.connect(server.url()), closing(Store(server.url())) as store, named:
        store.run(lambda _: None, timeout_s=0.5)


def test_a_pooler_that_lets_clients_in_and_wait_is_told_from_a_server_that_is_away() -> None:
    settings = {"default_pool_size": "1", "query_wait_timeout": "120"}
    with postgres(pooler=settings) as server, psycopg.connect(server.url()) as held, closing(Store(server.url())) as store:
        held.execute("SELECT 1")
        with pytest.raises(StorageUnavailable, match="after the login: behind a pooler, raise its default_pool_size"):
            store.run(lambda _: None, timeout_s=2)
        held.rollback()
        store.run(lambda _: None, timeout_s=PATIENCE_S)


def test_a_parameter_that_the_pooler_refuses_is_named_as_such(server: Postgres) -> None:
    url = server.url() + "?options=-csearch_path%3Dpages"
    with closing(Store(url)) as store, pytest.raises(StorageUnavailable, match="the pooler refuses a parameter of the URL"):
        store.now()


def test_the_pooler_is_told_from_the_server_behind_it_which_is_found_again(server: Postgres, store: Store) -> None:
    begin(store)
    server.stop()
    try:
        with pytest.raises(StorageUnavailable, match="the pooler cannot connect to the server"):
            store.run(count)
    finally:
        server.start()
    store.run(count, timeout_s=PATIENCE_S)
    assert store.read(lambda reads: reads.incidents(1)[0].times_seen) == 2


def test_the_search_path_of_a_role_is_followed(server: Postgres) -> None:
    """In every session, also after others have used it."""
    name = server.create_database()
    for statement in ("CREATE SCHEMA pages", f"ALTER ROLE postgres IN DATABASE {name} SET search_path = pages"):
        server.execute(sql.SQL(statement), name)
    with closing(Store(server.url(name))) as store:
        store.upgrade()
        begin(store)
        _together(store, SESSIONS, lambda ledger: ledger.incidents.content("i"))
    found = server.execute(sql.SQL("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename LIKE 'notifyflow%'"), name)
    assert found == [("pages",)]
    server.drop_database(name)
