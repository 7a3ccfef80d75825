"""Lists the licences of the packages of an environment; 1 if one is not known to go with ours.

    pip-licenses --python=PATH --from=mixed --format=json | python scripts/lib/licences.py

What a package says of itself decides: an SPDX expression, or the classifiers of older packages.
"""

import json
import re
import sys
from collections.abc import Iterable, Mapping

PERMISSIVE = re.compile(
    r"(0BSD|Apache|BSD|CNRI-Python|ISC|MIT|PSF|Python Software Foundation|The Unlicense|Unlicense|Zlib)\b", re.IGNORECASE
)
"""Asks for a notice at most."""

WEAK = re.compile(r"(GNU Lesser General Public|LGPL|Mozilla Public|MPL)", re.IGNORECASE)
"""A changed copy that is passed on needs its source; a program that imports it may have any licence."""

SAID_ELSEWHERE = {"peewee": "MIT"}
"""Read in the licence file of a package whose metadata names none."""

Package = Mapping[str, str]


def licence_of(package: Package) -> str:
    """Return the licence of a package in its own words."""
    found = package["License"]
    return SAID_ELSEWHERE.get(package["Name"], found) if found == "UNKNOWN" else found


def is_of(licence: str, *kinds: re.Pattern[str]) -> bool:
    """Return whether a licence is of these kinds: all that hold together, and one of those to choose from."""
    return all(
        any(any(kind.match(each.strip(" ()")) for kind in kinds) for each in part.split(" OR "))
        for part in re.split(r" AND |;", licence)
    )


def table(packages: Iterable[Package]) -> str:
    """Return the licences as a table of reStructuredText: each that asks for more than a notice with its packages."""
    by_licence: dict[str, list[str]] = {}
    for package in packages:
        by_licence.setdefault(licence_of(package), []).append(package["Name"])
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 45 10 45", ""]
    for row in (("Licence", "Packages", "Which"), *(_row(*each) for each in sorted(by_licence.items(), key=_order))):
        lines += [f"   {'* -' if at == 0 else '  -'} {cell}".rstrip() for at, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def refused(packages: Iterable[Package]) -> list[str]:
    """Return the packages whose licence is of neither kind, each with it."""
    return [f"{each['Name']}: {licence_of(each)}" for each in packages if not is_of(licence_of(each), PERMISSIVE, WEAK)]


def _row(licence: str, names: list[str]) -> tuple[str, str, str]:
    return licence, str(len(names)), "" if is_of(licence, PERMISSIVE) else ", ".join(sorted(names))


def _order(found: tuple[str, list[str]]) -> tuple[int, str]:
    return -len(found[1]), found[0]


if __name__ == "__main__":
    given = json.load(sys.stdin)
    print(table(given), end="")
    if wrong := refused(given):
        sys.exit("Look at the licence of " + ", ".join(wrong))
