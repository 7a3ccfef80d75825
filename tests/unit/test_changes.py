"""The fragments of the next changelog."""

import re
import tomllib
from pathlib import Path

TOP = Path(__file__).parents[2]
KINDS = {kind["directory"] for kind in tomllib.loads((TOP / "towncrier.toml").read_text())["tool"]["towncrier"]["type"]}
FRAGMENTS = sorted(path for path in (TOP / "changes").iterdir() if path.name != "README.rst")


def test_each_fragment_of_the_changelog_is_of_a_known_kind_and_one_paragraph() -> None:
    for fragment in FRAGMENTS:
        name, kind, ending = fragment.name.split(".")
        assert (kind in KINDS, ending) == (True, "rst"), fragment.name
        assert name.startswith("+") or name.isdecimal(), fragment.name
        assert "\n\n" not in fragment.read_text().strip(), fragment.name


def test_the_changelog_begins_with_the_newest_version_and_says_what_the_first_one_does_promises_and_lacks() -> None:
    page = (TOP / "docs" / "changelog.rst").read_text(encoding="utf-8")
    sections = page.partition(".. towncrier release notes start\n")[2]
    first = re.search(r"^0\.1\.0 \((?:not released|\d{4}-\d\d-\d\d)\)\n-+\n", sections, re.MULTILINE)
    assert first
    headings = re.findall(r"^(.+)\n~+$", sections[first.start() :], re.MULTILINE)
    assert headings == ["What it does", "What it promises", "What it lacks"]
