"""The fragments of the next changelog."""

import tomllib
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
KINDS = {kind["directory"] for kind in tomllib.loads((TOP / "towncrier.toml").read_text())["tool"]["towncrier"]["type"]}
FRAGMENTS = sorted(path for path in (TOP / "changes").iterdir() if path.name != "README.rst")


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda path: path.name)
def test_a_fragment_of_the_changelog_is_of_a_known_kind_and_one_paragraph(fragment: Path) -> None:
    name, kind, ending = fragment.name.split(".")
    assert (kind in KINDS, ending) == (True, "rst")
    assert name.startswith("+") or name.isdecimal()
    assert "\n\n" not in fragment.read_text().strip()
