"""Measures how many notifications are accepted and carried in a second."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from psycopg import sql

from tests.bench.peers.bare import rows
from tests.bench.throughput.arena import Arena, Driven, Processes, Snapshot
from tests.bench.throughput.contestants import OURS, Contestant
from tests.bench.throughput.series import Measured

RATE = "notifications/s"
CPU = "ms of CPU for each"
_LONGEST_S = 6.0
_WARM_SHARE = 0.1
_START_S = 40.0
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


def rows_of_one(arena: Arena, *, recipients: int) -> tuple[rows.Rows, int]:
    """Return the rows that ``notify()`` writes for one incident, with the number of its notifications."""
    arena.begin(OURS)
    tables = {name for (name,) in arena.ask("SELECT tablename FROM pg_tables WHERE tablename LIKE 'notifyflow%'")}
    empty = [name for name in tables if not arena.ask(f"SELECT 1 FROM {name} LIMIT 1")]
    arena.drive(OURS, incidents=1, recipients=recipients)
    found: dict[str, tuple[Sequence[str], Sequence[Sequence[object]]]] = {}
    for table in sorted(empty, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST)):
        columns = [
            name
            for (name,) in arena.ask(
                f"SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'"
                " AND is_identity = 'NO' AND column_default IS NULL ORDER BY ordinal_position"
            )
        ]
        query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table))
        if written := arena.server.execute(query, arena.database):
            found[table] = (columns, written)
    return found, len(found["notifyflow_notification"][1])


def insert_rows(arena: Arena, written: rows.Rows, notifications: int) -> Measured:
    """Insert these rows, in one multi-row INSERT a table."""
    arena.begin(OURS)
    return {RATE: notifications / rows.insert(arena.url, written)}


def update_rows(arena: Arena, *, count: int) -> Measured:
    """Mark rows SENDING, then SENT, from ten threads, each a commit."""
    arena.begin(OURS)
    return {RATE: rows.update(arena.url, 10, count)}


def queue(arena: Arena, contestant: Contestant, *, incidents: int, recipients: int = 20, channels: int = 3) -> Snapshot:
    """Accept incidents and return what is queued then."""
    arena.begin(contestant)
    arena.drive(contestant, incidents=incidents, recipients=recipients, channels=channels)
    return arena.keep()


def carry(
    arena: Arena, contestant: Contestant, snapshot: Snapshot | None, *, provider: str = "null", processes: int = 1
) -> Measured:
    """Carry what a snapshot has queued, or what is queued in the database in use."""
    if snapshot is not None:
        arena.begin(contestant, snapshot)
    with arena.watching() as ask:
        return carried(arena, lambda: ask(contestant.left), arena.worker(contestant, processes=processes, PROVIDER=provider))


def carried(arena: Arena, count_left: Callable[[], int], running: AbstractContextManager[Processes]) -> Measured:
    """Measure how fast a worker carries what is left; the first tenth is not measured, and no more than six seconds are."""
    queued = count_left()
    with running as worker:
        arena.wait_until(lambda: count_left() < queued * (1 - _WARM_SHARE), within_s=_START_S)
        left, began, cpu_s = count_left(), time.perf_counter(), worker.cpu_s
        arena.wait_until(lambda: not count_left() or time.perf_counter() > began + _LONGEST_S, within_s=2 * _LONGEST_S)
        number, took_s, spent_s = left - count_left(), time.perf_counter() - began, worker.cpu_s - cpu_s
    assert number > 0, "nothing was carried"
    return {RATE: number / took_s, CPU: 1000 * spent_s / number}


def do_nothing(arena: Arena, contestant: Contestant, *, count: int) -> Measured:
    """Run messages whose actor does nothing."""
    arena.redis.flushdb()
    arena.run("python", "-c", f"from tests.bench.peers.bare.actor import enqueue; enqueue({count})")

    def left() -> int:
        return int(arena.redis.hlen("dramatiq:default.msgs"))

    with arena.worker(contestant):
        arena.wait_until(lambda: left() < count * (1 - _WARM_SHARE), within_s=_START_S)
        began, before = time.perf_counter(), left()
        arena.wait_until(lambda: not left(), within_s=_START_S)
        return {RATE: before / (time.perf_counter() - began)}


def call_only(arena: Arena, *, provider: str, count: int) -> Measured:
    """Call the provider from ten threads and do nothing else."""
    return {RATE: float(arena.run("python", "-m", "tests.bench.peers.bare.loop", "10", str(count), PROVIDER=provider))}


def count_statements(arena: Arena, snapshot: Snapshot) -> Measured:
    """Count the statements by which what is queued is carried."""
    arena.begin(OURS, snapshot)
    arena.ask(f"ALTER DATABASE {arena.database} SET pg_stat_statements.track = 'top'")
    with arena.watching() as ask:
        ask("SELECT count(pg_stat_statements_reset(0, oid)) FROM pg_database WHERE datname = current_database()")
        total = ask(OURS.total)
        with arena.worker(OURS):
            arena.wait_until(lambda: not ask(OURS.left), within_s=120)
        return {name: ask(query) / total for name, query in _COUNTS.items()}


_CALLS = """
    SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query {} '^(BEGIN|COMMIT|ROLLBACK)'
"""
_COUNTS: Mapping[str, str] = {
    "statements for each": _CALLS.format("!~*"),
    "BEGIN, COMMIT and ROLLBACK for each": _CALLS.format("~*"),
}
