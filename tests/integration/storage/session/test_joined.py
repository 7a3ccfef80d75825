"""The application's connection is used as it is, or refused; nothing of its session changes what we do, nor the reverse."""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel
from psycopg.rows import dict_row
from psycopg.types.datetime import TimestamptzLoader

from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.errors import UnsuitableConnection
from notifyflow.storage.ledger import Entry, Ledger
from notifyflow.storage.store import Store
from tests.builders import START, a_contact, an_incident
from tests.servers.postgres import Postgres, postgres

ENTRY = Entry(
    id="1",
    incident_id="i",
    policy="{}",
    submission=CheckedIncident(incident=an_incident(), contacts=(a_contact("ada", "email"),), faults=()),
)
SHOW = "SELECT current_setting('search_path'), current_setting('DateStyle'), current_setting('TimeZone')"


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """PostgreSQL only."""
    return postgres_url


def _put(ledger: Ledger) -> tuple[Any, ...]:
    ledger.outbox.add(ENTRY)
    return ledger.outbox.waiting(limit=10)


def test_what_is_written_in_it_is_committed_with_it(store: Store, connection: psycopg.Connection[Any]) -> None:
    assert store.join(connection, _put) == (ENTRY,)
    assert store.run(lambda ledger: ledger.outbox.waiting(limit=10)) == ()
    connection.commit()
    assert store.run(lambda ledger: ledger.outbox.waiting(limit=10)) == (ENTRY,)


def test_an_error_rolls_back_what_was_written_and_nothing_else(store: Store, connection: psycopg.Connection[Any]) -> None:
    def fail(ledger: Ledger) -> None:
        ledger.outbox.add(replace(ENTRY, id="2"))
        raise LookupError

    store.join(connection, _put)
    with pytest.raises(LookupError):
        store.join(connection, fail)
    with pytest.raises(psycopg.errors.UniqueViolation):  # the driver's own error
        store.join(connection, _put)
    connection.commit()
    assert store.run(lambda ledger: ledger.outbox.waiting(limit=10)) == (ENTRY,)


@pytest.mark.parametrize("how", ["SET", "SET LOCAL"])
def test_its_settings_change_nothing_here_and_stay_as_they_are(
    store: Store, connection: psycopg.Connection[Any], how: str
) -> None:
    class Loud(TimestamptzLoader):
        def load(self, data: Any) -> Any:
            raise AssertionError("the application's loader read a value of ours")

    def use(ledger: Ledger) -> object:
        ledger.intervals.note_first_sweep(at=START)
        return ledger.intervals.swept_at()

    connection.row_factory = dict_row
    connection.adapters.register_loader("timestamptz", Loud)
    connection.prepare_threshold = 0
    for setting in ("search_path = pg_temp, information_schema", "TimeZone = 'Asia/Kathmandu'", "DateStyle = 'SQL, DMY'"):
        connection.execute(f"{how} {setting}")
    before = connection.execute(SHOW).fetchone()
    assert store.join(connection, use) == START
    assert connection.execute(SHOW).fetchone() == before
    with pytest.raises(ZeroDivisionError):
        store.join(connection, lambda ledger: 1 / 0)
    assert connection.execute(SHOW).fetchone() == before
    prepared = connection.execute("SELECT statement FROM pg_prepared_statements", prepare=False).fetchall()
    assert not [each for each in prepared if "notifyflow" in str(each)]
    connection.commit()
    after = connection.execute(SHOW).fetchone()
    assert (after == before) is (how == "SET")


def _idle(connection: psycopg.Connection[Any]) -> None:
    connection.autocommit = True
    connection.execute("SELECT 1")


def _failed(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute("SELECT 1 / 0")


def _at(level: IsolationLevel) -> Callable[[psycopg.Connection[Any]], None]:
    def begin(connection: psycopg.Connection[Any]) -> None:
        connection.isolation_level = level
        connection.execute("SELECT 1")

    return begin


def _read_only(connection: psycopg.Connection[Any]) -> None:
    connection.read_only = True
    connection.execute("SELECT 1")


def _latin(connection: psycopg.Connection[Any]) -> None:
    connection.execute("SET client_encoding = 'LATIN1'")


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (_idle, "it is in autocommit mode, and in no transaction. Call notify() in"),
        (_failed, "its transaction has failed. Roll it back"),
        (_at(IsolationLevel.SERIALIZABLE), "its transaction is at SERIALIZABLE. Begin it at READ COMMITTED"),
        (_at(IsolationLevel.REPEATABLE_READ), "its transaction is at REPEATABLE READ. Begin it at READ COMMITTED"),
        (_read_only, "its transaction is read-only. Begin one that may write"),
        (_latin, "its client_encoding is LATIN1. Set it to UTF8"),
        (lambda connection: connection.close(), "it is closed. Connect again"),
    ],
)
def test_an_unsuitable_transaction_is_refused_and_stays_usable(
    store: Store, connection: psycopg.Connection[Any], prepare: Callable[[psycopg.Connection[Any]], None], says: str
) -> None:
    prepare(connection)
    before = connection.info.transaction_status
    with pytest.raises(UnsuitableConnection, match=r"^notify\(\) cannot join") as refused:
        store.join(connection, _put)
    assert says in str(refused.value)
    assert connection.info.transaction_status == before


def test_a_connection_of_another_kind_is_refused(store: Store, postgres_url: str) -> None:
    async def join() -> None:
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            await connection.execute("SELECT 1")
            store.join(connection, _put)

    with pytest.raises(UnsuitableConnection, match=r"it is asynchronous\. Give a synchronous one"):
        asyncio.run(join())
    with (
        closing(sqlite3.connect(":memory:")) as other,
        pytest.raises(
            UnsuitableConnection, match=r"it is of the type sqlite3\.Connection\. Give the psycopg connection below it"
        ),
    ):
        store.join(other, _put)


def test_a_connection_to_another_database_or_server_is_refused(store: Store, postgres_server: Postgres) -> None:
    name = postgres_server.create_database()
    with postgres() as other_server:
        for url in (postgres_server.url(name), other_server.url("postgres")):
            with psycopg.connect(url) as connection:
                connection.execute("SELECT 1")
                with pytest.raises(UnsuitableConnection, match="it is one to another database than that of notifyflow"):
                    store.join(connection, _put)
    postgres_server.drop_database(name)


def test_a_file_has_one_writer_and_joins_nothing(sqlite_url: str, connection: psycopg.Connection[Any]) -> None:
    store = Store(sqlite_url)
    with pytest.raises(UnsuitableConnection, match=r"the database of notifyflow is an SQLite file\. Use PostgreSQL for both"):
        store.join(connection, _put)
    store.close()
