"""Assembles the parts of one process over a broker: its actors, deliverer, sweeper and pollers."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from dramatiq import Broker, Middleware, Worker

from notifyflow.channels.aws.sqs import FeedbackQueue
from notifyflow.channels.base import Channel
from notifyflow.core.delivery.ports import Bell
from notifyflow.engine.actors import URGENT, declare_actors
from notifyflow.engine.broker.brokers import BrokerBell, EmbeddedBroker
from notifyflow.engine.broker.ring import rung_for
from notifyflow.engine.deliver import Deliverer
from notifyflow.engine.feedback_poller import Poller
from notifyflow.engine.heartbeat import Heartbeat
from notifyflow.engine.local_bell import LocalBell
from notifyflow.engine.recall import Recaller
from notifyflow.engine.reporter import Reporter
from notifyflow.engine.rollup_loop import RollupLoop
from notifyflow.engine.status_poller import StatusPoller
from notifyflow.engine.sweeper import Sweeper
from notifyflow.engine.watch_loops import WatchLoop
from notifyflow.pipeline.delivery.sweep import RING_AGAIN_AFTER, next_wake_at, sweep
from notifyflow.pipeline.transaction.ports import Dependencies

if TYPE_CHECKING:
    from dramatiq.worker import _WorkQueueItem

    from notifyflow.engine.broker.brokers import Doorbell

_POLL_MS = 200


class Engine:
    """Handles the rings of a broker and watches the clock, in one process, from ``start`` to ``stop``.

    Args:
        broker: The broker whose rings it handles; it declares the actors on it.
        deps: The dependencies of the use cases.
        channels: Name to channel.
        send_budget: How long one send may take at most.
        concurrency: How many sends to one provider run at a time.
        bell: Rings for due notifications; None for the broker's own.
        is_alone: Whether rings end with the process: earlier ones are then rung again at once.
        heartbeat: Pings an outside monitor, or None.
        queue: The queue to which providers send receipts, or None.
        roster_loops: The loops that update the roster and follow its changes.
    """

    def __init__(
        self,
        broker: "Doorbell | EmbeddedBroker",
        deps: Dependencies,
        channels: Mapping[str, Channel],
        *,
        send_budget: timedelta,
        concurrency: int,
        bell: Bell | None = None,
        is_alone: bool = False,
        heartbeat: Heartbeat | None = None,
        queue: FeedbackQueue | None = None,
        roster_loops: Sequence[WatchLoop] = (),
    ) -> None:
        self._local_bell = LocalBell(self._deliver, with_reserve(concurrency))
        recaller = Recaller(channels, deps.delivery)
        self.reporter = Reporter(bell or BrokerBell(broker), deps, recaller, self._local_bell)
        self._broker = broker
        self._deps = deps
        self._started_at = deps.clock.now() if is_alone else None
        self._began_at: datetime | None = None  # when it first swept
        self._worker: Worker | None = None
        self._deliverer = Deliverer(
            deps,
            channels,
            self.reporter,
            send_budget=send_budget,
            concurrency=with_reserve(concurrency),
            urgent_rings=self._urgent_rings,
        )
        self._rollup_loop = RollupLoop(deps)
        self._heartbeat = heartbeat
        self._loops = (StatusPoller(deps, channels, self.reporter), *roster_loops, *([heartbeat] if heartbeat else []))
        self._poller = Poller(queue, deps, self.reporter) if queue else None
        self._sweeper = Sweeper(deps.clock, self._sweep, lambda: next_wake_at(deps), deps.ids.fraction)
        declare_actors(broker, channels, self._deliverer.deliver)

    def start(self, worker: Worker) -> None:
        """Start to sweep and poll.

        Args:
            worker: The worker whose threads handle the rings; its owner starts and stops it.
        """
        self._worker = worker
        self._deliverer.share(worker.worker_threads)
        self._sweeper.start()
        if self._poller is not None:
            self._poller.start()
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """Begin nothing new: running sends are recorded, claimed attempts released, all other rings given back."""
        self._broker.stop_reading(self._deliverer.give_back)
        self._deliverer.stop(rung_for(item.message for item in self._waiting_rings()))
        self._sweeper.stop()
        self._local_bell.stop()
        self._broker.stop_reading(self._deliverer.give_back)  # again, since the last sweep may have rung in this process
        if self._poller is not None:
            self._poller.stop()
        for loop in self._loops:
            loop.stop()

    def finish(self) -> None:
        """Give back the rest when the worker's threads have ended."""
        self._broker.stop_reading(self._deliverer.give_back)
        self._deliverer.pay_back()
        self.reporter.finish()

    def _sweep(self) -> bool:
        """Sweep and ring; return whether every row could be handled."""
        self._began_at = self._began_at or self._deps.clock.now()
        swept = sweep(self._deps, ring_again_after=self._patience(), began_at=self._began_at)
        self.reporter.report(swept)
        if swept.cut_short is not None:
            raise swept.cut_short
        self._deliverer.pay_back()
        is_clean = not swept.broken
        if self._heartbeat is not None:
            self._heartbeat.note_sweep(is_clean=is_clean)
        self._rollup_loop.turn()
        return is_clean

    def _deliver(self, channel: str, notification_ids: Sequence[str], *, is_urgent: bool) -> None:
        self._deliverer.deliver(channel, notification_ids, is_urgent=is_urgent)

    def _patience(self) -> timedelta:
        if self._started_at is None:
            return min(RING_AGAIN_AFTER, self._deps.lease)
        return min(RING_AGAIN_AFTER, self._deps.clock.now() - self._started_at)

    def _waiting_rings(self) -> "list[_WorkQueueItem]":
        """Return the rings that dramatiq holds in memory and no thread has begun to handle."""
        if self._worker is None:
            return []
        with self._worker.work_queue.mutex:
            return list(self._worker.work_queue.queue)

    def _urgent_rings(self) -> int:
        """Return how many urgent rings wait for a thread."""
        return sum(item.priority == URGENT for item in self._waiting_rings())


def with_reserve(concurrency: int) -> int:
    """Return how many threads serve a number of concurrent sends, so that some are left if one provider hangs."""
    return concurrency + ceil(concurrency / 2)


class EmbeddedEngine:
    """An engine whose broker and worker threads are its own, all inside this process."""

    def __init__(self, engine: Engine, broker: EmbeddedBroker, *, concurrency: int) -> None:
        self._engine = engine
        self._worker = Worker(broker, worker_threads=with_reserve(concurrency), worker_timeout=_POLL_MS)
        self.reporter = engine.reporter

    def start(self) -> None:
        """Start the threads; the first sweep picks up what an earlier process left."""
        self._worker.start()
        self._engine.start(self._worker)

    def stop(self) -> None:
        """Wait for the running sends, and end the threads."""
        self._engine.stop()
        self._worker.stop()
        self._engine.finish()


class EngineMiddleware(Middleware):
    """Runs an engine for as long as dramatiq runs its worker in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Add the threads in reserve."""
        del broker
        worker.worker_threads = with_reserve(worker.worker_threads)

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Start with the worker."""
        del broker
        self._engine.start(worker)

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Stop before the worker waits for its threads, so that they give back unsent notifications."""
        del broker, worker
        self._engine.stop()

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Finish when its threads have ended."""
        del broker, worker
        self._engine.finish()
