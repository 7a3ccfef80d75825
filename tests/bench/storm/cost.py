"""Measures the processor time that each row of a storm costs, and what a lone page costs, with bundling and without."""

import time

from tests.bench.storm.driver import CALLERS
from tests.bench.storm.scene import Size, begin, drive, drive_all, variables, wait_until_carried, worker
from tests.bench.throughput.arena import Arena
from tests.bench.throughput.contestants import OURS
from tests.bench.throughput.series import Measured, percentile

WORKER, POSTGRES, MESSAGES, TOOK = "worker, ms of CPU a row", "PostgreSQL, ms of CPU a row", "messages", "s until all had come"
DELAY, LATE, STATEMENTS = "notify() → call: p50, ms", "notify() → call: p95, ms", "statements a page"
_IDLE_S = 2.0
_PAUSE_S = 0.06
_WITHIN_S = 60.0
_MESSAGES = "SELECT count(DISTINCT coalesce(sent_with, id)) FROM notifyflow_attempt"
_ROWS = "SELECT count(*) FROM notifyflow_notification WHERE state = 'SENT'"
_RESET = "SELECT count(pg_stat_statements_reset(0, oid)) FROM pg_database WHERE datname = current_database()"
_CALLS = """
    SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query !~* '^(BEGIN|COMMIT|ROLLBACK)'
"""


def rows_of_a_storm(arena: Arena, size: Size, *, is_bundling: bool) -> Measured:
    """Let the incidents of a storm come and be carried; PostgreSQL's time is that of ``notify()``, too."""
    begin(arena, size)
    with arena.watching() as query, worker(arena, is_bundling=is_bundling) as carrying:
        drive(arena, is_bundling=is_bundling, incidents=20, people=20, seconds=1, channels=size.channels, prefix="warm")
        wait_until_carried(query)
        before = query(_ROWS), query(_MESSAGES), carrying.cpu_s, arena.postgres_processes.cpu_s
        driven = drive_all(arena, size, is_bundling=is_bundling)
        wait_until_carried(query)
        after = query(_ROWS), query(_MESSAGES), carrying.cpu_s, arena.postgres_processes.cpu_s
    rows, messages, spent_s, postgres_s = (late - early for late, early in zip(after, before, strict=True))
    return {WORKER: 1000 * spent_s / rows, POSTGRES: 1000 * postgres_s / rows, MESSAGES: messages, TOOK: driven.took_s}


def lone_pages(arena: Arena, size: Size, channel: str, *, is_bundling: bool) -> Measured:
    """Page one person after the other while the worker has nothing else to do; statements of idle sweeps are not counted."""
    arena.begin(OURS)
    count = {"PGOPTIONS": "-c pg_stat_statements.track=top", "EAR": str(arena.ear.port)}
    with arena.watching() as query, arena.worker(OURS, **variables(is_bundling=is_bundling), **count):
        drive(arena, is_bundling=is_bundling, incidents=6, people=6, seconds=0.5, channels=channel, prefix="warm")
        wait_until_carried(query)
        query(_RESET)
        time.sleep(_IDLE_S)
        idle_a_second = query(_CALLS) / _IDLE_S
        query(_RESET)
        began = time.monotonic()
        driven = drive(
            arena,
            is_bundling=is_bundling,
            incidents=size.lone,
            people=size.lone,
            seconds=size.lone * _PAUSE_S,
            channels=channel,
        )
        wait_until_carried(query)
        statements = query(_CALLS) - idle_a_second * (time.monotonic() - began)
    spans = [arena.ear.wait_for("call", call["address"], within_s=_WITHIN_S) - call["began_at"] for call in driven.calls]
    return {
        DELAY: 1000 * percentile(spans, 0.5),
        LATE: 1000 * percentile(spans, 0.95),
        STATEMENTS: statements / (size.lone + CALLERS),
    }
