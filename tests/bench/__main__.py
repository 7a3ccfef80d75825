"""Runs the measurements and writes the figures to ``docs/figures``; a section fails if it breaks a promise."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.bench import awaiting, halfopen, heartbeats, hostile, limits, pages, pooler, receipts, replica
from tests.bench.cells import page as cells
from tests.bench.database import page as database
from tests.bench.storm import page as storm
from tests.bench.storm.scene import QUICK, SMALLEST
from tests.bench.throughput import page, quick
from tests.bench.throughput.scenarios import SCENARIOS

SECTIONS: Mapping[str, Callable[[], int]] = {
    "limits": limits.main,
    "receipts": receipts.main,
    "heartbeats": heartbeats.main,
    "hostile": hostile.main,
    "halfopen": halfopen.main,
    "awaiting": awaiting.main,
    "pages": pages.main,
    "pooler": pooler.main,
    "replica": replica.main,
    "storm": storm.main,
    "database": database.main,
    "cells": cells.main,
    "throughput": page.main,
}
PARTS: Mapping[str, Callable[[], int]] = {f"throughput.{name}": partial(page.main, [name]) for name in SCENARIOS}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one or more of {', '.join(SECTIONS)}; all without one")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="measure notifyflow only, beside bare loops, in about two minutes; with 'storm' a small storm",
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="with --quick: save the figures")
    parser.add_argument("--against", type=Path, metavar="FILE", help="with --quick: compare with saved figures")
    parser.add_argument("--smallest", action="store_true", help="with --quick: measure next to nothing, to see that it runs")
    given = parser.parse_args(arguments)
    if given.quick and given.sections == ["storm"]:
        return storm.main(SMALLEST if given.smallest else QUICK, is_kept=False)
    if given.quick:
        return quick.main(size=quick.SMALLEST if given.smallest else quick.Size(), save=given.save, against=given.against)
    known = {**SECTIONS, **PARTS}
    if unknown := set(given.sections) - known.keys():
        parser.error(f"There is no {', '.join(sorted(unknown))}. Sections: {', '.join(known)}")
    return max([known[name]() for name in given.sections or SECTIONS])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
