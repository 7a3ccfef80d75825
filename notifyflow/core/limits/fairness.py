"""A fair order between namespaces: start-time fair queueing, in which each row costs one turn; pure.

The virtual start of a namespace is the number of turns it has had; the lowest goes next. A namespace that was idle starts at
most one turn behind the furthest one, so that idleness saves up no turns.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def starts(turns: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    """Return the virtual start of each namespace with due notifications, by the turns that each has had."""
    floor = max(0, max(turns.get(name, 0) for name in names) - 1)
    return {name: max(floor, turns.get(name, 0)) for name in names}


def shares(virtual_starts: Mapping[str, int], slots: int) -> dict[str, int]:
    """Share slots among namespaces by turns; return how many each gets, without those that get none."""
    line = [(start, name) for name, start in virtual_starts.items()]
    heapq.heapify(line)
    shared: dict[str, int] = {}
    for _ in range(slots):
        start, name = line[0]
        shared[name] = shared.get(name, 0) + 1
        heapq.heapreplace(line, (start + 1, name))
    return shared


def in_turn(virtual_starts: Mapping[str, int], picked: Mapping[str, Sequence[T]]) -> list[T]:
    """Merge the picked items of each namespace into one list by turns; each namespace keeps its order."""
    line = [(virtual_starts[name] + number, name, each) for name, some in picked.items() for number, each in enumerate(some)]
    return [each for _, _, each in sorted(line, key=lambda place: place[:2])]
