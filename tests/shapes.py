"""What is said twice in the package: pairs of classes that share fields, and names that several classes have.

``python -m tests.shapes`` prints both, and the statements of each package and column; ``--brief`` leaves out the lists. They are
read from the source, and are figures to compare: nothing fails on them.
"""

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

from tests.columns import FLOORS, OWN, PACKAGE, WHOLE, column_of, sources

SHARED = 8
"""The number of equal fields from which on two classes are printed."""

_NAMES = {OWN: "its own", WHOLE: "whole"}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One class of the package.

    Attributes:
        place: Its module, as a path below the package.
        fields: The fields that its body declares, inherited ones left out.
    """

    name: str
    place: str
    fields: frozenset[str]

    def __str__(self) -> str:
        return f"{self.place}:{self.name}"


def statements(tree: ast.AST) -> int:
    """Count the statements of a module, those in blocks too; without imports, and texts that stand alone (docstrings)."""
    return sum(isinstance(node, ast.stmt) and not isinstance(node, _IMPORTS) and not _is_text(node) for node in ast.walk(tree))


def _is_text(node: ast.stmt) -> bool:
    """Say whether a statement is a docstring of a module, class, function, attribute or constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def shapes(tree: ast.AST, place: str) -> Iterator[Shape]:
    """Yield the classes of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield Shape(name=node.name, place=place, fields=frozenset(_fields(node)))


def _fields(found: ast.ClassDef) -> Iterator[str]:
    """Yield the fields that a class declares: annotated or assigned in its body, in small letters, and not private."""
    for statement in found.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                if name.islower() and not name.startswith("_") and name != "model_config":
                    yield name


def pairs(found: Iterable[Shape], shared: int = SHARED) -> list[tuple[int, Shape, Shape]]:
    """Return the pairs of classes that share as many fields, with their number, the most first."""
    every = ((len(one.fields & other.fields), one, other) for one, other in combinations(found, 2))
    return sorted((each for each in every if each[0] >= shared), key=lambda each: (-each[0], str(each[1]), str(each[2])))


def named_twice(found: Iterable[Shape]) -> dict[str, list[Shape]]:
    """Return the classes that share their name with another one, by name; private names belong to their module and may."""
    by_name = defaultdict(list)
    for each in found:
        if not each.name.startswith("_"):
            by_name[each.name].append(each)
    return {name: each for name, each in sorted(by_name.items()) if len(each) > 1}


@cache
def read() -> tuple[Counter[tuple[str, str]], list[Shape]]:
    """Return the statements of the package by floor (or package) and column, and its classes."""
    counted: Counter[tuple[str, str]] = Counter()
    found: list[Shape] = []
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        floor, *parts = path.relative_to(PACKAGE).with_suffix("").parts
        column = column_of(floor, tuple(part for part in parts if part != "__init__")) if floor in FLOORS else ""
        counted[floor, column] += statements(tree)
        found += shapes(tree, str(path.relative_to(PACKAGE)))
    return counted, found


def report(counted: Counter[tuple[str, str]], found: Sequence[Shape], *, is_brief: bool = False) -> str:
    """Print the statements, the pairs, and the names that classes share.

    Args:
        counted: The statements of each floor (or package) and column.
        found: The classes.
        is_brief: Whether pairs and names are counted only.
    """
    floors: Counter[str] = Counter()
    columns: dict[str, list[str]] = defaultdict(list)
    for (floor, column), number in sorted(counted.items()):
        floors[floor] += number
        if column and number:
            columns[floor].append(f"{_NAMES.get(column, column)} {number}")
    lines = [f"statements, without imports and docstrings: {floors.total()}"]
    lines += [f"  {floor:10} {number:5}  {', '.join(columns[floor])}".rstrip() for floor, number in floors.items()]
    both = [f"  {number} {one} · {other}" for number, one, other in pairs(found)]
    lines += [f"pairs of classes that share {SHARED} fields or more: {len(both)}", *(() if is_brief else both)]
    for where, some in (
        ("within core", [each for each in found if each.place.startswith("core/")]),
        ("outside the sandbox", [each for each in found if not each.place.startswith("sandbox/")]),
    ):
        twice = [f"  {name}: {', '.join(each.place for each in same)}" for name, same in named_twice(some).items()]
        lines += [f"class names that occur twice {where}: {len(twice)}", *(() if is_brief else twice)]
    return "\n".join(lines)


def main() -> None:
    """Print the figures."""
    sys.stdout.write(report(*read(), is_brief="--brief" in sys.argv[1:]) + "\n")


if __name__ == "__main__":
    main()
