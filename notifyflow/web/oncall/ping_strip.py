"""Draws the last pings of a watched job as a strip, the newest at the right.

Each kind of ping has a shape of its own, by its height and place, so that no reader depends on colours, also on a narrow screen.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.oncall.pings import SHOWN, Mark

SLOT, HEIGHT = 6, 20
WIDTH = SHOWN * SLOT
_SHAPES: Mapping[Mark, str] = {
    Mark.ON_TIME: "M{x} 1h4v18h-4z",
    Mark.LATE: "M{x} 10h4v9h-4z",
    Mark.FAILED: "M{x} 1h4v9h-4z",
    Mark.MISSED: "M{x} 1h4v5h-4zM{x} 14h4v5h-4z",
    Mark.UNKNOWN: "M{x} 8h4v4h-4z",
    Mark.STARTED: "M{x} 15l4 2l-4 2z",
    Mark.LOGGED: "M{x} 17h2v2h-2z",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A strip of pings.

    Attributes:
        paths: The shapes of each kind: its class → an SVG path.
        words: The same in words.
    """

    paths: Mapping[str, str]
    words: str


def strip(entries: Sequence[tuple[datetime, Mark]]) -> Strip:
    """Return the strip of the last pings, the oldest first."""
    paths: dict[str, str] = {}
    begin = (SHOWN - len(entries)) * SLOT
    for number, (_, mark) in enumerate(entries):
        paths[_class(mark)] = paths.get(_class(mark), "") + _SHAPES[mark].format(x=begin + number * SLOT + 1)
    counts = Counter(mark for _, mark in entries)
    found = ", ".join(f"{counts[mark]} {mark.value}" for mark in Mark if counts[mark])
    return Strip(paths=paths, words=f"The last pings: {found}" if found else "No ping yet")


def legend() -> Sequence[tuple[str, str, str]]:
    """Return each kind of ping with its class and its shape alone."""
    return [(mark.value, _class(mark), _SHAPES[mark].format(x=1)) for mark in Mark]


def _class(mark: Mark) -> str:
    return mark.value.replace(" ", "-")
