"""The fair queue of namespaces: start-time fair queueing, in which each row costs the same; pure.

The virtual start of a namespace is the number of rows it was served; the lowest goes next. A namespace that was idle starts at
most one row behind the furthest one, so that idleness saves nothing up.
"""

import heapq
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def starts(served: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    """Return the virtual start of each namespace with due notifications, by the rows that each was served."""
    floor = max(0, max(served.get(name, 0) for name in names) - 1)
    return {name: max(floor, served.get(name, 0)) for name in names}


def slots_of_each(virtual_starts: Mapping[str, int], slots: int) -> dict[str, int]:
    """Give slots to namespaces in turn; return how many each gets. Namespaces without a slot are left out."""
    queue = [(start, name) for name, start in virtual_starts.items()]
    heapq.heapify(queue)
    granted: dict[str, int] = {}
    for _ in range(slots):
        start, name = queue[0]
        granted[name] = granted.get(name, 0) + 1
        heapq.heapreplace(queue, (start + 1, name))
    return granted


def in_order(virtual_starts: Mapping[str, int], picked: Mapping[str, Sequence[T]]) -> list[T]:
    """Merge the picked items of each namespace into the order of the queue; each namespace keeps its order."""
    queue = [(virtual_starts[name] + number, name, each) for name, some in picked.items() for number, each in enumerate(some)]
    return [each for _, _, each in sorted(queue, key=lambda queued: queued[:2])]
