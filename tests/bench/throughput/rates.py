"""Measures how many notifications are accepted and carried in a second."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from tests.bench.peers.bare import rows
from tests.bench.throughput.arena import Arena, Driven, Processes, Snapshot
from tests.bench.throughput.contestants import OURS, Contestant
from tests.bench.throughput.series import Measured

RATE = "notifications/s"
CPU = "ms of CPU for each"
_LONGEST_S = 5.0
_WARM_SHARE, _MOST_WARM = 0.1, 300
_START_S = 60.0
_FIRST = ("notifyflow_incident", "notifyflow_escalation", "notifyflow_notification")
"""Tables that others refer to, in order."""


def rate_of(driven: Driven, *, recipients: int = 1, channels: int = 3) -> float:
    """Return the notifications that a driver had accepted in a second."""
    return len(driven.calls) * recipients * channels / driven.took_s


def accept_one(arena: Arena, contestant: Contestant, *, recipients: int) -> Measured:
    """Accept incidents to many recipients over three channels, one after the other."""
    arena.begin(contestant)
    driven = arena.drive(contestant, incidents=2, recipients=recipients)
    return {RATE: rate_of(driven, recipients=recipients)}


def accept_many(arena: Arena, contestant: Contestant, *, incidents: int, callers: int) -> Measured:
    """Accept incidents to one recipient over three channels, so many at a time."""
    arena.begin(contestant)
    return {RATE: rate_of(arena.drive(contestant, incidents=incidents, callers=callers))}


def rows_of_ten(arena: Arena, *, recipients: int) -> Sequence[rows.Table]:
    """Return the rows that ``notify()`` writes for ten incidents, in tables that are empty without them."""
    arena.begin(OURS)
    names = [name for (name,) in arena.query("SELECT tablename FROM pg_tables WHERE tablename LIKE 'notifyflow%'")]
    empty = [name for name in names if not arena.query(f"SELECT 1 FROM {name} LIMIT 1")]
    arena.drive(OURS, incidents=10, recipients=recipients)
    referred_to_first = sorted(empty, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    return [table for table in (_table(arena, name) for name in referred_to_first) if table.rows]


def _table(arena: Arena, name: str) -> rows.Table:
    found = arena.query(
        "SELECT column_name, udt_name FROM information_schema.columns"
        f" WHERE table_name = '{name}' AND is_identity = 'NO' AND column_default IS NULL ORDER BY ordinal_position"
    )
    columns = [column for column, _ in found]
    quoted = ", ".join(f'"{column}"' for column in columns)
    written = arena.query(f"SELECT {quoted} FROM {name}")
    return rows.Table(name=name, columns=columns, types=[kind for _, kind in found], rows=written)


def write_rows(
    arena: Arena, tables: Sequence[rows.Table], write: Callable[[str, Sequence[rows.Table]], float] = rows.insert
) -> Measured:
    """Write these rows, and nothing else."""
    arena.begin(OURS)
    (notifications,) = (len(table.rows) for table in tables if table.name == "notifyflow_notification")
    return {RATE: notifications / write(arena.url, tables)}


def update_rows(arena: Arena, *, count: int) -> Measured:
    """Mark rows SENDING, then SENT, from ten threads, each a commit."""
    arena.begin(OURS)
    return {RATE: rows.update(arena.url, 10, count)}


def queue(arena: Arena, contestant: Contestant, *, incidents: int, recipients: int = 20) -> Snapshot:
    """Accept incidents over three channels and return what is queued then."""
    arena.begin(contestant)
    arena.drive(contestant, incidents=incidents, recipients=recipients)
    return arena.keep()


def carry(
    arena: Arena,
    contestant: Contestant,
    snapshot: Snapshot | None,
    *,
    provider: str = "null",
    processes: int = 1,
    longest_s: float = _LONGEST_S,
) -> Measured:
    """Carry what a snapshot has queued, or what is queued in the database in use."""
    if snapshot is not None:
        arena.begin(contestant, snapshot)
    with arena.watching() as query:
        worker = arena.worker(contestant, processes=processes, PROVIDER=provider)
        return carried(arena, lambda: query(contestant.left), worker, longest_s=longest_s)


def carried(
    arena: Arena, count_left: Callable[[], float], running: AbstractContextManager[Processes], *, longest_s: float = _LONGEST_S
) -> Measured:
    """Measure how fast a worker carries what is left, for so many seconds at most; the first few are not measured."""
    queued = count_left()
    with running as worker:
        arena.wait_until(lambda: count_left() < queued - min(queued * _WARM_SHARE, _MOST_WARM), within_s=_START_S)
        left, began, cpu_s = count_left(), time.perf_counter(), worker.cpu_s
        arena.wait_until(lambda: not count_left() or time.perf_counter() > began + longest_s, within_s=2 * longest_s)
        number, took_s, spent_s = left - count_left(), time.perf_counter() - began, worker.cpu_s - cpu_s
    assert number > 0, "nothing was carried"
    return {RATE: number / took_s, CPU: 1000 * spent_s / number}


def do_nothing(arena: Arena, contestant: Contestant, *, count: int) -> Measured:
    """Run messages whose actor does nothing."""
    arena.redis.flushdb()
    arena.run(sys.executable, "-c", f"from tests.bench.peers.bare.actor import enqueue; enqueue({count})")

    def left() -> int:
        return int(arena.redis.hlen("dramatiq:default.msgs"))

    with arena.worker(contestant):
        arena.wait_until(lambda: left() < count * (1 - _WARM_SHARE), within_s=_START_S)
        began, before = time.perf_counter(), left()
        arena.wait_until(lambda: not left(), within_s=_START_S)
        return {RATE: before / (time.perf_counter() - began)}


def call_only(arena: Arena, *, provider: str, count: int) -> Measured:
    """Call the provider from ten threads and do nothing else."""
    return {RATE: float(arena.run(sys.executable, "-m", "tests.bench.peers.bare.loop", "10", str(count), PROVIDER=provider))}


def leave_traces(arena: Arena, *, incidents: int, recipients: int = 20) -> Measured:
    """Accept and carry incidents over three channels, and count what that costs the servers."""
    arena.begin(OURS)
    with arena.worker(OURS):
        arena.wait_until(lambda: bool(arena.redis.info("clients")["connected_clients"]), within_s=_START_S)
        before = _traces(arena)
        arena.drive(OURS, incidents=incidents, recipients=recipients)
        arena.wait_until(lambda: not arena.left(OURS), within_s=_START_S)
        return {name: (value - before[name]) / (incidents * recipients * 3) for name, value in _traces(arena).items()}


def _traces(arena: Arena) -> Measured:
    ((size, written),) = arena.query(f"SELECT {_SIZE}, pg_current_wal_insert_lsn() - '0/0'")
    return {
        "kB of tables and indexes for each": float(size) / 1000,
        "kB of write-ahead log for each": float(written) / 1000,
        "ms of PostgreSQL's CPU for each": 1000 * arena.postgres_processes.cpu_s,
        "ms of Redis' CPU for each": 1000 * arena.redis_processes.cpu_s,
        "Redis commands for each": arena.redis.info("stats")["total_commands_processed"],
    }


_SIZE = "(SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'notifyflow%')"


def count_statements(arena: Arena, snapshot: Snapshot) -> Measured:
    """Count the statements by which what is queued is carried."""
    arena.begin(OURS, snapshot)
    arena.query(f"ALTER DATABASE {arena.database} SET pg_stat_statements.track = 'top'")
    with arena.watching() as query:
        query("SELECT count(pg_stat_statements_reset(0, oid)) FROM pg_database WHERE datname = current_database()")
        total = query(OURS.total)
        with arena.worker(OURS):
            arena.wait_until(lambda: not query(OURS.left), within_s=120)
        return {name: query(count) / total for name, count in _COUNTS.items()}


_CALLS = """
    SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query {} '^(BEGIN|COMMIT|ROLLBACK)'
"""
_COUNTS: Mapping[str, str] = {
    "statements for each": _CALLS.format("!~*"),
    "BEGIN, COMMIT and ROLLBACK for each": _CALLS.format("~*"),
}
