"""The map of the code: what it names exists, and it names what a reader has to find."""

import re
from pathlib import Path

TOP = Path(__file__).parents[2]
MAP = (TOP / "docs" / "explanation" / "architecture.rst").read_text(encoding="utf-8").partition("\nThe map\n-------\n")[2]
ROWS = re.split(r"^   \* - ", MAP.partition("\n\nEvery transaction")[0], flags=re.MULTILINE)[2:]
THROUGH_WHICH_ANSWERS_RUN = {
    "unit",
    "sets",
    "group_commit",
    "transaction",
    "decisions",
    "tier_rules",
    "page_rules",
    "lifecycle",
    "claim",
}
SELF_EVIDENT = {"cli/demo", "cli/frame", "cli/setup", "storage/dialects", "storage/migrations", "storage/tables", "web/dashboard"}
"""Folders whose name says all that a reader looks for."""
WITHOUT_RECORD = {"The words of a message", "Diagrams"}


def paths(row: str) -> list[str]:
    return re.findall(r"``([\w/]+\.py)``", row)


def test_each_subject_has_code_tests_and_records_that_exist() -> None:
    assert len(ROWS) > 20
    for row in ROWS:
        subject = row.partition("\n")[0]
        code = [each for each in paths(row) if not each.startswith("tests/")]
        tests = [each for each in paths(row) if each.startswith("tests/")]
        assert [each for each in code if not (TOP / "notifyflow" / each).exists()] == [], subject
        assert [each for each in tests if not (TOP / each).exists()] == [], subject
        assert len(code) > 2, subject
        assert len(tests) == 1, subject
        assert "</adr/" in row or subject in WITHOUT_RECORD, subject


def test_the_modules_through_which_most_answers_run_are_on_the_map() -> None:
    shown = {part for row in ROWS for each in paths(row) for part in Path(each).with_suffix("").parts}
    assert shown >= THROUGH_WHICH_ANSWERS_RUN


def test_each_folder_is_on_the_map() -> None:
    floors = ("core", "storage", "pipeline", "service", "web", "engine", "cli")
    modules = [each for floor in floors for each in (TOP / "notifyflow" / floor).rglob("*.py") if each.name != "__init__.py"]
    assert len(modules) > 300
    folders = {str(each.parent.relative_to(TOP / "notifyflow")) for each in modules}
    shown = {str(Path(each).parent) for row in ROWS for each in paths(row)}
    assert sorted(folders - shown - SELF_EVIDENT) == []
