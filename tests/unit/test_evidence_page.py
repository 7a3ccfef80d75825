"""The table of invariants: what it names exists, and each invariant has a row."""

import ast
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
EXPLANATION = TOP / "docs" / "explanation"
PAGE = (EXPLANATION / "evidence.rst").read_text(encoding="utf-8")
ROW = re.compile(
    r"   \* - (?P<number>\d+)\n     - (?P<what>.+)\n"
    r"     - \| ``(?P<rule>[\w/]+\.py)``\n       \| ``(?P<function>\w+)``\n"
    r"     - \| ``(?P<tests>[\w/]+\.py)``\n       \| ``(?P<test>\w+)``\n"
    r"     - (?P<mutants>.+)\n"
)
ROWS = [match.groupdict() for match in ROW.finditer(PAGE)]
WITHOUT_MUTANT = {"8"}
"""Nothing personal leaves: the simulation reads neither logs nor messages."""


def defined(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def test_each_invariant_has_a_row() -> None:
    invariants = (EXPLANATION / "delivery.rst").read_text(encoding="utf-8").partition("\nInvariants\n")[2]
    assert [row["number"] for row in ROWS] == [
        str(number) for number in range(1, len(re.findall(r"^#\. ", invariants, re.M)) + 1)
    ]
    assert len(ROWS) == 15


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["number"])
def test_what_a_row_names_exists(row: dict[str, str]) -> None:
    assert row["function"] in defined(TOP / "notifyflow" / row["rule"])
    assert row["test"] in defined(TOP / row["tests"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["number"])
def test_the_mutants_of_a_row_are_tested(row: dict[str, str]) -> None:
    known = re.findall(r"^   \* - (.+)\n     - \d+$", (EXPLANATION / "simulation.rst").read_text(encoding="utf-8"), re.MULTILINE)
    assert row["number"] in WITHOUT_MUTANT or set(row["mutants"].split("; ")) <= set(known)
