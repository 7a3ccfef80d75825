"""A package with a channel imports two modules of notifyflow: ``plugin``, and the contract for its tests."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifyflow import plugin

PACKAGE = Path(__file__).parents[3] / "examples" / "pager-channel"
FILES = sorted(PACKAGE.rglob("*.py"))
DOOR = {"notifyflow.plugin", "notifyflow.testing.channel_contract"}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        if isinstance(node, ast.ImportFrom):
            yield str(node.module)


def test_the_example_has_a_channel_and_its_tests() -> None:
    assert [str(file.relative_to(PACKAGE)) for file in FILES] == ["src/pager_channel.py", "tests/test_pager_channel.py"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_example_comes_in_by_the_door_only(file: Path) -> None:
    ours = {name for name in imported(file) if name.partition(".")[0] == "notifyflow"}
    assert ours
    assert ours <= DOOR


def test_the_door_only_names_what_stands_elsewhere() -> None:
    tree = ast.parse(Path(plugin.__file__).read_text(encoding="utf-8"))
    docstring, *imports = tree.body
    assert isinstance(docstring, ast.Expr)
    named = [(each, node.module) for node in imports if isinstance(node, ast.ImportFrom) for each in node.names]
    assert len(named) == len(imports)
    for each, module in named:
        assert each.asname == each.name
        assert getattr(plugin, each.name) is getattr(importlib.import_module(str(module)), each.name)
