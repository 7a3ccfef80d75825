"""Delivery in this process: the engine if it delivers by itself, or the bell that rings for workers elsewhere."""

import atexit
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING

from notifyflow.app.database import Database
from notifyflow.app.forks import FORKED
from notifyflow.app.others import Others, observe
from notifyflow.channels.aws.sqs import FeedbackQueue
from notifyflow.channels.base import Channel
from notifyflow.channels.calendars import CalendarClient
from notifyflow.channels.monitor import Monitor
from notifyflow.channels.registry import load
from notifyflow.core.delivery.ports import Bell
from notifyflow.engine.heartbeat import Heartbeat
from notifyflow.engine.recall import Recaller
from notifyflow.engine.reporter import Reporter
from notifyflow.engine.watch_loops import NOTE_EVERY, SWEEP_EVERY, WatchLoop
from notifyflow.errors import Fault, StorageUnavailable
from notifyflow.log import get_logger
from notifyflow.pipeline.transaction.ports import Dependencies, FollowUps
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.oncall.roster import Rosters
from notifyflow.service.oncall.watched_jobs import JobWatch
from notifyflow.service.replica import Replica
from notifyflow.settings import Settings

if TYPE_CHECKING:
    from notifyflow.engine.broker.brokers import BrokerBell, Doorbell, EmbeddedBroker
    from notifyflow.engine.engine import EmbeddedEngine, Engine

_log = get_logger("notifyflow.app")

POLL_EVERY_S = 0.05
"""How often a caller that waits for a change of the database's rows reads them."""
_LIBRARIES = ("regex", "notifyflow.channels.template_folder", "structlog", "notifyflow.storage.metrics.rollup")
"""What the first text that is cut imports, the first message, line of the log, and count of the figures."""


