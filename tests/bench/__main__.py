"""Runs the measurements and writes the figures to ``docs/figures``; a section fails if it breaks a promise."""

import sys
from collections.abc import Callable, Mapping, Sequence

from tests.bench import halfopen, hostile, limits, receipts

SECTIONS: Mapping[str, Callable[[], int]] = {
    "limits": limits.main,
    "receipts": receipts.main,
    "hostile": hostile.main,
    "halfopen": halfopen.main,
}


def main(wanted: Sequence[str]) -> int:
    if unknown := set(wanted) - SECTIONS.keys():
        sys.stderr.write(f"There is no {', '.join(sorted(unknown))}. Sections: {', '.join(SECTIONS)}\n")
        return 2
    return max([SECTIONS[name]() for name in wanted or SECTIONS])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
