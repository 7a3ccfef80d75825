"""In PostgreSQL nothing outlives its transaction, so that a pooler may give each transaction another session."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

from notifyflow import NotifyFlow, Settings
from notifyflow.errors import Contended, Refused
from notifyflow.storage.dialects import ServerTransaction, execute
from notifyflow.storage.dialects.dialect import driver_of
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.session.loaded_rows import Line
from notifyflow.storage.store import Store
from tests.builders import a_recipient, an_incident
from tests.driver import Driver
from tests.facts import NOW
from tests.integration.engine.test_deliver import NotedBell
from tests.patience import PatientStore
from tests.servers.postgres import Postgres

LINE = Line(incident_id="i", machine="incident", row_id="i", version=9, event="acknowledged", at=NOW)
"""A line that nobody has written."""
LEFT = {
    "settings": "SELECT name FROM pg_settings WHERE source = 'session' AND name <> 'application_name'",
    "channels": "SELECT pg_listening_channels()",
    "locks": "SELECT locktype FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'",
    "tables": "SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()",
    "cursors": "SELECT name FROM pg_cursors WHERE is_holdable",
}
LIMITS = "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"


@pytest.fixture
def store(postgres_server: Postgres) -> Iterator[Store]:
    name = postgres_server.create_database()
    with closing(PatientStore(postgres_server.url(name))) as opened:
        opened.upgrade()
        yield opened
    postgres_server.drop_database(name)


def _cursor(store: Store) -> psycopg.Cursor[tuple[Any, ...]]:
    """A cursor of the driver's own on the only connection, which is idle."""
    (connection,) = store._pool._idle
    return psycopg.Cursor(driver_of(connection))


def test_a_session_keeps_nothing_but_the_time_zone(store: Store) -> None:
    driver = Driver(store)
    driver.notify(an_incident(), a_recipient("ada", "email"))
    driver.sweep()
    store.now()
    assert store.read_one(lambda reads: reads.adoption.environment()) is None
    left = {what: [row[0] for row in _cursor(store).execute(query).fetchall()] for what, query in LEFT.items()}
    assert left == {"settings": ["TimeZone"], "channels": [], "locks": [], "tables": [], "cursors": []}


def test_each_transaction_has_its_limits(store: Store) -> None:
    before = _cursor(store).execute(LIMITS).fetchone()
    assert before == ("0", "0")
    for limits in (
        store.run(lambda ledger: execute(ledger._unit.db, LIMITS).fetchone()),
        store.read(lambda reads: execute(reads._source.db, LIMITS).fetchone()),
    ):
        assert limits[0] not in before
        assert limits[1] == "10s"
    assert _cursor(store).execute(LIMITS).fetchone() == before


def test_a_statement_without_a_transaction_has_its_limit_and_its_parameters(store: Store) -> None:
    query = "SELECT current_setting('statement_timeout'), %s::text, '100 %%'"
    limit, *rest = store.read_one(lambda reads: execute(reads._source.db, query, "50 %s' \\ ✓").fetchone())
    assert limit != "0"
    assert rest == ["50 %s' \\ ✓", "100 %"]
    assert _cursor(store).execute(LIMITS).fetchone()[0] == "0"


def _is_written(store: Store, writer: ServerTransaction | None) -> bool:
    return store.run(lambda ledger: ledger.has_written(LINE, writer), tries=1)


def test_the_line_of_a_transaction_that_still_runs_is_waited_for(store: Store) -> None:
    with pytest.raises(Contended):
        store.run(lambda ledger: _is_written(store, ledger.server_transaction))


def test_a_process_that_runs_another_transaction_meanwhile_is_not_waited_for(store: Store) -> None:
    """Behind a pooler it is hardly ever idle."""
    over = store.run(lambda ledger: ledger.server_transaction)
    assert over is not None

    def another(ledger: Ledger) -> bool:
        assert ledger.server_transaction is not None
        assert ledger.server_transaction.pid == over.pid
        return _is_written(store, over)

    assert not store.run(another)


@pytest.mark.parametrize("prepares", [True, False])
def test_statements_are_prepared_unless_a_setting_forbids_it(postgres_url: str, *, prepares: bool) -> None:
    settings = Settings(database_url=postgres_url, prepared_statements="on" if prepares else "off")
    with NotifyFlow(settings, channels={}, bell=NotedBell()) as flow:
        for _ in range(10):
            assert flow.find("db-1") is None
        (prepared,) = _cursor(flow._store).execute("SELECT count(*) > 0 FROM pg_prepared_statements").fetchone() or ()
    assert prepared is prepares


def test_a_prepared_statement_that_is_gone_says_what_to_set(store: Store) -> None:
    with pytest.raises(Refused, match=r"26000.*max_prepared_statements, or NOTIFYFLOW_PREPARED_STATEMENTS=off"):
        store.run(lambda ledger: execute(ledger._unit.db, "EXECUTE nothing"))
