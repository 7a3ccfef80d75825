"""Writes CSV that spreadsheets open as text, row after row."""

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def lines(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV (RFC 4180); no cell is a formula, whatever its text begins with (OWASP, CSV Injection)."""
    written = StringIO()
    csv.writer(written).writerows([_cell(each) for each in row] for row in rows)
    return written.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
