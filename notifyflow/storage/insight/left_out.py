"""Gathers the damaged rows that the reads of one request or command leave out, so that its end can say so.

Only reads for display do: a transaction that moves rows sets aside the rows that it cannot read.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # every command loads this module
    from notifyflow.core.insight.left_out import LeftOut

_gathered: ContextVar["dict[tuple[str, str], LeftOut] | None"] = ContextVar("notifyflow_rows_left_out", default=None)


@contextmanager
def gathering() -> "Iterator[Mapping[tuple[str, str], LeftOut]]":
    """Gather what reads in the block leave out, those in its worker threads, too; by table and id."""
    found: dict[tuple[str, str], LeftOut] = {}
    token = _gathered.set(found)
    try:
        yield found
    finally:
        _gathered.reset(token)


def gathered() -> "tuple[LeftOut, ...]":
    """Return what reads of the current block have left out so far; nothing outside of any."""
    return tuple((_gathered.get() or {}).values())


def note(rows: "Iterable[LeftOut]") -> None:
    """Note the rows that a read has left out."""
    found = _gathered.get()
    if found is not None:
        found.update({(each.table, each.row_id): each for each in rows})
