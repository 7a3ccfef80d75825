"""What a newcomer reads first is short, named where newcomers begin, and about files and functions that exist."""

import ast
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
PACKAGE = TOP / "notifyflow"
WALK = TOP / "docs" / "explanation" / "walk.rst"
PAGES = (
    TOP / "README.rst",
    TOP / "docs" / "tutorial" / "first-incident.rst",
    TOP / "docs" / "explanation" / "architecture.rst",
    WALK,
    TOP / "CONTRIBUTING.rst",
)
MOST_WORDS = 4_000
NAMING = (*PAGES[2:], TOP / "docs" / "project" / "recipes.rst", TOP / "docs" / "explanation" / "decided-against.rst")
STEPS = re.findall(r"   \* - ``([\w/]+\.py)``\n     - ``([\w.]+)``\n     - \w", WALK.read_text(encoding="utf-8"))


def words(page: Path) -> int:
    """Count everything that is read: code, tables and names, too."""
    return sum(1 for each in page.read_text(encoding="utf-8").split() if re.search(r"\w", each))


def defined(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef)
    top = [node for node in tree.body if isinstance(node, kinds)]
    return {node.name for node in top} | {
        f"{node.name}.{each.name}"
        for node in top
        if isinstance(node, ast.ClassDef)
        for each in node.body
        if isinstance(each, kinds)
    }


def test_the_reading_path_is_short() -> None:
    assert sum(map(words, PAGES)) < MOST_WORDS


@pytest.mark.parametrize("page", [PAGES[0], PAGES[-1]], ids=lambda page: page.name)
def test_the_reading_path_is_named_where_newcomers_begin(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    others = [str(each.relative_to(TOP)) for each in PAGES if each != page]
    assert [each for each in others if f" <{each}>`_" not in text] == []


@pytest.mark.parametrize(("file", "function"), STEPS, ids=" ".join)
def test_each_step_of_the_walk_is_a_function(file: str, function: str) -> None:
    assert function in defined(PACKAGE / file)


def test_the_walk_goes_from_a_call_to_an_acknowledgement() -> None:
    assert len(STEPS) == len(re.findall(r"^   \* - ``", WALK.read_text(encoding="utf-8"), re.MULTILINE)) > 25
    headings = re.findall(r"^   \* - \*\*(\w+)\*\*$", WALK.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == ["Notify", "Claim", "Send", "Record", "Receive", "Acknowledge"]


@pytest.mark.parametrize("page", NAMING, ids=lambda page: page.name)
def test_each_file_that_a_page_for_developers_names_exists(page: Path) -> None:
    named = set(re.findall(r"``((?:[\w.-]+/)+[\w.-]*)``|``([\w-]+(?:/[\w-]+)*\.py)``", page.read_text(encoding="utf-8")))
    paths = {"".join(each) for each in named} - {"notifyflow/channels/NAME.py", "docs/_build/gallery/index.html", "dist/"}
    assert [each for each in sorted(paths) if not (PACKAGE / each).exists() and not (TOP / each).exists()] == []
