"""A fair order between namespaces: start-time fair queueing, in which each row costs one turn; pure.

A namespace has a virtual start: how many turns it has had. Whoever has had the fewest goes next. One that was away begins one
turn behind whoever is furthest, so that being away saves nothing up.
"""

import heapq
from collections.abc import Mapping, Sequence


def starts(turns: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    """Return the virtual start of each namespace that has something due.

    Args:
        turns: How many turns each had; those that are missing had none.
        names: The namespaces; at least one.
    """
    floor = max(0, max(turns.get(name, 0) for name in names) - 1)
    return {name: max(floor, turns.get(name, 0)) for name in names}


def shares(virtual_starts: Mapping[str, int], slots: int) -> dict[str, int]:
    """Share so many slots, one after the other, among namespaces; those that get none are left out."""
    line = [(start, name) for name, start in virtual_starts.items()]
    heapq.heapify(line)
    shared: dict[str, int] = {}
    for _ in range(slots):
        start, name = line[0]
        shared[name] = shared.get(name, 0) + 1
        heapq.heapreplace(line, (start + 1, name))
    return shared


def in_turn(virtual_starts: Mapping[str, int], picked: Mapping[str, Sequence[str]]) -> list[str]:
    """Merge what was picked of each namespace, in its own order, into one list by turns."""
    line = [(virtual_starts[name] + number, name, each) for name, some in picked.items() for number, each in enumerate(some)]
    return [each for _, _, each in sorted(line, key=lambda place: place[:2])]
