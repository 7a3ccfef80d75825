"""Writes CSV that spreadsheets open as text, row after row."""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO

_FORMULA = re.compile(r"""^(?=[\t\r\n])|(?:^|(?<=[;\t\r\n]))(?=(?:[^\S\t\r\n]|")*[=+\-@])""")
"""Where a cell may begin with a formula: at the start of a text, and after a sign that separates cells or rows in a program that
does not go by commas. Many countries' spreadsheets go by semicolons, and then know no quotes around a text."""


def lines(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV (RFC 4180); no cell is a formula, whatever its text holds (OWASP, CSV Injection)."""
    written = StringIO()
    csv.writer(written).writerows([_cell(each) for each in row] for row in rows)
    return written.getvalue()


def _cell(value: object) -> str:
    return "" if value is None else _FORMULA.sub("'", str(value))
