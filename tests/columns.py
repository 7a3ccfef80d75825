"""Floors are layers, and columns are subjects, which have the same name on every floor; read from the imports.

A module's column is the folder of its floor that it stands in. A column of one or two modules on a floor has no folder there:
``ALONE`` names them. ``python -m tests.columns`` prints circles, imports against the order, and how much imports what.
"""

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pkgutil import iter_modules

import notifyflow

PACKAGE = Path(notifyflow.__file__).parent
FLOORS = ("core", "storage", "pipeline", "service", "web", "engine", "cli")
OWN = "itself"
WHOLE = "whole"
ORDER = (
    ("delivery",),
    ("limits",),
    ("messages",),
    ("intake",),
    ("oncall", "accounts", "insight", "metrics"),
    ("upkeep",),
    ("diagrams",),
)
"""The columns: each imports those before it; those of one line do not import each other."""

OWN_FOLDERS = {
    "storage": {"dialects", "tables", "session", "migrations"},
    "pipeline": {"transaction"},
    "web": {"frame"},
    "engine": {"broker"},
    "cli": {"frame", "demo", "setup"},
}
"""The folders of the floors' own files, which every column may import."""

WHOLES = {
    "storage": {"store", "ledger", "reads"},
    "service": {"service", "lists"},
    "web": {"application", "home"},
    "engine": {"engine"},
    "cli": {"commands"},
}
"""What puts a floor together; nothing else on the floor imports it."""

ALONE = {
    "storage": {"inbound_log": "intake", "keys": "accounts", "users": "accounts"},
    "pipeline": {
        "rollup": "metrics",
        "inbound": "intake",
        "keys": "accounts",
        "next_events": "insight",
        "replies": "intake",
        "users": "accounts",
    },
    "service": {
        "duty_warnings": "upkeep",
        "health": "insight",
        "integrations": "intake",
        "rehearsals": "upkeep",
        "silences": "limits",
    },
    "web": {
        "health": "upkeep",
        "health_page": "upkeep",
        "integrations": "intake",
        "login": "accounts",
        "silences": "limits",
    },
    "cli": {"keys": "accounts", "pauses": "limits", "silences": "limits", "users": "accounts"},
}
"""The columns of modules that stand alone on their floor."""

