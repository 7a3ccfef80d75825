"""Remembers how many items of a use case one transaction may take under contention."""


class Pressure:
    """The sizes of sets in one process, by use case; unlimited until one meets a lock, a deadlock or the end of its time.

    Threads share it without a lock: if two note something at once, one note may be lost, and the next set notes it again.
    """

    def __init__(self) -> None:
        self._most: dict[str, int] = {}

    def most(self, use_case: str, wanted: int) -> int:
        """Return how many of the wanted items a transaction may take."""
        return min(wanted, self._most.get(use_case, wanted))

    def met(self, use_case: str, count: int) -> None:
        """Note that ``count`` items failed: the next transaction takes half as many."""
        if count > 1:
            self._most[use_case] = self.most(use_case, count // 2)

    def passed(self, use_case: str, count: int) -> None:
        """Note that ``count`` items passed: if no more were allowed, the next transaction may take twice as many."""
        if count >= self.most(use_case, count + 1):
            self._most[use_case] = 2 * count
