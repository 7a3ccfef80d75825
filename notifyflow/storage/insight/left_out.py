"""Collects the damaged rows that a request's or command's reads leave out, so that its end can report them.

Only reads for display leave rows out. A transaction that moves rows sets unreadable ones aside.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # every command loads this module
    from notifyflow.core.insight.left_out import LeftOut

_gathered: ContextVar["dict[tuple[str, str], LeftOut] | None"] = ContextVar("notifyflow_rows_left_out", default=None)


@contextmanager
def collecting() -> "Iterator[Mapping[tuple[str, str], LeftOut]]":
    """Collect the rows that reads in the block leave out, including its worker threads, by table and id."""
    found: dict[tuple[str, str], LeftOut] = {}
    token = _gathered.set(found)
    try:
        yield found
    finally:
        _gathered.reset(token)


def collected() -> "tuple[LeftOut, ...]":
    """Return the rows that the current block's reads have left out so far; empty outside a block."""
    return tuple((_gathered.get() or {}).values())


def note(rows: "Iterable[LeftOut]") -> None:
    """Note the rows that a read has left out."""
    found = _gathered.get()
    if found is not None:
        found.update({(each.table, each.row_id): each for each in rows})
