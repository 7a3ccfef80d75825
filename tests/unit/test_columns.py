"""The script of the columns finds what it looks for: circles, imports against the order, and modules that a folder hides."""

import ast
from pathlib import Path

import pytest

from tests import columns
from tests.columns import OWN, WHOLE, Arrow, arrows, circles, column_of, folders, imported, ledger_reads, sources


def arrow(column: str, to_column: str, floor: str = "core") -> Arrow:
    return Arrow(floor=floor, column=column, to_column=to_column, module="one", to_module="other")


@pytest.mark.parametrize(
    ("floor", "name", "column"),
    [
        ("core", "ids", OWN),
        ("core", "delivery.chain", "delivery"),
        ("core", "intake.integrations.inbound", "intake"),
        ("service", "upkeep", "upkeep"),
        ("storage", "session.unit_of_work", OWN),
        ("storage", "users", "accounts"),
        ("storage", "ledger", WHOLE),
        ("cli", "", WHOLE),
    ],
)
def test_a_module_has_the_column_of_its_folder(floor: str, name: str, column: str) -> None:
    assert column_of(floor, tuple(name.split(".")) if name else ()) == column


@pytest.mark.parametrize(
    ("column", "to_column", "is_against"),
    [
        ("limits", "delivery", False),
        ("delivery", "delivery", False),
        ("delivery", OWN, False),
        (WHOLE, "diagrams", False),
        ("delivery", "limits", True),
        ("oncall", "accounts", True),
        (OWN, "delivery", True),
        ("upkeep", WHOLE, True),
    ],
)
def test_a_column_imports_what_stands_before_it_and_nothing_else(column: str, to_column: str, is_against: bool) -> None:
    assert arrow(column, to_column).is_against_the_order is is_against


def test_a_circle_is_found_however_many_columns_it_goes_through() -> None:
    ring = [arrow("delivery", "limits"), arrow("limits", "messages"), arrow("messages", "delivery"), arrow("intake", "limits")]
    assert circles(ring) == [("core", ("delivery", "limits", "messages"))]
    assert circles([arrow("delivery", "limits"), arrow("limits", "delivery", floor="web")]) == []


def test_an_import_is_found_in_every_form_and_place() -> None:
    text = "import a.b\nfrom a import b as c, Name\ndef f():\n    from a.b import Other\nimport elsewhere"
    assert sorted(imported(ast.parse(text), {"a": None, "a.b": None})) == ["a", "a.b", "a.b", "a.b"]


def test_every_module_is_read_and_has_one_place() -> None:
    floors = {path for floor in columns.FLOORS for path in sources(floor) if path.name != "__init__.py"}
    assert len(floors) > 300
    assert sum(folders().values()) == len(floors)
    assert len(arrows()) > 1000


def test_a_part_of_the_ledger_counts_as_of_its_column_in_storage() -> None:
    read = ledger_reads()
    assert len(read) > 100
    assert {each.to_column for each in read if each.to_module == "storage.oncall.roster"} == {"oncall"}


def test_columns_import_no_column_that_does_not_stand_before_them() -> None:
    found = arrows()
    assert circles(found) == []
    assert [str(each) for each in found if each.is_against_the_order] == []


def test_no_transaction_reaches_a_part_of_the_ledger_of_a_later_column() -> None:
    assert [str(each) for each in ledger_reads() if each.is_against_the_order] == []


def test_a_folder_that_hides_its_modules_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "PACKAGE", tmp_path)
    (tmp_path / "__init__.py").touch()
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "module.py").touch()
    with pytest.raises(AssertionError, match=r"2 files, 1 modules; is an __init__\.py missing"):
        sources()
