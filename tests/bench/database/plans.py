"""Reads the plans of all statements that run, as PostgreSQL's ``auto_explain`` logs them."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.bench.throughput.arena import Arena

SMALL_TABLE = 1_000
"""Tables of fewer rows are best read whole."""
_LOGGED = re.compile(r"duration: ([\d.]+) ms  plan:\n((?:\t.*\n)+)")
_SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_buffers": "on",
    "auto_explain.log_format": "json",
    "auto_explain.log_parameter_max_length": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One statement as it ran once.

    Attributes:
        blocks: How many blocks it read, of 8 kB each, in memory or not.
        rows: How many rows it returned or, where it returns none, changed.
        read_whole: The tables that it read sequentially.
    """

    text: str
    took_ms: float
    blocks: int
    rows: float
    read_whole: tuple[str, ...]
    tree: str


@contextmanager
def logged(field: Arena) -> Iterator[list[Plan]]:
    """Log the plans of whatever runs in new connections to the database in use; yield the plans, which are there at the end."""
    for name, value in _SETTINGS.items():
        field.query(f"ALTER DATABASE {field.database} SET {name} = '{value}'")
    begins_at = field.server.log.stat().st_size
    found: list[Plan] = []
    try:
        yield found
    finally:
        for name in _SETTINGS:
            field.query(f"ALTER DATABASE {field.database} RESET {name}")
    with field.server.log.open(errors="replace") as log:
        log.seek(begins_at)
        found += [_plan(float(took), json.loads(text)) for took, text in _LOGGED.findall(log.read())]


def by_text(plans: Sequence[Plan]) -> Mapping[str, Sequence[Plan]]:
    """Group the plans by statement."""
    found: dict[str, list[Plan]] = defaultdict(list)
    for each in plans:
        found[each.text].append(each)
    return found


def _plan(took_ms: float, document: Mapping[str, Any]) -> Plan:
    root = document["Plan"]
    nodes = list(_nodes(root))
    changed = next((each for each in nodes if each["Node Type"] == "ModifyTable"), None)
    rows = root["Actual Rows"] if changed is None else sum(each["Actual Rows"] for each in changed.get("Plans", ()))
    return Plan(
        text=" ".join(document["Query Text"].split()),
        took_ms=took_ms,
        blocks=root["Shared Hit Blocks"] + root["Shared Read Blocks"],
        rows=float(rows),
        read_whole=tuple(sorted({each["Relation Name"] for each in nodes if each["Node Type"] == "Seq Scan"})),
        tree=_drawn(root),
    )


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for each in node.get("Plans", ()):
        yield from _nodes(each)


def _drawn(node: Mapping[str, Any], depth: int = 0) -> str:
    """Return a plan as text: a node a line, with its index or table, its rows and its blocks."""
    name = " ".join(
        filter(None, (node["Node Type"], node.get("Index Name") or node.get("Relation Name") or node.get("CTE Name")))
    )
    blocks = node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    shown = f"{'  ' * depth}{name} (rows={node['Actual Rows']:g} loops={node['Actual Loops']:g} blocks={blocks})"
    return "\n".join((shown, *(_drawn(each, depth + 1) for each in node.get("Plans", ()))))
