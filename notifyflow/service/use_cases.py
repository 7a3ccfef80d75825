"""Runs use cases, and reports what each led to."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from notifyflow.pipeline.ports import NOTHING, Committed, Consequences, Dependencies

P = ParamSpec("P")
T = TypeVar("T")


class UseCases:
    """Runs use cases, and reports what each led to.

    Args:
        deps: The dependencies of the use cases.
        report: Logs consequences, and rings for due notifications.
        prepare: Makes the database ready for use; called before every use case.
    """

    def __init__(
        self, deps: Dependencies, report: Callable[[Consequences], object], *, prepare: Callable[[], None] = lambda: None
    ) -> None:
        self.deps = deps
        self._report = report
        self.prepare = prepare

    def run(self, use_case: Callable[Concatenate[Dependencies, P], Committed[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a use case, report what it led to, and return its value."""
        return self.report(self.commit(use_case, *args, **kwargs))

    def commit(
        self, use_case: Callable[Concatenate[Dependencies, P], Committed[T]], *args: P.args, **kwargs: P.kwargs
    ) -> Committed[T]:
        """Run a use case; the caller reports what it led to."""
        self.prepare()
        return use_case(self.deps, *args, **kwargs)

    def report(self, committed: Committed[T]) -> T:
        """Report what a use case led to, and return its value."""
        if committed.consequences != NOTHING:
            self._report(committed.consequences)
        return committed.value
