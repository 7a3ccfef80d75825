"""Measures one database: what a text costs, what ten million rows cost, and what it takes to prune them.

Writes docs/figures/database.rst, and the plans of all statements to docs/figures/database.json.
"""

import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from psycopg import sql

from notifyflow import NotifyFlow
from notifyflow.core.accounts.users import Role
from notifyflow.core.text import cut
from notifyflow.storage.store import Store
from tests.bench.database import plans
from tests.bench.database.costs import SHAPES, Cost, measure
from tests.bench.database.plans import SMALL_TABLE, Plan
from tests.bench.database.pruned import Pruned, prune, settings_of
from tests.bench.fill import DAYS, fill
from tests.bench.pages import pages, store_policy
from tests.bench.throughput.arena import Arena, arena
from tests.bench.throughput.contestants import OURS, program
from tests.bench.throughput.series import say
from tests.dashboard import PASSWORD, Visit

NOTIFICATIONS, FEWER = 2_500_000, 250_000
OLDER_THAN, QUIET_S = "28d", 30
_BOUNDED = {"notifyflow_metric_period"}
GROWN, MANY_BLOCKS = 2.0, 200
"""A statement has grown that reads so many times as much over ten times the rows, and so many blocks of 8 kB."""
_PRUNED_H = 2
_SETTLE_S = 20.0
"""Longer than the sweeper's look for what should have happened, which comes every 15 s."""
_FIGURES = Path(__file__).parents[3] / "docs" / "figures" / "database"
_NAMED = {
    "claim: rows that are due on a channel": r'^WITH "due".* SKIP LOCKED$',
    "claim: the row of the provider": r'FROM "notifyflow_provider_health".* FOR NO KEY UPDATE$',
    "claim: a notification moves": r'^UPDATE "notifyflow_notification" SET "state" = \$1, "version" = \$2, "due_at"',
    "accept: the newest incident of a key": r'"later"\."key" = list\.other',
    "sweep: rows to ring for": r'AS "notification_id".*"rung_at" IS NULL.* SKIP LOCKED$',
    "sweep: leases that have expired": r'ORDER BY "t2"\."lease_until" LIMIT',
    "sweep: escalations to decide about": r'ORDER BY "t1"\."next_decision_at" LIMIT',
    "sweep: rounds to start": r'ORDER BY MIN\("t1"\."next_round_at"\)',
    "sweep: when to look again": r"^\(\(\(\(\(\(\(SELECT",
    "metrics: lines to count": r'^SELECT "t1"\."id", "t1"\."xid"',
    "dashboard: messages with an evidence that none has": r'"evidence" IN \(\$1\)+ LIMIT',
    "prune: the oldest incidents": r'^SELECT "t1"\."id", "t1"\."resolved_at"',
    "prune: the lines of 50 rounds": r'^DELETE FROM "notifyflow_transition".*"row_id" IN \(SELECT',
    "prune: the attempts of 50 rounds": r'^DELETE FROM "notifyflow_attempt"',
}
"""The statements that a worker lives on, each by a part of its text."""
_TABLES = """
    SELECT c.relname, c.reltuples::bigint, pg_table_size(c.oid), pg_indexes_size(c.oid)
    FROM pg_class c WHERE c.relkind = 'r' AND c.relname LIKE 'notifyflow%' AND c.reltuples > 1000 ORDER BY 2 DESC, 1
"""
_COUNTED = """
    UPDATE notifyflow_rollup SET rolled_up_at = now(), line_id = 0,
        xid = (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
"""


