"""Damages rows as a bug, a hand or a disk would, and mends them again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

from peewee import Database

from notifyflow.pipeline.delivery.set_aside_release import let_go
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.dialects import execute
from notifyflow.storage.tables import SetAsideRow

_TABLES = {each: f"notifyflow_{each}" for each in ("notification", "escalation", "incident", "step")}


class Damage(StrEnum):
    """A kind of damage to a notification, an escalation, an incident, or a step."""

    LINE = "a line of its log is written already"
    REFUSED = "the database refuses to write it"
    IGNORED = "the database does not write it"
    VERSION = "its version was set back"
    INSTANT = "an instant is beyond the calendar"
    WORD = "a word is unknown"
    DOCUMENT = "a document has a field that nobody knows"
    JSON = "a document is broken"


UNWRITABLE = (Damage.LINE, Damage.REFUSED, Damage.IGNORED, Damage.VERSION)
"""The kinds of a row that can be read."""


@contextmanager
def damaged(deps: Dependencies, machine: str, row_id: str, damage: Damage) -> Iterator[None]:
    """Damage a row; mend it at the end of the block."""
    mends: list[str] = []
    run(deps, lambda db: mends.extend(_damage(db, machine, row_id, damage)))
    try:
        yield
    finally:
        run(deps, lambda db: [execute(db, each) for each in mends])


def release_all(deps: Dependencies) -> None:
    """Release all rows that are set aside."""

    def body(tx: Transaction) -> None:
        let_go(tx, [row["row_id"] for row in tx.ledger.set_asides._unit.rows(SetAsideRow.select(SetAsideRow.row_id))])

    use_case.run(deps, body)


def run(deps: Dependencies, work: Callable[[Database], object]) -> None:
    deps.transactions.run(lambda ledger: work(ledger._unit.db) and None)


def _damage(db: Database, machine: str, row_id: str, damage: Damage) -> list[str]:
    """Damage a row; return the statements that mend it."""
    table = _TABLES[machine]
    match damage:
        case Damage.LINE:  # of another incident, so that it can be deleted again
            ((version,),) = _look(db, f"SELECT version FROM {table} WHERE id = '{row_id}'")
            ((resolved,),) = _look(db, "SELECT id FROM notifyflow_incident WHERE state = 'RESOLVED' LIMIT 1")
            columns = "incident_id, machine, row_id, version, event, source, target, at, detail"
            values = f"'{resolved}', '{machine}', '{row_id}', {version + 1}, 'x', 'x', 'x', '2026-11-25 03:00:00+00:00', '{{}}'"
            execute(db, f"INSERT INTO notifyflow_transition ({columns}) VALUES ({values})")
            return [f"DELETE FROM notifyflow_transition WHERE row_id = '{row_id}' AND event = 'x'"]
        case Damage.VERSION:
            execute(db, f"UPDATE {table} SET version = version - 1 WHERE id = '{row_id}'")
            return [f"UPDATE {table} SET version = version + 1 WHERE id = '{row_id}'"]
        case Damage.REFUSED | Damage.IGNORED:
            return _guard(db, table, row_id, is_silent=damage is Damage.IGNORED)
        case Damage.INSTANT:
            return _overwrite(
                db,
                table,
                row_id,
                {"notification": "created_at", "escalation": "started_at"}.get(machine, "opened_at"),
                "-infinity",
            )
        case Damage.WORD:
            return _overwrite(db, table, row_id, "severity", "LOUD")
        case Damage.DOCUMENT:
            column = {"notification": "incident_event", "escalation": "carried"}.get(machine, "series")
            return _overwrite(db, table, row_id, column, '{"moon": "full"}')
        case Damage.JSON:
            column = {"notification": "incident_event", "escalation": "carried"}.get(machine, "series")
            return _overwrite(db, table, row_id, column, "{")


def _look(db: Database, sql: str) -> list[Any]:
    return list(execute(db, sql).fetchall())


def _overwrite(db: Database, table: str, row_id: str, column: str, value: str) -> list[str]:
    ((before,),) = _look(db, f"SELECT {column} FROM {table} WHERE id = '{row_id}'")
    execute(db, f"UPDATE {table} SET {column} = '{value}' WHERE id = '{row_id}'")
    old = "NULL" if before is None else f"'{before}'"
    return [f"UPDATE {table} SET {column} = {old} WHERE id = '{row_id}'"]


def _guard(db: Database, table: str, row_id: str, *, is_silent: bool) -> list[str]:
    """Let a trigger stop every update of a row, with an error or in silence."""
    name = f"damage_{row_id[-4:]}"
    if not db.for_update:
        stop = "RAISE(IGNORE)" if is_silent else "RAISE(ABORT, 'no')"
        execute(db, f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} WHEN OLD.id = '{row_id}' BEGIN SELECT {stop}; END")
        return [f"DROP TRIGGER {name}"]
    stop = "RETURN NULL" if is_silent else "RAISE EXCEPTION 'no'"
    execute(db, f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {stop}; END $$")
    execute(
        db,
        f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW WHEN (OLD.id = '{row_id}') EXECUTE FUNCTION {name}()",
    )
    return [f"DROP TRIGGER {name} ON {table}", f"DROP FUNCTION {name}()"]
