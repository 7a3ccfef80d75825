# ruff: noqa: T201 - a command prints
"""Records what this version's code writes, so that a later version's migrations can be tested against rows that old code wrote.

Run ``python -m tests.integration.storage.record_rows`` once the schema of a version is final, before its release. It plays a
short series of events on a new SQLite file and keeps every INSERT, UPDATE and DELETE in ``tests/data/rows_of_schema_N.json``,
where N is the version of the schema. ``old_code.py`` replays them on SQLite and PostgreSQL. A recording is frozen once its
version is released.
Until then, record again whenever tables or columns are renamed: ``test_migrations.py`` fails until that is done.

The file holds the ``statements``, each once, and the ``transactions``, each a list of [number of the statement, values, how many
rows it changed, or null]. ``texts`` are long values (snapshots of policies), each once; the values name them.
"""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from peewee import Database

from notifyflow.core.delivery.model import Result, Severity
from notifyflow.storage import migrations
from notifyflow.storage.dialects import TransactionMode, dialect_for
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.reads import Reads
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.tables import FairQueueRow, OutageRow, PolicyRow
from tests.builders import BAD, BUSY, REFUSED, a_contact, a_recipient, an_incident
from tests.driver import Driver

DATA = Path(__file__).parents[2] / "data"

SHARED = tuple(model._meta.table_name for model in (OutageRow, FairQueueRow))
"""Tables whose rows all processes share; what is written there depends on what stands there, so it is not recorded."""

_LONG = 200

T = TypeVar("T")

Written = tuple[str, list[Any], int | None]
"""A statement, its values and how many rows it changed; None where that was not known at once."""


def path_of(version: int) -> Path:
    """Return the recording of a version of the schema."""
    return DATA / f"rows_of_schema_{version}.json"


class Recorder:
    """The port ``Transactions`` over one connection; keeps what is written.

    Attributes:
        transactions: The committed transactions that wrote something, in the order they were committed.
    """

    def __init__(self, url: str) -> None:
        self.transactions: list[list[Written]] = []
        self._written: list[Written] = []
        self._dialect = dialect_for(url)
        self._db = self._dialect.connect(Deadline(600))
        self._dialect.prepare(self._db)
        self._transact(lambda db: migrations.upgrade(db, self._dialect))
        self._execute = self._db.execute_sql
        self._db.execute_sql = self._execute_and_keep

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        del timeout_s
        result = self._transact(lambda db: Ledger(UnitOfWork(db)).run(use_case))
        if self._written:
            self.transactions.append(self._written)
        return result

    def read(self, query: Callable[[Reads], T]) -> T:
        return self._transact(lambda db: query(Reads(db)))

    def close(self) -> None:
        self._db.close()

    def _transact(self, work: Callable[[Database], T]) -> T:
        self._written = []
        self._dialect.begin(self._db, access=TransactionMode.WRITE, deadline=Deadline(600))
        result = work(self._db)
        self._db.commit()
        return result

    def _execute_and_keep(self, sql: str, params: Any = None) -> Any:
        cursor = self._execute(sql, params)
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and not any(f'"{table}"' in sql for table in SHARED):
            is_open = " RETURNING " in sql or f'"{PolicyRow._meta.table_name}"' in sql  # a policy may be stored already
            if "json_extract(" in sql:
                self._written += _row_by_row(sql, json.loads(params[0]))
            else:
                count = None if is_open else cursor.rowcount
                self._written.append((*_with_nulls(*_with_list(_in_both_dialects(sql), list(params or ()))), count))
        return cursor


def _row_by_row(sql: str, rows: list[list[Any]]) -> list[Written]:
    """Write a statement over a set of rows (``storage/session/sets.py``) as one for each row, which both databases read."""
    if sql.startswith("INSERT "):
        head = sql.partition(" SELECT ")[0]
        return [(f"{head} VALUES ({', '.join('?' * len(row))})", row, 1) for row in rows]
    found = re.match(r'UPDATE ("\w+") AS t SET (.*) FROM \(.*\) AS v WHERE (.*)', sql)
    assert found is not None, sql
    table, columns, guards = found.groups()
    written, names = re.sub(r"v\.new_\w+", "?", columns), re.findall(r't\."(\w+)"', guards)
    statements: list[Written] = []
    for row in rows:
        new_values, olds = row[: -len(names)], dict(zip(names, row[-len(names) :], strict=True))
        where = " AND ".join(f'"{name}" IS NULL' if old is None else f'"{name}" = ?' for name, old in olds.items())
        values = [*new_values, *(old for old in olds.values() if old is not None)]
        statements.append((f"UPDATE {table} SET {written} WHERE {where}", values, 1))
    return statements


