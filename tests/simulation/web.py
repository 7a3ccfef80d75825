"""The web service's process: what its threads submit and receive is committed together, as ``service`` does it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from notifyflow.core.delivery.model import Receipt
from notifyflow.engine.reporter import Reporter
from notifyflow.pipeline.delivery.notify import Submitted
from notifyflow.pipeline.delivery.receive import Bundled, Received, apply_to_all, receive_all
from notifyflow.pipeline.transaction.group_commit import GroupCommit
from notifyflow.pipeline.transaction.ports import Dependencies, ReceiptMatch
from notifyflow.pipeline.transaction.set_use_case import SetResult
from notifyflow.service.delivery.submissions import Submissions
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.service import MOST_RECEIPTS, SUBMIT_WITHIN_S
from tests.simulation.database import SimulatedDatabase
from tests.simulation.namespaces import Namespaces
from tests.simulation.world import Deadline, Monitor, World


class Web:
    """What the threads of one web process share, from its start to its end."""

    def __init__(
        self, world: World, database: SimulatedDatabase, namespaces: Namespaces, deps: Dependencies, reporter: Reporter
    ) -> None:
        self._world = world
        self._use_cases = use_cases = _UseCases(namespaces, deps, reporter.report)
        monitor = partial(Monitor, world)
        self._submissions = Submissions(use_cases, within=database.within, monitor=monitor)
        self._receipts: GroupCommit[Received, ReceiptMatch | Bundled] = GroupCommit(
            partial(use_cases.commit, receive_all), reporter.report, most=MOST_RECEIPTS, monitor=monitor
        )

    def submit(self, submitted: Submitted) -> str:
        """Store a submission; return its incident's id."""
        return self._submissions.store(submitted, Deadline(self._world, SUBMIT_WITHIN_S)).incident_id

    def receive(self, receipt: Receipt) -> None:
        """Store and apply a receipt."""
        stored = self._receipts.commit(Received(receipt, raw=""))
        if isinstance(stored, Bundled):
            self._use_cases.finish(apply_to_all, stored)


class _UseCases(UseCases):
    """Runs sets of submissions in their namespaces."""

    def __init__(self, namespaces: Namespaces, deps: Dependencies, report: Callable[..., object]) -> None:
        super().__init__(deps, report)
        self._namespaces = namespaces

    def commit(self, use_case: Callable[[Dependencies, Sequence[Any]], SetResult[Any]], items: Sequence[Any]) -> SetResult[Any]:
        named = {each.namespace for each in items if isinstance(each, Submitted)}
        with self._namespaces.acting(named.pop() if len(named) == 1 else None):
            return super().commit(use_case, items)
