"""Measures ``notifyflow prune`` over a long history, while a worker carries pages."""

import itertools
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from tests.bench.throughput.arena import ROOT, Arena
from tests.bench.throughput.contestants import OURS, program
from tests.bench.throughput.series import percentile

PAGES_A_SECOND = 5
_WARM_S = 10.0
_WITHIN_S = 60.0
_TABLES = "relkind = 'r' AND relname LIKE 'notifyflow%'"
_SIZES = f"SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE {_TABLES}"
_DEAD = "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables WHERE relname LIKE 'notifyflow%'"
_FREE = f"""
    SELECT 100 * sum(free.approx_free_space) / sum(free.table_len)
    FROM pg_class, LATERAL pgstattuple_approx(oid) AS free WHERE {_TABLES} AND pg_relation_size(oid) > 0
"""
_DELAYS = """
    SELECT extract(epoch FROM a.started_at - n.created_at)::float8
    FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
        JOIN notifyflow_incident i ON i.id = n.incident_id
    WHERE i.key LIKE '{}-%'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How long after their commit pages left, in milliseconds."""

    pages: int
    p50_ms: float
    p95_ms: float
    most_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bloat:
    """The tables at one moment: their size with indexes, and the share of the tables that is free for new rows."""

    gigabytes: float
    dead_rows: int
    free_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """The result of a prune.

    Attributes:
        ours_s: The processor time of ``notifyflow prune``.
        server_s: That of PostgreSQL, for everything that it did meanwhile.
    """

    rows: int
    took_s: float
    ours_s: float
    server_s: float
    before: Bloat
    after: Bloat
    vacuumed: Bloat
    delays_before: Delays
    delays: Delays


def prune(field: Arena, *, older_than: str, quiet_s: int) -> Pruned:
    """Page at a steady pace for a while, then prune, and page meanwhile."""
    field.query("CREATE EXTENSION IF NOT EXISTS pgstattuple")
    before = _bloat(field)
    with field.worker(OURS), ThreadPoolExecutor(1) as pool:
        _page(field, "warm", until=_after(_WARM_S))
        delays_before = _page(field, "quiet", until=_after(quiet_s))
        is_over = threading.Event()
        paging = pool.submit(_page, field, "pruning", until=is_over.is_set)
        try:
            began, server_s = time.monotonic(), field.postgres_processes.cpu_s
            rows, ours_s = _run(field, program("notifyflow"), "prune", "--older-than", older_than, "--json")
            took_s, server_s = time.monotonic() - began, field.postgres_processes.cpu_s - server_s
        finally:
            is_over.set()
        delays = paging.result()
    after = _bloat(field)
    field.query("VACUUM")
    return Pruned(
        rows=rows,
        took_s=took_s,
        ours_s=ours_s,
        server_s=server_s,
        before=before,
        after=after,
        vacuumed=_bloat(field),
        delays_before=delays_before,
        delays=delays,
    )


def settings_of(field: Arena) -> Settings:
    """Return the settings of this process, which carries nothing and knows no provider of the workers."""
    found = {name: value for name, value in field.variables().items() if name.startswith("NOTIFYFLOW_")}
    return Settings.from_variables({**found, "NOTIFYFLOW_PROVIDER_LIMITS": ""})


def _run(field: Arena, *command: str) -> tuple[int, float]:
    """Run a command; return the sum of the numbers in what it wrote, and the processor time that it used."""
    process = subprocess.Popen(command, env=field.variables(), cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        written = json.load(process.stdout)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, command
    return sum(written.values()), used.ru_utime + used.ru_stime


def _page(field: Arena, prefix: str, *, until: Callable[[], bool]) -> Delays:
    """Page one person after the other until it is time; return how long the pages took to leave."""
    numbers = itertools.count()
    with NotifyFlow(settings_of(field)) as flow:
        while not until():
            key = f"{prefix}-{next(numbers)}"
            flow.notify(Incident(key=key, title="orders db is down"), [Recipient(id=key, email=f"{key}@example.com")])
            time.sleep(1 / PAGES_A_SECOND)
    field.wait_until(lambda: not field.left(OURS), within_s=_WITHIN_S)
    delays = [1000 * seconds for (seconds,) in field.query(_DELAYS.format(prefix))]
    return Delays(pages=len(delays), p50_ms=percentile(delays, 0.5), p95_ms=percentile(delays, 0.95), most_ms=max(delays))


def _after(seconds: float) -> Callable[[], bool]:
    ends_at = time.monotonic() + seconds
    return lambda: time.monotonic() > ends_at


def _bloat(field: Arena) -> Bloat:
    ((size, dead, free),) = field.query(f"SELECT ({_SIZES}), ({_DEAD}), ({_FREE})")
    return Bloat(gigabytes=float(size) / 1e9, dead_rows=int(dead), free_percent=float(free))
