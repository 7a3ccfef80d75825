"""Names each bound of setup.cfg that admits a version with a hole of known-holes.toml, and each pin that is one; 1 if any."""

import configparser
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP = Path(__file__).parents[2]

Hole = Mapping[str, str]


def known() -> Sequence[Hole]:
    """Read the list of holes."""
    holes: Sequence[Hole] = tomllib.loads((TOP / "known-holes.toml").read_text())["hole"]
    return holes


def bounds() -> Iterator[Requirement]:
    """Read what setup.cfg requires, with its extras."""
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg")
    for text in (setup["options"]["install_requires"], *setup["options.extras_require"].values()):
        yield from _requirements(text)


def pins() -> Iterator[Requirement]:
    """Read what constraints.txt pins."""
    return _requirements((TOP / "constraints.txt").read_text())


def _requirements(text: str) -> Iterator[Requirement]:
    return (Requirement(line) for line in text.splitlines() if line.strip() and not line.startswith("#"))


def open_holes(holes: Iterable[Hole], required: Iterable[Requirement], *, file: str) -> Iterator[str]:
    """Say which requirements admit a version with a hole, where to read of it, and what to do."""
    lowest = [(each, _lowest(each)) for each in required]
    for hole in holes:
        for each, version in lowest:
            is_it = canonicalize_name(each.name) == canonicalize_name(hole["library"])
            if is_it and (version is None or version < Version(hole["fixed_in"])):
                remedy = f"require {hole['library']}>={hole['fixed_in']}" if file == "setup.cfg" else "run scripts/lock --upgrade"
                yield f"{file}: {each} lies under {hole['id']}: {hole['hole']} ({hole['source']}). To mend it, {remedy}."


def _lowest(required: Requirement) -> Version | None:
    """Return the lowest version that a requirement admits; None if it has no lower bound."""
    found = [Version(each.version) for each in required.specifier if each.operator in (">=", "==", "~=")]
    return max(found, default=None)


if __name__ == "__main__":
    found = [*open_holes(known(), bounds(), file="setup.cfg"), *open_holes(known(), pins(), file="constraints.txt")]
    print("\n".join(found) or f"no bound and no pin lies under one of {len(known())} known holes")
    raise SystemExit(bool(found))
