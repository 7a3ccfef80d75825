"""Applies the schema's versions, oldest first, under a lock.

``notifyflow_migration`` has one row: the version of the tables, the oldest schema whose code may still use them, and a digest of
the statements that made them, since a version is edited until it is released. Tables of another digest cannot be upgraded and are
refused, as are those of unreleased versions that counted in other tables.
"""

import hashlib
from collections.abc import Sequence
from types import ModuleType

from peewee import Database

from notifyflow.errors import SchemaMismatch, UnreleasedSchema
from notifyflow.storage.dialects import Dialect, execute
from notifyflow.storage.migrations import v0001_initial

MIGRATIONS: tuple[ModuleType, ...] = (v0001_initial,)
WANTED = len(MIGRATIONS)

_TABLE = "notifyflow_migration"
_TABLES_OF_UNRELEASED = ("notifyflow_schema_version", "notifyflow_schema")

_UPGRADE = "Run `notifyflow db upgrade`; older workers may go on meanwhile."
_UPGRADE_ALONE = "Stop the older processes, then run `notifyflow db upgrade`."
_TOO_OLD = "Install the notifyflow that upgraded it, or a newer one; this one did not touch it."


def upgrade(db: Database, dialect: Dialect) -> int:
    """Apply the missing migrations; the caller holds a transaction.

    Returns:
        How many versions were applied.

    Raises:
        SchemaMismatch: When the database was upgraded past what this code may use.
        UnreleasedSchema: When an unreleased version made the database.
    """
    dialect.lock_schema(db)
    missing = MIGRATIONS[read_version(db, dialect) :]
    apply(db, dialect, missing)
    return len(missing)


def apply(db: Database, dialect: Dialect, migrations: Sequence[ModuleType]) -> None:
    """Apply some migrations and store the version of the last one; the caller holds a transaction."""
    for migration in migrations:
        for statement in migration.STATEMENTS:
            execute(db, statement.format(**dialect.types))
        if hasattr(migration, "move"):
            migration.move(db, dialect)
    if migrations:
        _write_version(db, dialect, migrations[-1])


def read_version(db: Database, dialect: Dialect) -> int:
    """Return the schema's version, 0 if notifyflow has no tables; change nothing.

    Raises:
        SchemaMismatch: When this code is too old for the database.
        UnreleasedSchema: When an unreleased version made the database.
    """
    if not dialect.has_table(db, _TABLE):
        if any(dialect.has_table(db, table) for table in _TABLES_OF_UNRELEASED):
            raise UnreleasedSchema
        return 0
    # all columns in one statement: the digest is missing where a state before 0.1.0 made the table
    found, oldest, *digests = execute(db, f"SELECT * FROM {_TABLE}").fetchone()  # noqa: S608 (a name of ours)
    if oldest > WANTED:
        raise SchemaMismatch(found, WANTED, oldest, _TOO_OLD)
    if found <= WANTED and digests != [digest(MIGRATIONS[:found], dialect)]:
        raise UnreleasedSchema
    return int(found)


def digest(migrations: Sequence[ModuleType], dialect: Dialect) -> str:
    """Return the SHA-256 of what some migrations run on a kind of database, whatever the layout of the statements."""
    statements = (statement.format(**dialect.types) for migration in migrations for statement in migration.STATEMENTS)
    return hashlib.sha256(";".join(" ".join(each.split()) for each in statements).encode()).hexdigest()


def check(db: Database, dialect: Dialect) -> None:
    """Refuse a database that this code may not use as it is; change nothing.

    Raises:
        SchemaMismatch: When the database needs an upgrade first, or this code is too old for it.
        UnreleasedSchema: When an unreleased version made the database.
    """
    insist(read_version(db, dialect))


def insist(found: int) -> None:
    """Refuse a database whose schema is older than this code's.

    Raises:
        SchemaMismatch: When it is.
    """
    if found < WANTED:
        may_go_on = not found or found >= MIGRATIONS[-1].OLDEST
        raise SchemaMismatch(found, WANTED, found, _UPGRADE if may_go_on else _UPGRADE_ALONE)


def _write_version(db: Database, dialect: Dialect, migration: ModuleType) -> None:
    if not dialect.has_table(db, _TABLE):
        execute(db, f"CREATE TABLE {_TABLE} (version INTEGER NOT NULL, oldest INTEGER NOT NULL, digest TEXT NOT NULL)")
        execute(db, f"INSERT INTO {_TABLE} (version, oldest, digest) VALUES (0, 0, '')")  # noqa: S608 (a name of ours)
    version, oldest, made_by = int(migration.VERSION), int(migration.OLDEST), digest(MIGRATIONS[: migration.VERSION], dialect)
    execute(db, f"UPDATE {_TABLE} SET version = {version}, oldest = {oldest}, digest = '{made_by}'")  # noqa: S608 (ours alone)
