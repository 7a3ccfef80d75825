"""CSV that spreadsheets open as text."""

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.web.spreadsheets import lines

FORMULAS = ('=HYPERLINK("http://evil.example")', "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1")


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(text: str) -> None:
    assert next(csv.reader(StringIO(lines([[text, "after"]]), newline=""))) == [f"'{text}", "after"]


def test_nothing_is_an_empty_cell() -> None:
    assert lines([[None, 1, "a,b", 'say "x"']]) == ',1,"a,b","say ""x"""\r\n'


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), min_size=2, max_size=4), max_size=5))
def test_a_spreadsheet_reads_the_cells_that_were_written(rows: list[list[str]]) -> None:
    read = list(csv.reader(StringIO(lines(rows), newline="")))
    assert [[cell.removeprefix("'") for cell in row] for row in read] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]
    assert not any(cell[:1] in "=+-@\t\r\n" for row in read for cell in row if cell)
