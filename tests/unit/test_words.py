"""The page of words lists the class names that occur twice, and every word that was renamed."""

import csv
import re
from pathlib import Path

from tests.shapes import named_twice, read

PROJECT = Path(__file__).parents[2] / "docs" / "project"


def test_the_class_names_that_occur_twice_are_listed_with_their_meanings() -> None:
    _, found = read()
    twice = named_twice(each for each in found if not each.place.startswith("sandbox/"))
    page = (PROJECT / "words.rst").read_text(encoding="utf-8")
    assert re.findall(r"^   \* - ``(\w+)``$", page, re.MULTILINE) == sorted(twice)
    assert all(f"``{each.place}``" in page for same in twice.values() for each in same)


def test_no_class_name_occurs_twice_in_the_core() -> None:
    _, found = read()
    assert named_twice(each for each in found if each.place.startswith("core/")) == {}


def test_each_word_that_was_renamed_has_its_new_word_and_a_meaning() -> None:
    head, *rows = csv.reader((PROJECT / "renamed.csv").read_text(encoding="utf-8").splitlines())
    assert head == ["old", "new", "meaning"]
    assert [row for row in rows if len(row) != 3 or not all(row)] == []
