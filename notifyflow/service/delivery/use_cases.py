"""Runs use cases, and reports their follow-ups."""

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from notifyflow.pipeline.transaction.ports import NOTHING, Committed, Dependencies, FollowUps
from notifyflow.pipeline.transaction.set_use_case import SetResult

Item = TypeVar("Item")
P = ParamSpec("P")
T = TypeVar("T")


class UseCases:
    """Runs use cases, and reports their follow-ups.

    Args:
        deps: The dependencies of the use cases.
        report: Logs follow-ups, and rings for due notifications.
        prepare: Makes the database ready for use; called before every use case.
    """

    def __init__(
        self, deps: Dependencies, report: Callable[[FollowUps], object], *, prepare: Callable[[], None] = lambda: None
    ) -> None:
        self.deps = deps
        self.report = report
        self.prepare = prepare

    def run(self, use_case: Callable[Concatenate[Dependencies, P], Committed[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a use case, report its follow-ups, and return its value."""
        self.prepare()
        committed = use_case(self.deps, *args, **kwargs)
        if committed.follow_ups != NOTHING:
            self.report(committed.follow_ups)
        return committed.value

    def finish(self, use_case: Callable[[Dependencies, Item], SetResult[T]], item: Item) -> T:
        """Run a use case of several transactions for one item, and return its result; what is stored is reported in any case."""
        self.prepare()
        return use_case(self.deps, item).finish(self.report)

    def commit(self, use_case: Callable[[Dependencies, Sequence[Item]], SetResult[T]], items: Sequence[Item]) -> SetResult[T]:
        """Run a use case for a set of items; the caller reports the follow-ups."""
        self.prepare()
        return use_case(self.deps, items)
