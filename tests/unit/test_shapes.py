"""The script of the shapes counts statements, and finds classes that share fields or a name."""

import ast

from tests.shapes import Shape, named_twice, pairs, read, report, shapes, statements

MODULE = '''"""A module."""
import json
from os import path

LIMIT = 3
"""A limit."""

class Row(Model):
    """A row."""

    model_config = {}
    id: str
    "The id."
    due_at = InstantField()
    LONGEST = 2
    _kept: int = 0

    def get(self):
        """Return it."""
        if self.id:
            return 1
        return 2
'''


def shape(name: str, *fields: str, place: str = "core/one.py") -> Shape:
    return Shape(name=name, place=place, fields=frozenset(fields))


def test_statements_are_counted_in_blocks_but_not_imports_and_texts() -> None:
    assert statements(ast.parse(MODULE)) == 11  # LIMIT, class, five of its body, def, if, two returns


def test_the_fields_of_a_class_are_the_names_that_its_body_declares() -> None:
    assert list(shapes(ast.parse(MODULE), "core/one.py")) == [shape("Row", "id", "due_at")]


def test_two_classes_are_a_pair_from_the_number_of_equal_fields_on() -> None:
    one, other, third = shape("One", "a", "b", "c"), shape("Other", "b", "c", "d"), shape("Third", "c")
    assert pairs([one, other, third], shared=2) == [(2, one, other)]
    assert [number for number, *_ in pairs([one, other, third], shared=1)] == [2, 1, 1]


def test_a_name_counts_twice_when_two_classes_have_it_unless_it_is_private() -> None:
    found = [shape("Page"), shape("Page", place="web/two.py"), shape("Row"), shape("_Subject"), shape("_Subject", place="x.py")]
    assert named_twice(found) == {"Page": found[:2]}


def test_the_report_has_each_floor_and_column_of_the_package() -> None:
    counted, found = read()
    text = report(counted, found)
    assert f"statements, without imports and docstrings: {counted.total()}\n" in text
    assert counted["core", "delivery"] > counted["core", "metrics"] > 0
    assert counted["settings", ""] > 0
    assert "class names that occur twice within core: " in text
    assert "pairs of classes that share 8 fields or more: " in text
    assert report(counted, found, is_brief=True).splitlines() == [line for line in text.splitlines() if not _is_listed(line)]


def _is_listed(line: str) -> bool:
    """Whether a line names classes by their modules."""
    return line.startswith("  ") and ".py" in line
