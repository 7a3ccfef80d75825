"""Collects faults: the first are kept, the others counted, so that a document with many faults needs little memory."""

from collections.abc import Callable, Iterable, Iterator

from notifyflow.errors import NAMED, Fault, count_more


class Faults:
    """Faults in the order in which they were found; the first ``most`` are kept, or all if None."""

    __slots__ = ("_kept", "_more", "_most")

    def __init__(self, most: int | None = NAMED) -> None:
        self._kept: list[Fault] = []
        self._more = 0
        self._most = most

    @property
    def has_room(self) -> bool:
        """Whether the next one is kept."""
        return self._most is None or len(self._kept) < self._most

    def add(self, fault: Fault) -> None:
        """Keep a fault, or count it."""
        if self.has_room:
            self._kept.append(fault)
        else:
            self._more += fault.count

    def add_all(self, faults: Iterable[Fault]) -> None:
        """Keep or count each of them."""
        for fault in faults:
            self.add(fault)

    def note(self, describe: Callable[[], Fault]) -> None:
        """Keep or count one fault; ``describe``, which may be costly, is called only if it is kept."""
        if self.has_room:
            self._kept.append(describe())
        else:
            self._more += 1

    def count(self, more: int) -> None:
        """Count faults without descriptions."""
        self._more += more

    def __bool__(self) -> bool:
        return bool(self._kept) or self._more > 0

    def __iter__(self) -> Iterator[Fault]:
        """Yield the faults that are kept, and one that counts the others."""
        yield from self._kept
        if self._more:
            yield count_more(self._more)
