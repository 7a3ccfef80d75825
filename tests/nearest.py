"""Orders the test files by how few imports lie between them and what has changed.

``python -m tests.nearest [BASE]`` compares the files with a commit (HEAD unless given). It prints the test files to which imports
lead, the nearest first, and says on standard error how many it leaves out. It names no module: the order follows from the tree.
"""

import ast
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
PACKAGES = ("notifyflow", "tests")
MOST_FILES = 120
"""More take longer to collect, and are not reached in the time that ``scripts/test --changed`` has."""

SUITES = ("unit", "integration", "security", "acceptance", "simulation", "chaos")
"""The suites in the order in which ``scripts/test`` runs them."""

_WALKING = frozenset({"glob", "rglob", "walk_packages", "iter_modules"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a module refers to.

    Attributes:
        imports: The modules that it imports, and those that its texts name.
        files: The names of files that stand in its texts.
        is_walking: Whether it reads whole folders.
    """

    imports: frozenset[str]
    files: frozenset[str]
    is_walking: bool


def read(text: str, modules: Collection[str]) -> Source:
    """Return what a module's text refers to; of ``from a import b`` it is a.b if there is such a module, and otherwise a."""
    imports, files, is_walking = set(), set(), False
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import():
                imports.update(each.name for each in node.names)
            case ast.ImportFrom(module=str(module)):
                parts = {f"{module}.{each.name}" for each in node.names}
                imports.update(part if part in modules else module for part in parts)
            case ast.Constant(value=str(value)) if "." in value and "\n" not in value:
                imports.add(value)
                if value.endswith("."):  # the beginning of a name that is completed when it runs
                    imports.update(each for each in modules if each.startswith(value))
                files.add(PurePosixPath(value).name)
            case ast.Call(func=ast.Attribute(attr=name)) if name in _WALKING:
                is_walking = True
    return Source(imports=frozenset(imports & set(modules)), files=frozenset(files), is_walking=is_walking)


class Tree:
    """The modules of a folder, and who imports whom; paths are relative to it."""

    def __init__(self, root: Path) -> None:
        found = (path for package in PACKAGES for path in sorted((root / package).rglob("*.py")))
        paths = [path.relative_to(root).as_posix() for path in found]
        self._names = {_name(path): path for path in paths}
        self._sources = {path: read((root / path).read_text(), self._names) for path in paths}
        self._importers: dict[str, set[str]] = defaultdict(set)
        for path, source in self._sources.items():
            for each in [*(self._names[name] for name in source.imports), *self._conftests(path)]:
                self._importers[each].add(path)

    @property
    def modules(self) -> list[str]:
        """All modules."""
        return list(self._sources)

    @property
    def tests(self) -> list[str]:
        """The test files of all suites."""
        return [path for path in self._sources if suite_of(path) and PurePosixPath(path).name.startswith("test_")]

    def nearest(self, changed: Iterable[str]) -> list[str]:
        """Return the test files that imports lead to from changed files, in this order.

        First come those that have changed and those with the name of a changed module (``test_NAME….py``). Then come those that
        import one, and unit tests that read whole folders; then those that are two imports away, and so on. Among equally near
        files, those of the first suite come first, and within a suite those that import the least.
        """
        changed = set(changed)
        distances = self.distances(changed)
        named = tuple(f"test_{_name(path).rpartition('.')[2]}{end}" for path in changed if path.endswith(".py") for end in "._")
        for path in self.tests:
            if PurePosixPath(path).name.startswith(named):
                distances[path] = 0
            elif changed and self._sources[path].is_walking and suite_of(path) == SUITES[0]:
                distances[path] = min(distances.get(path, 1), 1)
        found = [path for path in self.tests if path in distances]
        return sorted(
            found, key=lambda path: (distances[path], SUITES.index(suite_of(path)), len(self._sources[path].imports), path)
        )

    def distances(self, changed: Iterable[str]) -> dict[str, int]:
        """Count the imports between each module and the nearest change."""
        distances, now, distance = {}, {path for each in changed for path in self._begin(each)}, 0
        while now:
            distances.update(dict.fromkeys(now, distance))
            now = {importer for path in now for importer in self._importers[path]} - distances.keys()
            distance += 1
        return distances

    def _begin(self, path: str) -> Collection[str]:
        """Return the modules that stand for a file: itself, or those that name it, or else those of its folder in a package."""
        if path in self._sources or path.endswith(".py"):
            return {path}
        name = PurePosixPath(path).name
        if naming := {each for each, source in self._sources.items() if name in source.files}:
            return naming
        for folder in PurePosixPath(path).parents[:-1]:
            if inside := {each for each in self._sources if PurePosixPath(each).parent == folder}:
                return inside
        return ()

    def _conftests(self, path: str) -> Iterator[str]:
        """Find the files from which a test gets fixtures without an import."""
        if suite_of(path) and not path.endswith("conftest.py"):
            for folder in PurePosixPath(path).parents[:-1]:
                if (conftest := f"{folder}/conftest.py") in self._names.values():
                    yield conftest


def suite_of(path: str) -> str:
    """Return the suite that a file belongs to, or an empty text."""
    parts = PurePosixPath(path).parts
    return parts[1] if parts[0] == "tests" and len(parts) > 2 and parts[1] in SUITES else ""


def left_out(tests: Sequence[str], chosen: Collection[str]) -> str:
    """Say how many test files of each suite are not among those that were chosen."""
    of_suite, missing = (Counter(map(suite_of, paths)) for paths in (tests, (path for path in tests if path not in chosen)))
    return ", ".join(f"{missing[suite]} of {of_suite[suite]} in {suite}" for suite in SUITES if missing[suite]) or "none"


def changes(root: Path, base: str) -> list[str]:
    """Return the files that differ from a commit, deleted and new ones included."""
    commands = (["diff", "--name-only", "--no-renames", base, "--"], ["ls-files", "--others", "--exclude-standard"])
    return sorted({path for command in commands for path in _git(root, command)})


def _git(root: Path, command: Sequence[str]) -> Sequence[str]:
    done = subprocess.run(["git", "-C", str(root), "-c", "core.quotePath=false", *command], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(
            f"Git cannot say what has changed. Name a commit that it knows: {done.args[-2]!r} is none, or this is no clone."
        )
    return done.stdout.splitlines()


def _name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def main(base: str = "HEAD") -> None:
    """Print the test files, the nearest first."""
    changed, tree = changes(ROOT, base), Tree(ROOT)
    near = tree.nearest(changed)
    chosen = near[:MOST_FILES]
    more = f" and {len(changed) - 10} more" if len(changed) > 10 else ""
    sys.stderr.write(f"Changed: {', '.join(changed[:10]) or 'nothing'}{more}.\n")
    sys.stderr.write(f"Test files to which no import leads from there: {left_out(tree.tests, near)}.\n")
    sys.stderr.write(f"Test files that are farther than the nearest {MOST_FILES}: {left_out(near, chosen)}.\n")
    sys.stdout.writelines(f"{path}\n" for path in chosen)


if __name__ == "__main__":
    main(*sys.argv[1:])