def _with_list(sql: str, values: list[Any]) -> tuple[str, list[Any]]:
    """Write a condition on a list of values (``Parameters.among``) with a placeholder for each value."""
    before, found, after = sql.partition("(SELECT value FROM json_each( ? ))")
    place = before.count("?")
    some = json.loads(values[place]) if found else []
    return before + f"({', '.join('?' * len(some))})" * bool(found) + after, [
        *values[:place],
        *some,
        *values[place + bool(found) :],
    ]


def _with_nulls(sql: str, values: list[Any]) -> tuple[str, list[Any]]:
    """Write SQLite's own guard on a column that may be empty (``storage/session/sets.py``) as both databases read it."""
    kept: list[Any] = []
    left = iter(values)

    def write(place: re.Match[str]) -> str:
        value, is_guard = next(left), place[1] is not None
        if is_guard and value is None:
            return " IS NULL"
        kept.append(value)
        return " = ?" if is_guard else "?"

    return re.sub(r"( IS )?\?", write, sql), kept


def _in_both_dialects(sql: str) -> str:
    """Write SQLite's own form of ``ON CONFLICT DO NOTHING`` as both databases read it, and leave out what it returns."""
    sql = sql.partition(" RETURNING ")[0]
    if sql.startswith("INSERT OR IGNORE "):
        sql = sql.replace("INSERT OR IGNORE ", "INSERT ", 1) + " ON CONFLICT DO NOTHING"
    assert " OR REPLACE " not in sql, f"only SQLite reads this: {sql}"
    assert "%" not in sql, f"PostgreSQL's driver reads a placeholder in this: {sql}"
    return sql


def play(driver: Driver) -> None:
    """Page, fail, lose a lease, escalate, receive, acknowledge and resolve; leave one incident open, and none of operations."""
    team = "team"

    # nobody answers: a provider fails, a lease is lost, operations is paged
    driver.respond("email", BUSY, REFUSED)
    lost = an_incident("lost", severity=Severity.CRITICAL)
    driver.notify(lost, a_recipient("ada", "email", "slack", "sms"), a_recipient("bad", email=BAD), namespace=team)
    driver.claim("slack")  # and never recorded
    driver.deliver()
    driver.pass_time(minutes=2)

    # a text is delivered, the incident is acknowledged and resolved
    grace = a_recipient("grace", "sms", "email")
    driver.notify(an_incident("taken"), grace, namespace=team)
    driver.respond("email", REFUSED)
    driver.deliver()
    texted = driver.sent("sms")[-1].message.attempt_id
    driver.report(texted, Result.DELIVERED)
    driver.report("nobody's", Result.DELIVERED)
    driver.notify(an_incident("taken", severity=Severity.CRITICAL), grace, namespace=team)
    driver.page_again("grace", "taken")
    driver.acknowledge("grace", "taken")
    driver.resolve("grace", "taken")
    driver.resolve("ada", "lost")
    driver.resolve("olga", "notifyflow/operations")
    driver.deliver()

    # still to be delivered by whoever comes
    driver.respond("email")
    driver.notify(an_incident("left"), a_recipient("zoe", "email", "push"), namespace=team)


def record() -> str:
    """Play the driver on a new SQLite file and return the recording."""
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(f"sqlite:///{folder}/recorded.db")
        driver = Driver(recorder, operations=[a_contact("olga", "push")])  # type: ignore[arg-type]
        play(driver)
        recorder.close()
    statements: dict[str, int] = {}
    texts: dict[str, str] = {}

    def value(given: Any) -> Any:
        if isinstance(given, str) and len(given) > _LONG:
            return texts.setdefault(given, f"text {len(texts) + 1}")
        return given

    transactions = [
        [[statements.setdefault(sql, len(statements)), [value(each) for each in values], count] for sql, values, count in one]
        for one in recorder.transactions
    ]
    parts = (
        f'"texts": {json.dumps({name: text for text, name in texts.items()}, indent=0)}',
        f'"statements": {_a_line_each(list(statements))}',
        f'"transactions": {_a_line_each(transactions)}',
    )
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _a_line_each(values: list[Any]) -> str:
    return "[\n" + ",\n".join(json.dumps(each, separators=(",", ":")) for each in values) + "\n]"


if __name__ == "__main__":
    path = path_of(migrations.WANTED)
    path.write_text(record())
    print(f"Recorded {path}.")