class Runtime:
    """Starts and stops delivery in this process, and reports follow-ups to it; threads may share it, also across a fork.

    Args:
        owns_channels: Whether it closes the channels, and loads them anew in a forked child.
        owns_store: Whether it closes the database.
        bell: Rings for due notifications, and this process delivers nothing; None for the broker's.
        warnings: Faults of the settings that stop nothing; logged at a start.

    Attributes:
        others: What other processes did until this one started to deliver; None before, or if that is unknown.
        unrung: How many notifications could not be rung for, because the broker was unavailable.
    """

    _lock: threading.RLock
    _engine: "EmbeddedEngine | None"
    _listener: WatchLoop | None
    _reporter: Reporter | None
    _own_bell: "BrokerBell | None"
    others: Others | None
    unrung: int

    def __init__(
        self,
        settings: Settings,
        deps: Dependencies,
        database: Database,
        *,
        channels: Mapping[str, Channel],
        owns_channels: bool,
        owns_store: bool,
        bell: Bell | None,
        warnings: Sequence[Fault],
    ) -> None:
        self._settings = settings
        self._deps = deps
        self._database = database
        self._store = database.store
        self.channels = channels
        self._owns_channels = owns_channels
        self._owns_store = owns_store
        self._bell = bell
        self._warnings = warnings
        self._duty: tuple[UseCases, Rosters, JobWatch] | None = None
        self._replica: Replica | None = None
        self._begin()
        FORKED.add(self)

    @property
    def is_embedded(self) -> bool:
        """Whether this process delivers by itself."""
        return self._bell is None and self._settings.is_embedded

    def attend(self, use_cases: UseCases, rosters: Rosters, watched_jobs: JobWatch, replica: Replica | None) -> None:
        """Keep the roster up to date, and watch its jobs, from the start on; close the replica at the end."""
        self._duty = use_cases, rosters, watched_jobs
        self._replica = replica

    def start(self) -> None:
        """Start to deliver in this process, once; see ``NotifyFlow.start``."""
        from notifyflow.channels.http import pinning
        from notifyflow.engine.broker.brokers import EmbeddedBroker
        from notifyflow.engine.engine import EmbeddedEngine  # with dramatiq, which a process that delivers nothing does not need

        self._database.prepare()
        with self._lock:
            if self._engine is not None:
                return
            pinning.prove()
            self._import_libraries()
            self._log_warnings()
            self.others = self._observe_others()
            broker = EmbeddedBroker(middleware=[])
            self._engine = EmbeddedEngine(
                self._make_engine(broker, is_alone=True), broker, concurrency=self._settings.concurrent_sends
            )
            self._engine.start()
            atexit.register(self.close)

    def make_worker(self) -> "Doorbell":
        """Make a worker's broker, with the actors and the sweeper on it; see ``NotifyFlow.make_worker``."""
        from notifyflow.channels.http import pinning
        from notifyflow.engine.broker.brokers import make_broker
        from notifyflow.engine.engine import EngineMiddleware

        pinning.prove()
        self._import_libraries()
        broker = make_broker(self._settings.broker_url.get_secret_value())
        self._database.wait_until_prepared(time.sleep)
        self._log_warnings()
        self.others = self._observe_others()
        broker.add_middleware(EngineMiddleware(self._make_engine(broker)))
        return broker

    def report(self, follow_ups: FollowUps) -> None:
        """Log follow-ups, and ring for due notifications; an embedded process starts to deliver if it has not yet."""
        if self.is_embedded:
            self.start()
        self.unrung += len(self.find_reporter().report(follow_ups))

    def find_reporter(self) -> Reporter:
        """Return the engine's reporter, or that of a process that delivers nothing."""
        with self._lock:
            if self._engine is not None:
                return self._engine.reporter
            if self._reporter is None:
                recaller = Recaller(self.channels, self._deps.delivery)
                self._reporter = Reporter(self._bell or self._make_bell(), self._deps, recaller)
            return self._reporter

    def prepare_for_requests(self) -> None:
        """Import the libraries that a request would otherwise wait for, and log what is wrong with the replica.

        From now on it is noted that pings of jobs can be stored. One that delivers nothing waits for no server that is away.
        """
        self._import_libraries()
        if self._replica is not None:
            self._replica.look()
        if not self.is_embedded:
            self.find_reporter()
            self._store.fail_fast()
        with self._lock:
            if self._listener is None and self._duty is not None:
                self._listener = self._make_listener(self._duty[2])
                self._listener.start()

    def make_loops(self) -> Sequence[WatchLoop]:
        """Make all that delivering processes and web services do beside their sweeps and polls; nothing is started."""
        return () if self._duty is None else (*self._make_roster_loops(), self._make_listener(self._duty[2]))

    @staticmethod
    def _make_listener(watched_jobs: JobWatch) -> WatchLoop:
        return WatchLoop("listener", watched_jobs.note_listening, NOTE_EVERY)

    @staticmethod
    def wait_until(is_over: Callable[[], bool], timeout_s: float | None) -> bool:
        """Check repeatedly whether it is over, for ``timeout_s`` seconds at most; return whether it is."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while not is_over():
            left_s = POLL_EVERY_S if until is None else until - time.monotonic()
            if left_s <= 0:
                return False
            time.sleep(min(left_s, POLL_EVERY_S))
        return True

    def close(self) -> None:
        """Stop: deliver due notifications for up to ``drain_s``, record running sends, log how many are left."""
        with self._lock:
            engine, self._engine = self._engine, None
        self._stop_listening()
        if engine is not None:
            atexit.unregister(self.close)
            try:
                self._drain()
            finally:  # also after Ctrl-C
                engine.stop()
            self._log_rest()
        if self._reporter is not None:
            self._reporter.finish()
        if self._own_bell is not None:
            self._own_bell.close()
        if self._owns_channels:
            for channel in self.channels.values():
                channel.close()
        if self._replica is not None:
            self._replica.close()
        if self._owns_store:
            self._store.close()
        FORKED.discard(self)

    def _stop_listening(self) -> None:
        """Stop noting that pings can be stored."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._engine = None
        self._listener = None
        self._reporter = None
        self._own_bell = None
        self.others = None
        self.unrung = 0

    def begin_anew(self) -> None:
        """Begin anew in a forked child: threads, locks and connections stayed with the parent."""
        self._begin()
        if self._owns_channels:
            self.channels = load(self._settings)

    def _import_libraries(self) -> None:
        """Import the libraries that load slowly and are first used in a send, so that no send waits for them."""
        for module in _LIBRARIES:
            import_module(module)
        for provider in chain.from_iterable(channel.providers for channel in self.channels.values()):
            provider.import_libraries()

    def _make_bell(self) -> Bell:
        from notifyflow.engine.broker.brokers import BrokerBell, make_broker  # with the broker's client

        self._own_bell = BrokerBell(make_broker(self._settings.broker_url.get_secret_value()))
        return self._own_bell

    def _make_engine(self, broker: "Doorbell | EmbeddedBroker", *, is_alone: bool = False) -> "Engine":
        from notifyflow.engine.engine import Engine

        return Engine(
            broker,
            self._deps,
            self.channels,
            send_budget=timedelta(seconds=self._settings.send_budget_s),
            concurrency=self._settings.concurrent_sends,
            bell=None if is_alone else self._bell,
            is_alone=is_alone,
            heartbeat=self._make_heartbeat(),
            queue=FeedbackQueue.from_settings(self._settings),
            roster_loops=self._make_roster_loops(),
        )

    def _make_heartbeat(self) -> Heartbeat | None:
        monitor = Monitor.from_settings(self._settings)
        if monitor is None:
            return None
        return Heartbeat(monitor, self._deps, every=timedelta(seconds=self._settings.heartbeat_s))

    def _make_roster_loops(self) -> Sequence[WatchLoop]:
        from notifyflow.engine.calendar_poller import CalendarPoller
        from notifyflow.engine.hand_over_teller import HandOverTeller

        if self._duty is None:
            return ()
        use_cases, rosters, watched_jobs = self._duty
        return (
            CalendarPoller(CalendarClient(self._settings), use_cases, rosters),
            HandOverTeller(use_cases, rosters.current),
            WatchLoop("job-watcher", watched_jobs.sweep, SWEEP_EVERY),
        )

    def _drain(self) -> None:
        horizon = self._deps.clock.now() + timedelta(seconds=self._settings.drain_s)
        try:
            self.wait_until(lambda: self._pending_count(horizon) == 0, self._settings.drain_s)
        except StorageUnavailable:
            return

    def _pending_count(self, due_by: datetime | None = None) -> int:
        return self._store.read(lambda reads: reads.pending_count(due_by=due_by))

    def _observe_others(self) -> Others | None:
        try:
            others = observe(self._store, self._deps.clock.now())
        except StorageUnavailable:
            return None
        if others.sends:
            _log.info("app.sends_unfinished", sends=others.sends, leases_end_in_s=others.leases_end_in_s)
        return others

    def _log_rest(self) -> None:
        try:
            count = self._pending_count()
        except StorageUnavailable:
            return
        if count:
            _log.warning("app.left_for_next_start", notifications=count)

    def _log_warnings(self) -> None:
        if self._warnings:
            where = [fault.where for fault in self._warnings]
            _log.warning("app.settings_incomplete", where=where, see="notifyflow config check")
        if exposed := self._store.exposed:
            file, mode = exposed
            _log.warning("app.database_file_exposed", file=file, mode=f"{mode:04o}", remedy=f"chmod 600 {file}")
