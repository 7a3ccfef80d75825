"""Measures what a long history, and what waits for the future, costs a worker.

The rows are multiplied from those of one incident that was really accepted and carried: each copy has ids of its own.
"""

import itertools
import time
from collections.abc import Sequence

from psycopg import sql

from tests.bench.throughput import rates
from tests.bench.throughput.arena import Arena
from tests.bench.throughput.contestants import OURS, program
from tests.bench.throughput.series import Measured

_WITHIN_S = 120.0
_numbers = itertools.count()
_ROWS_OF = {
    "notifyflow_incident": "id = {0}",
    "notifyflow_contact": "incident_id = {0}",
    "notifyflow_escalation": "incident_id = {0}",
    "notifyflow_notification": "incident_id = {0}",
    "notifyflow_attempt": "notification_id IN (SELECT id FROM notifyflow_notification WHERE incident_id = {0})",
    "notifyflow_transition": "incident_id = {0}",
}
"""The tables of an incident, those that others refer to first, with the condition that finds its rows."""
_WITH_IDS = ("notifyflow_incident", "notifyflow_escalation", "notifyflow_notification", "notifyflow_attempt")


class Original:
    """The incident whose rows are multiplied.

    Args:
        arena: The arena; its database in use is the one to fill.
        prefix: The driver's prefix: ``later`` is refused for now, anything else is carried.
        is_resolved: Whether the incident is resolved.
    """

    def __init__(self, arena: Arena, prefix: str, *, is_resolved: bool) -> None:
        self._arena = arena
        self._key = f"{prefix}-0"
        arena.begin(OURS)
        arena.drive(OURS, incidents=1, PREFIX=prefix)
        with arena.worker(OURS):
            ended = "SELECT count(*) FROM notifyflow_attempt WHERE state = 'RECORDED'"
            arena.wait_until(lambda: arena.query(ended)[0][0] >= 6, within_s=_WITHIN_S)
            if is_resolved:
                for key in (self._key, f"{prefix}-warm-0"):
                    arena.run(program("notifyflow"), "resolve", key, "--by", "ada")
                arena.wait_until(lambda: not arena.left(OURS), within_s=_WITHIN_S)  # the status updates
        arena.redis.flushdb()

    def multiply(self, numbers: range, *, due_in: str | None = None) -> int:
        """Add a copy for each number, each a minute older than the one before it, or due in a while.

        Returns:
            How many rows were added.
        """
        ((incident_id,),) = self._arena.query(f"SELECT id FROM notifyflow_incident WHERE key = '{self._key}'")
        mine = {table: condition.format(f"'{incident_id}'") for table, condition in _ROWS_OF.items()}
        ids = [self._key]
        for table in _WITH_IDS:
            ids += [id_ for (id_,) in self._arena.query(f"SELECT id FROM {table} WHERE {mine[table]}")]
        added = 0
        for table in _ROWS_OF:
            columns = self._columns(table)
            statement = sql.SQL(
                "WITH added AS (INSERT INTO {table} ({names}) SELECT {values} FROM {table}, generate_series({first}, {last}) AS n"
                " WHERE {mine} RETURNING 1) SELECT count(*) FROM added"
            ).format(
                table=sql.Identifier(table),
                names=sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
                values=sql.SQL(", ").join(_copied(name, kind, ids, due_in) for name, kind in columns),
                first=numbers.start,
                last=numbers.stop - 1,
                mine=sql.SQL(mine[table]),
            )
            ((rows,),) = self._arena.server.execute(statement, self._arena.database)
            added += rows
        self._arena.run(program("notifyflow"), "prune", "--older-than", "365d")  # makes figures of the log, and deletes nothing
        self._arena.query("VACUUM ANALYZE")
        return added

    def _columns(self, table: str) -> Sequence[tuple[str, str]]:
        found = self._arena.query(
            "SELECT column_name, data_type FROM information_schema.columns"
            f" WHERE table_name = '{table}' AND is_identity = 'NO' AND column_default IS NULL ORDER BY ordinal_position"
        )
        return [(name, kind) for name, kind in found]


def _copied(name: str, kind: str, ids: Sequence[str], due_in: str | None) -> sql.Composable:
    """Return the value of a column in a copy."""
    column = sql.Identifier(name)
    if kind == "text":
        copied = sql.SQL("CASE WHEN {column} = ANY({ids}) THEN {column} || '-' || n ELSE {column} END")
        return copied.format(column=column, ids=list(ids))
    if kind.startswith("timestamp") and due_in is None:
        return sql.SQL("{} - n * interval '1 minute'").format(column)
    if name == "due_at":
        return sql.SQL("{} + {}::interval").format(column, due_in)
    return column


def idle(arena: Arena, *, for_s: float) -> Measured:
    """Measure a worker that finds nothing due: its memory, its processor time, and the time that it keeps the database busy."""
    arena.query(f"ALTER DATABASE {arena.database} SET pg_stat_statements.track = 'top'")
    spent = (
        "SELECT coalesce(sum(total_exec_time), 0) FROM pg_stat_statements"
        " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with arena.watching() as query, arena.worker(OURS) as worker:
        arena.wait_until(lambda: bool(query("SELECT count(*) FROM notifyflow_outage")), within_s=_WITHIN_S)  # it has swept
        time.sleep(for_s / 2)
        before_ms, before_s, began = query(spent), worker.cpu_s, time.perf_counter()
        time.sleep(for_s)
        took_s = time.perf_counter() - began
        return {
            "memory of the worker, MB": worker.memory_mb,
            "an idle worker, % of a core": 100 * (worker.cpu_s - before_s) / took_s,
            "statements of an idle worker, ms a second": (query(spent) - before_ms) / took_s,
        }


def carry_more(arena: Arena, *, incidents: int) -> Measured:
    """Accept and carry more in the database in use."""
    arena.redis.flushdb()
    arena.drive(OURS, incidents=incidents, recipients=20, PREFIX=f"more-{next(_numbers)}")
    return rates.carry(arena, OURS, None, longest_s=30.0)
