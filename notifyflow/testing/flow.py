"""A NotifyFlow in which nothing runs beside its caller: a driver delivers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from notifyflow.app.flow import NotifyFlow
from notifyflow.channels.base import Channel
from notifyflow.core.delivery.ports import Bell, Clock, Ids
from notifyflow.core.references import ByKey
from notifyflow.engine.reporter import Reporter
from notifyflow.engine.watch_loops import WatchLoop
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.settings import Settings

Drive = Callable[[Callable[[], bool], timedelta | None], bool]
"""Drives until a condition holds or virtual time is over, and returns whether it holds."""


class DrivenFlow(NotifyFlow):
    """What code under test gets as its flow: waiting drives, and starting and closing are left to the driver."""

    def __init__(self, settings: Settings, *, clock: Clock, ids: Ids, bell: Bell, drive: Drive) -> None:
        super().__init__(settings, clock=clock, ids=ids, bell=bell)
        self._drive = drive

    def wait(self, key: str, *, namespace: str | None = None, timeout_s: float | None = None) -> bool:
        """Drive until every escalation of an incident is settled, or for ``timeout_s`` virtual seconds; return whether it is."""
        ref = ByKey(key, namespace)
        limit = None if timeout_s is None else timedelta(seconds=timeout_s)
        return self._drive(lambda: self._service.is_settled(ref), limit)

    async def await_settled(self, key: str, *, namespace: str | None = None, timeout_s: float | None = None) -> bool:
        """Do the same as ``wait``, without blocking the event loop."""
        return await asyncio.to_thread(self.wait, key, namespace=namespace, timeout_s=timeout_s)

    def start(self) -> None:
        """Do nothing: the driver delivers."""

    def close(self) -> None:
        """Do nothing: the driver closes it when the test is over."""

    def end(self) -> None:
        """Close the database and the channels."""
        super().close()

    def is_settled(self) -> bool:
        """Return whether every escalation of every unresolved incident is settled."""
        return all(self._service.is_settled(ByKey(line.facts.id)) for line in self.overview.unresolved())

    def prepare(self) -> None:
        """Open the database."""
        self._database.prepare()

    @property
    def deps(self) -> Dependencies:
        """The dependencies of the use cases."""
        return self._deps

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The channels by name."""
        return self._runtime.channels

    def make_loops(self) -> Sequence[WatchLoop]:
        """Make what a worker and a web service do beside their sweeps."""
        return self._runtime.make_loops()

    def next_look_at(self) -> datetime | None:
        """Return when a watched job is to be looked at; None without one."""
        return self._database.store.read(lambda reads: reads.watched_jobs.next_wake_at())

    @property
    def reporter(self) -> Reporter:
        """The reporter of follow-ups."""
        return self._runtime.find_reporter()