_WIDEST = 200
_TEXT = """.. Made by scripts/bench; do not edit.

{costs}

A history of {total:,} rows in the large tables:

{tables}

{statements} statements ran over it and over a tenth of it. Some of them, with the blocks of 8 kB that they read in the median:

{named}

Statements that read a table of more than a thousand rows whole, other than that of the charts, which is kept for 35 days:

{whole}

Statements that read at least twice as much over ten times the rows:

{grown}

``notifyflow prune --older-than {older_than}`` deleted {pruned.rows:,} rows in {pruned.took_s:,.0f} s, {a_second:,.0f} a second,
while a worker carried pages. It used {ours_us:.0f} µs of processor time for each, and PostgreSQL {server_us:.0f}, with everything
else that it did.

{delays}

{bloat}

Measured on two cores ({machine}) at a load of {load:.1f}, on which everything ran.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: its rows, and the bytes of its own and of its indexes."""

    name: str
    rows: int
    own_bytes: int
    index_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement over a short history and over one ten times as long.

    Attributes:
        blocks: The median of the blocks that it read, over each.
    """

    text: str
    runs: int
    rows: float
    blocks: tuple[float, float]
    took_ms: float
    tree: str

    @property
    def has_grown(self) -> bool:
        few, many = self.blocks
        return many >= MANY_BLOCKS and many >= GROWN * few


def main() -> int:
    """Measure, write the figures, and return whether a statement reads a large table whole, or ever more of it."""
    with arena() as field:
        costs = {shape.name: measure(field, shape) for shape in SHAPES}
        say(f"{costs}\n")
        _fill(field, FEWER)
        few = _explained(field)
        say(f"{len(few)} plans\n")
        _fill(field, NOTIFICATIONS)
        tables = [Table(name=name, rows=rows, own_bytes=own, index_bytes=more) for name, rows, own, more in field.query(_TABLES)]
        say(f"{tables}\n")
        many = _explained(field)
        say(f"{len(many)} plans\n")
        pruned = prune(field, older_than=OLDER_THAN, quiet_s=QUIET_S)
    return publish(costs, tables, few, many, pruned)


def publish(costs: Mapping[str, Cost], tables: Sequence[Table], few: Sequence[Plan], many: Sequence[Plan], pruned: Pruned) -> int:
    """Write the figures; return 1 if a statement reads a large table whole, or ever more of it."""
    statements = compared(few, many)
    whole = read_whole(many, {each.name for each in tables if each.rows > SMALL_TABLE} - _BOUNDED)
    document = {
        "load": round(os.getloadavg()[1], 1),
        "costs": costs,
        "tables": [asdict(each) for each in tables],
        "pruned": asdict(pruned),
        "read_whole": whole,
        "statements": [asdict(each) for each in statements],
    }
    _FIGURES.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = render(costs, tables, statements, whole, pruned)
    _FIGURES.with_suffix(".rst").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 1 if whole or any(each.has_grown for each in statements) else 0


def compared(few: Sequence[Plan], many: Sequence[Plan]) -> list[Statement]:
    """Compare the statements that ran over both histories; those that read most come first."""
    short, long = plans.by_text(few), plans.by_text(many)
    found = [_statement(text, short[text], long[text]) for text in short.keys() & long.keys()]
    return sorted(found, key=lambda each: (-each.blocks[1], each.text))


def _statement(text: str, few: Sequence[Plan], many: Sequence[Plan]) -> Statement:
    usual = sorted(many, key=lambda each: each.blocks)[len(many) // 2]
    return Statement(
        text=text,
        runs=len(many),
        rows=usual.rows,
        blocks=(statistics.median(each.blocks for each in few), usual.blocks),
        took_ms=statistics.median(each.took_ms for each in many),
        tree=usual.tree,
    )


def read_whole(ran: Sequence[Plan], large: set[str]) -> dict[str, list[str]]:
    """Return the large tables that statements read sequentially, by statement."""
    found = {each.text: sorted(large & set(each.read_whole)) for each in ran}
    return {text: tables for text, tables in found.items() if tables}


def _fill(field: Arena, notifications: int) -> None:
    """Use a new database with so many notifications, all of whose log is counted; while it is filled, nothing is durable."""
    field.redis.flushdb()
    field.database = field.server.create_database()
    with closing(Store(field.url)) as store:
        store.upgrade()
    _set_durable(field, "off")
    field.query(f"ALTER DATABASE {field.database} SET session_replication_role = 'replica'")  # no foreign key is looked up
    fill(field.server, field.database, notifications=notifications, policy=store_policy(field.server, field.database))
    field.query(f"ALTER DATABASE {field.database} RESET session_replication_role")
    field.query(_COUNTED)
    _set_durable(field, "on")
    field.query("CHECKPOINT")


def _set_durable(field: Arena, value: str) -> None:
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        field.server.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
    field.server.execute(sql.SQL("SELECT pg_reload_conf()"))


def _explained(field: Arena) -> list[Plan]:
    """Page while a worker carries and sweeps, look at all pages, and prune two hours; return the plans of all that ran."""
    with plans.logged(field) as found:
        with field.worker(OURS):
            field.drive(OURS, incidents=60, pause_ms=300)
            field.drive(OURS, incidents=10, pause_ms=100, KEY="the same")
            field.wait_until(lambda: not field.left(OURS), within_s=60)
            time.sleep(_SETTLE_S)
        with NotifyFlow(settings_of(field)) as flow:
            flow.users().add("admin", Role.ADMIN, password=PASSWORD)
            visitor = Visit(flow.asgi())
            visitor.log_in("admin")
            for path in pages(lambda path: visitor.get(f"/{path}").text).values():
                visitor.get(f"/{path}")
        field.run(program("notifyflow"), "prune", "--older-than", f"{DAYS * 24 - _PRUNED_H}h")
    return found


def render(
    costs: Mapping[str, Cost],
    tables: Sequence[Table],
    statements: Sequence[Statement],
    whole: Mapping[str, Sequence[str]],
    pruned: Pruned,
) -> str:
    """Return the page of figures."""
    total = sum(each.rows for each in tables)
    grown = [each for each in statements if each.has_grown]
    return _TEXT.format(
        costs=_cells([["For each text", *costs], *_costs(costs)]),
        total=total,
        tables=_cells([["Table", "rows", "GB", "GB of indexes"], *map(_table, tables)]),
        statements=len(statements),
        named=_cells([["Statement", "rows", "blocks", "blocks, ten times the rows", "ms"], *_named(statements)]),
        whole="\n".join(f"* {', '.join(names)}: ``{cut(text, _WIDEST)}``" for text, names in whole.items()) or "None.",
        grown="\n".join(map(_grown, grown)) or "None.",
        pruned=pruned,
        a_second=pruned.rows / pruned.took_s,
        ours_us=1e6 * pruned.ours_s / pruned.rows,
        server_us=1e6 * pruned.server_s / pruned.rows,
        older_than=OLDER_THAN,
        bloat=_cells([["The tables", "before", "after the prune", "after VACUUM"], *_bloat(pruned)]),
        delays=_cells([["Pages", "p50", "p95", "latest"], *_delays(pruned)]),
        machine=f"{platform.machine()}, Python {platform.python_version()}",
        load=os.getloadavg()[1],
    )


def _cells(rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first row is its head."""
    lines = [f"   {'* - ' if number == 0 else '  - '}{cell}".rstrip() for row in rows for number, cell in enumerate(row)]
    return "\n".join((".. list-table::", "   :header-rows: 1", "", *lines))


