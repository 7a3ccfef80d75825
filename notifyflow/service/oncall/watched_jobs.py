"""Watched jobs: takes their pings, judges their deadlines, and lists them."""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial

from notifyflow.core.oncall.pings import Ping
from notifyflow.core.oncall.watched_jobs import Listening, WatchedJob
from notifyflow.errors import HeartbeatNotFound, InvalidDirectory
from notifyflow.log import get_logger
from notifyflow.pipeline.keys import note_uses
from notifyflow.pipeline.oncall import watched_jobs
from notifyflow.pipeline.oncall.watched_jobs import Counted, Pinged
from notifyflow.pipeline.transaction.group_commit import GroupCommit
from notifyflow.pipeline.transaction.ports import NOTHING
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.oncall.routes import Routes
from notifyflow.storage.store import Store

_log = get_logger("notifyflow.app")

_MOST_PINGS = 200
"""How many pings one transaction stores at most."""
_SET = 200
"""How many jobs one sweep looks at at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """A page of the watched jobs, by name.

    Attributes:
        after: The name after which the next page begins; empty if this is the last one.
    """

    jobs: Sequence[WatchedJob]
    after: str


class JobWatch:
    """The watched jobs of the directory; threads may share it.

    Args:
        store: The database.
        use_cases: Runs use cases.
        routes: The routes of the incidents.
        monitor: The lock on which the threads wait for each other.
    """

    def __init__(
        self,
        store: Store,
        use_cases: UseCases,
        routes: Routes,
        *,
        monitor: Callable[[], AbstractContextManager[bool]] = threading.Condition,
    ) -> None:
        self._store = store
        self._use_cases = use_cases
        self._routes = routes
        receive = partial(watched_jobs.receive, note_uses=note_uses)
        self._pings: GroupCommit[Pinged, Counted] = GroupCommit(
            partial(use_cases.commit, receive), use_cases.report, most=_MOST_PINGS, monitor=monitor
        )

    def begin_anew(self) -> None:
        """Begin anew in a forked child."""
        self._pings.begin_anew()

    def receive(self, name: str, ping: Ping, method: str, *, key_id: str | None = None) -> Counted:
        """Store a ping; what comes at once is committed together.

        Args:
            name: The job.
            ping: The ping.
            method: The HTTP method.
            key_id: The key whose use is to be noted; None for none.

        Raises:
            HeartbeatNotFound: When the directory declares no such job.
            StorageUnavailable: When the database does not answer in time.
        """
        pinged = Pinged(name=name, ping=ping, method=method, key_id=key_id)
        counted = self._pings.commit(pinged)
        if counted is Counted.NOT_DECLARED and self._is_declared(name):
            counted = self._pings.commit(pinged)
        if counted is Counted.NOT_DECLARED:
            raise HeartbeatNotFound(name)
        _log.info("app.ping_received", heartbeat=name, signal=ping.signal.value, counted=counted is Counted.COUNTED)
        return counted

    def _is_declared(self, name: str) -> bool:
        """Read the directory again; return whether it declares a job."""
        with suppress(InvalidDirectory):
            return name in self._routes.rosters.reread().directory.heartbeats
        return False

    def _prepare(self) -> None:
        """Store the jobs of the directory, if it has changed."""
        self._use_cases.prepare()
        with suppress(InvalidDirectory):
            self._routes.rosters.current()

    def sweep(self) -> None:
        """Judge the deadlines that have passed, and open and resolve the incidents of jobs.

        Raises:
            StorageUnavailable: When the database does not answer in time.
        """
        now = self._use_cases.deps.clock.now()
        self._use_cases.prepare()
        if not (awake := self._store.read(lambda reads: reads.watched_jobs.awake(now=now, limit=_SET))):
            return
        done = self._use_cases.commit(watched_jobs.sweep, self._routes.of_jobs(awake))
        if done.follow_ups != NOTHING:
            self._use_cases.report(done.follow_ups)
        if done.interruption is not None:
            raise done.interruption
        for error in done.results:
            if error is not None:
                _log.error("app.heartbeat_broke", error=type(error).__name__)

    def page(self, namespaces: frozenset[str] | None, *, after: str, limit: int) -> JobPage:
        """Return a page of the watched jobs of some namespaces.

        Args:
            namespaces: None for all.
            after: The name after which it begins; empty for the first page.
            limit: How many jobs it has at most.
        """
        self._prepare()
        jobs = self._store.read(lambda reads: reads.watched_jobs.page(namespaces, after=after, limit=limit + 1))
        return JobPage(jobs=jobs[:limit], after=jobs[limit - 1].name if len(jobs) > limit else "")

    def unwell(self, namespaces: frozenset[str] | None, *, limit: int) -> Sequence[WatchedJob]:
        """Return the watched jobs of some namespaces that were missed, failed or are unknown, the newest first."""
        self._prepare()
        return self._store.read(lambda reads: reads.watched_jobs.unwell(namespaces, limit=limit))

    def find(self, name: str) -> WatchedJob | None:
        """Return a watched job that the directory declares, or None."""
        self._prepare()
        return self._store.read(lambda reads: reads.watched_jobs.find(name))

    def note_listening(self) -> None:
        """Note that this process can store pings; raise ``StorageUnavailable`` if it cannot."""
        self._prepare()
        watched_jobs.note_listening(self._use_cases.deps)

    def all(self) -> tuple[Sequence[WatchedJob], Listening]:
        """Return all watched jobs by name, and whether pings can be stored now."""
        self._prepare()
        now = self._use_cases.deps.clock.now()
        return self._store.read(lambda reads: (reads.watched_jobs.all(), reads.watched_jobs.listening(since=now)))
