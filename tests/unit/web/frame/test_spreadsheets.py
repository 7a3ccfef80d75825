"""CSV that spreadsheets open as text."""

import csv
import re
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.web.frame.spreadsheets import lines

FORMULAS = {
    '=HYPERLINK("http://evil.example")': """'=HYPERLINK("http://evil.example")""",
    "+1": "'+1",
    "-1+1": "'-1+1",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "'\t'=1",
    "\r=1": "'\r'=1",
    "\n=1": "'\n'=1",
    " =1": "' =1",
    "down;=1": "down;'=1",
    'down; "=1"': """down;' "=1\"""",
    "down\n@SUM(A1)": "down\n'@SUM(A1)",
    "a;b-c; d": "a;b-c; d",
}


@pytest.mark.parametrize(("text", "cell"), FORMULAS.items())
def test_no_cell_is_a_formula(text: str, cell: str) -> None:
    assert next(csv.reader(StringIO(lines([[text, "after"]]), newline=""))) == [cell, "after"]


def test_nothing_is_an_empty_cell() -> None:
    assert lines([[None, 1, "a,b", 'say "x"']]) == ',1,"a,b","say ""x"""\r\n'


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=2, max_size=4), max_size=5))
def test_a_spreadsheet_reads_the_cells_that_were_written(rows: list[list[str]]) -> None:
    written = lines(rows)
    read = list(csv.reader(StringIO(written, newline="")))
    assert [[cell.replace("'", "") for cell in row] for row in read] == [[cell.replace("'", "") for cell in row] for row in rows]
    assert not any(cell[:1] in "=+-@\t\r\n" for row in read for cell in row if cell)
    by_another_sign = (part.strip(' "') for part in re.split(r"[;\t\r\n]", written))
    assert not any(part[:1] in "=+-@" for part in by_another_sign if part)