_RANK = {OWN: 0, **{column: rank for rank, columns in enumerate(ORDER, 1) for column in columns}, WHOLE: len(ORDER) + 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """One module that imports another one of its floor.

    Attributes:
        floor: The floor.
        column: The column of the module that imports.
        to_column: The column of the module that is imported.
        module: The module that imports, by its dotted name below the floor.
        to_module: The module that is imported.
    """

    floor: str
    column: str
    to_column: str
    module: str
    to_module: str

    @property
    def is_across(self) -> bool:
        """Whether it leads from one column to another; the floor's own files are no column."""
        return self.column != self.to_column and OWN not in (self.column, self.to_column)

    @property
    def is_against_the_order(self) -> bool:
        """Whether it leads to a column that does not stand before its own."""
        return self.column != self.to_column and _RANK[self.to_column] >= _RANK[self.column]

    def __str__(self) -> str:
        return f"{self.floor}: {self.column} → {self.to_column}: {self.module} → {self.to_module}"


def sources(*folder: str) -> list[Path]:
    """Return the modules of a folder of the package, those of its subfolders too, and check that none is missed."""
    top = PACKAGE.joinpath(*folder)
    found = sorted(top.rglob("*.py"))
    number = _importable(top)
    assert len(found) == number, f"{top}: {len(found)} files, {number} modules; is an __init__.py missing?"
    return found


def _importable(folder: Path) -> int:
    """Count a package and what can be imported from it."""
    inside = iter_modules([str(folder)])
    return 1 + sum(_importable(folder / each.name) if each.ispkg else 1 for each in inside)


def dotted(path: Path) -> str:
    """Return the name of a module of the package."""
    parts = ("notifyflow", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def column_of(floor: str, parts: tuple[str, ...]) -> str:
    """Return the column of a module, given by the parts of its name below its floor."""
    first = parts[0] if parts else ""  # the floor's own package imports what it offers
    if first in OWN_FOLDERS.get(floor, ()):
        return OWN
    if len(parts) > 1 or first in _RANK:
        return first if first in _RANK else OWN
    if not first or first in WHOLES.get(floor, ()):
        return WHOLE
    return ALONE.get(floor, {}).get(first, OWN)


def imported(tree: ast.AST, modules: Mapping[str, object]) -> Iterator[str]:
    """Name the modules of the package that a module imports, each import once, wherever it stands."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (each.name for each in names if each.name in modules)
            case ast.ImportFrom(module=str(module), names=names):
                named = (f"{module}.{each.name}" for each in names)
                yield from (name for each in named if (name := each if each in modules else module) in modules)


def arrows() -> list[Arrow]:
    """Return each import of one module of a floor by another one, once."""
    paths = {dotted(path): path for path in sources()}
    places = {name: _place(path) for name, path in paths.items()}
    found = set()
    for name, path in paths.items():
        floor, parts = places[name]
        for other in imported(ast.parse(path.read_text(encoding="utf-8")), paths):
            to_floor, to_parts = places[other]
            if floor == to_floor in FLOORS and parts != to_parts:
                columns = column_of(floor, parts), column_of(floor, to_parts)
                ends = ".".join(parts), ".".join(to_parts)
                found.add((floor, *columns, *ends))
    return [
        Arrow(floor=floor, column=column, to_column=to_column, module=module, to_module=to_module)
        for floor, column, to_column, module, to_module in sorted(found)
    ]


def _place(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the floor of a module, and the parts of its name below it."""
    floor, *names = (*dotted(path).split(".")[1:], "")
    return floor, tuple(name for name in names if name)


def ledger_reads() -> list[Arrow]:
    """Return each repository of the ledger that a module of the pipeline reaches through its transaction, which no import shows.

    The part counts as of its column in storage; what runs transactions reaches the parts of delivery as well.
    """
    paths = {dotted(path): path for path in sources("storage")}
    tree = ast.parse(paths["notifyflow.storage.ledger"].read_text(encoding="utf-8"))
    homes = {each.name: node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for each in node.names}
    parts = {
        target.attr: _place(paths[homes[name]])[1]
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Attribute)
        if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and (name := node.value.func.id) in homes
    }
    found = set()
    for path in sources("pipeline"):
        module = _place(path)[1]
        column = column_of("pipeline", module)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in parts and _name(node.value) == "ledger":
                part = parts[node.attr]
                found.add(("delivery" if column == OWN else column, column_of("storage", part), ".".join(module), ".".join(part)))
    return [
        Arrow(floor="pipeline", column=column, to_column=to_column, module=module, to_module=f"storage.{part}")
        for column, to_column, module, part in sorted(found)
    ]


def _name(node: ast.expr) -> str:
    """Return the last name of a dotted expression."""
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name.lstrip("_")
    return ""


def circles(found: list[Arrow]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the columns of each floor that import each other, directly or through others."""
    reached: dict[tuple[str, str], set[str]] = defaultdict(set)
    for each in found:
        if each.column != each.to_column:
            reached[each.floor, each.column].add(each.to_column)
    is_growing = True
    while is_growing:
        is_growing = False
        for (floor, _), columns in list(reached.items()):
            more = set().union(*(reached.get((floor, column), ()) for column in columns)) - columns
            is_growing = is_growing or bool(more)
            columns |= more
    rings = {
        (floor, tuple(sorted(other for other in columns if column in reached.get((floor, other), ()))))
        for (floor, column), columns in reached.items()
        if column in columns
    }
    return sorted(rings)


def folders() -> dict[str, int]:
    """Return the folders of the floors, and how many modules stand in each, its subfolders not counted."""
    counted: Counter[str] = Counter()
    for path in sources():
        floor, parts = _place(path)
        if floor in FLOORS and path.name != "__init__.py":
            counted["/".join((floor, *parts[:-1]))] += 1
    return dict(sorted(counted.items()))


def report(found: list[Arrow], read: list[Arrow], modules: Mapping[str, int]) -> str:
    """Say how many imports each floor has, how many modules each folder, and which imports go round or against the order."""
    rings, against, later = circles(found), *([each for each in some if each.is_against_the_order] for some in (found, read))
    lines = ["floor         imports   of the floor's own   across columns"]
    for floor in FLOORS:
        ours = [each for each in found if each.floor == floor]
        of_own, across = sum(each.to_column == OWN for each in ours), sum(each.is_across for each in ours)
        lines.append(f"{floor:12} {len(ours):8} {of_own:20} {across:16}")
    lines += ["", "modules a folder", *(f"{folder:28} {number:3}" for folder, number in modules.items()), ""]
    lines += [f"circles between columns: {len(rings)}", *(f"  {floor}: {', '.join(ring)}" for floor, ring in rings)]
    lines += [f"imports against the order: {len(against)}", *(f"  {each}" for each in against)]
    return "\n".join([*lines, f"repositories of a later column: {len(later)}", *(f"  {each}" for each in later)])


def main() -> int:
    """Print the figures; return 1 if there is a circle, or an import against the order."""
    found, read = arrows(), ledger_reads()
    sys.stdout.write(report(found, read, folders()) + "\n")
    return int(bool(circles(found)) or any(each.is_against_the_order for each in (*found, *read)))


if __name__ == "__main__":
    sys.exit(main())