def _costs(costs: Mapping[str, Cost]) -> Iterator[Sequence[str]]:
    for name in next(iter(costs.values())):
        yield [name, *(f"{each[name]:.3g}" for each in costs.values())]


def _table(table: Table) -> Sequence[str]:
    return [f"``{table.name}``", f"{table.rows:,}", f"{table.own_bytes / 1e9:.2f}", f"{table.index_bytes / 1e9:.2f}"]


def _named(statements: Sequence[Statement]) -> Iterator[Sequence[str]]:
    for name, part in _NAMED.items():
        found = [each for each in statements if re.search(part, each.text)]
        if found:
            most = found[0]
            few, many = most.blocks
            yield [name, f"{most.rows:,.0f}", f"{few:,.0f}", f"{many:,.0f}", f"{most.took_ms:.2f}"]


def _grown(statement: Statement) -> str:
    few, many = statement.blocks
    return f"* {few:,.0f} → {many:,.0f} blocks for {statement.rows:,.0f} rows: ``{cut(statement.text, _WIDEST)}``"


def _bloat(pruned: Pruned) -> Iterator[Sequence[str]]:
    states = (pruned.before, pruned.after, pruned.vacuumed)
    yield ["size with indexes", *(f"{each.gigabytes:.1f} GB" for each in states)]
    yield ["dead rows", *(f"{each.dead_rows:,}" for each in states)]
    yield ["free for new rows", *(f"{each.free_percent:.0f} %" for each in states)]


def _delays(pruned: Pruned) -> Iterator[Sequence[str]]:
    for name, each in (("before the prune", pruned.delays_before), ("during it", pruned.delays)):
        yield [f"{each.pages:,} {name}", *(f"{value:,.0f} ms" for value in (each.p50_ms, each.p95_ms, each.most_ms))]
