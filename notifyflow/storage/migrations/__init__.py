"""The schema's versions, oldest first, and their application under a lock.

``notifyflow_schema`` has one row: the version the tables have, and the oldest schema whose code may still use them.
"""

from types import ModuleType

from peewee import Database

from notifyflow.errors import SchemaMismatch
from notifyflow.storage.dialects import Dialect, execute
from notifyflow.storage.migrations import (
    v0001_initial,
    v0002_limits,
    v0003_outages,
    v0004_upkeep,
    v0005_back,
    v0006_namespaces,
    v0007_blame,
    v0008_clocks,
    v0009_numbers,
    v0010_turns,
)

MIGRATIONS: tuple[ModuleType, ...] = (
    v0001_initial,
    v0002_limits,
    v0003_outages,
    v0004_upkeep,
    v0005_back,
    v0006_namespaces,
    v0007_blame,
    v0008_clocks,
    v0009_numbers,
    v0010_turns,
)
WANTED = len(MIGRATIONS)

_UPGRADE = "Run `notifyflow db upgrade`; older workers may go on meanwhile."
_TOO_OLD = "Install the notifyflow that upgraded it, or a newer one; this one did not touch it."


def upgrade(db: Database, dialect: Dialect) -> int:
    """Apply what is missing; the caller holds a transaction.

    Returns:
        How many versions were applied.

    Raises:
        SchemaMismatch: When the database was upgraded past what this code may use.
    """
    dialect.lock_schema(db)
    missing = MIGRATIONS[judge(db, dialect) :]
    for migration in missing:
        for statement in migration.STATEMENTS:
            execute(db, statement.format(**dialect.types))
    if missing:
        _write_version(db, dialect, missing[-1])
    return len(missing)


def judge(db: Database, dialect: Dialect) -> int:
    """Read the schema's version, 0 where notifyflow has no tables, and touch nothing.

    Raises:
        SchemaMismatch: When this code is too old for the database.
    """
    if not dialect.has_table(db, "notifyflow_schema"):
        return 0
    found, oldest = execute(db, "SELECT version, oldest FROM notifyflow_schema").fetchone()
    if oldest > WANTED:
        raise SchemaMismatch(found, WANTED, oldest, _TOO_OLD)
    return int(found)


def check(db: Database, dialect: Dialect) -> None:
    """Tell whether this code may use the database as it is; touch nothing.

    Raises:
        SchemaMismatch: When the database needs an upgrade first, or this code is too old for it.
    """
    insist(judge(db, dialect))


def insist(found: int) -> None:
    """Refuse a database whose schema is older than this code's.

    Raises:
        SchemaMismatch: When it is.
    """
    if found < WANTED:
        raise SchemaMismatch(found, WANTED, found, _UPGRADE)


def _write_version(db: Database, dialect: Dialect, migration: ModuleType) -> None:
    if not dialect.has_table(db, "notifyflow_schema"):
        execute(db, "CREATE TABLE notifyflow_schema (version INTEGER NOT NULL, oldest INTEGER NOT NULL)")
        execute(db, "INSERT INTO notifyflow_schema (version, oldest) VALUES (0, 0)")
    execute(db, f"UPDATE notifyflow_schema SET version = {int(migration.VERSION)}, oldest = {int(migration.OLDEST)}")  # noqa: S608 (two integers of ours)
