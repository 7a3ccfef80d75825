"""Handles a ring: claim, send, record; knows no broker.

No provider is called inside a transaction: a claim commits the attempts, then each is made and its outcome recorded. If anything
fails in between, the lease of the attempt expires.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta

from notifyflow.channels.base import Channel, Provider
from notifyflow.core.delivery.attempts import BROKE_OFF
from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import Result, Severity
from notifyflow.engine import doubt
from notifyflow.engine.bulkheads import Bulkheads
from notifyflow.engine.outcomes import outcome_of, with_condition
from notifyflow.engine.pending_rings import PendingRings
from notifyflow.engine.precedence import Precedence
from notifyflow.engine.recording import Recorder, Recordings
from notifyflow.engine.reporter import Reporter
from notifyflow.engine.shared_claims import Batch, Claimer
from notifyflow.errors import (
    NotifyflowError,
    StorageError,
    StorageUnavailable,
)
from notifyflow.log import get_logger, source_line
from notifyflow.pipeline.delivery.sweep import unring
from notifyflow.pipeline.transaction.ports import Claimed, Dependencies, FollowUps

_log = get_logger("notifyflow.engine")

_TURN, _LONGEST_TURN = timedelta(milliseconds=250), timedelta(seconds=1)
"""How long the sends of one claim take together; more would keep rows from idle threads.

A thread that has found due rows again and again takes more at once, up to a tenth of that time: its claims cost less for each,
and the last of many rows leave at most a tenth later than they could.
"""
_MOST_AT_ONCE = 20
_NEWEST_WEIGHS = 0.3
_WITHHELD = Outcome(result=Result.PERMANENT_FAILURE, code="withheld", reason="NOTIFYFLOW_DELIVERY does not let it leave")
_TOO_LATE = Outcome(result=Result.TEMPORARY_FAILURE, reason="the search for the message in doubt has used up the lease")


class Deliverer:
    """Makes the attempts of one process; used by many threads.

    Args:
        deps: The dependencies of the use cases.
        channels: Name to channel.
        reporter: Reports the follow-ups of each transaction.
        send_budget: How long one send may take at most; an attempt whose lease ends sooner is released.
        concurrency: How many sends run at a time.
        urgent_rings: Returns how many urgent rings wait for a thread.
        pause: Waits for some seconds.
        monitor: The lock on which threads wait for each other.
    """

    def __init__(
        self,
        deps: Dependencies,
        channels: Mapping[str, Channel],
        reporter: Reporter,
        *,
        send_budget: timedelta,
        concurrency: int,
        urgent_rings: Callable[[], int] = lambda: 0,
        pause: Callable[[float], None] = time.sleep,
        monitor: Callable[[], AbstractContextManager[bool]] = threading.Condition,
    ) -> None:
        self._deps = deps
        self._channels = channels
        self._reporter = reporter
        self._send_budget = send_budget
        self._most = concurrency
        self._recorder = Recorder(deps, self._report, is_stopping=self._stops, pause=pause, monitor=monitor)
        self._pending_rings = PendingRings()
        release, owe = self._recorder.release, self._pending_rings.owe
        self._claimer = Claimer(deps, channels, report=self._report, release=release, owe=owe, monitor=monitor)
        self._sends = threading.BoundedSemaphore(concurrency)
        self._bulkheads = Bulkheads(concurrency)
        self._precedence = Precedence(urgent_rings)
        self._is_stopping = threading.Event()
        self._latencies: dict[str, timedelta] = {}
        self._batches: set[Batch] = set()

    def stop(self, unheard: Collection[str] = ()) -> None:
        """Begin no further send: all rings and claimed attempts are given back at once, running sends are recorded.

        Args:
            unheard: Notifications from rings that no thread has begun to handle.
        """
        left = self._pending_rings.close()  # first, so that rings which the threads drop from now on are given back here
        self._is_stopping.set()
        self.give_back({*left, *unheard, *self._pending_rings.pop_owed()})
        for batch in list(self._batches):
            self._recorder.release(list(batch.take()))

    def _stops(self) -> bool:
        return self._is_stopping.is_set()

    def give_back(self, notification_ids: Collection[str]) -> None:
        """Give rings back that this process does not handle, so that the next sweep rings again.

        Never raises: if the database is unavailable, the next call or ``pay_back`` gives them back.
        """
        if not notification_ids:
            return
        try:
            self._unring(notification_ids)
        except StorageError as error:
            _log.warning("engine.rings_not_returned", notifications=len(notification_ids), error=type(error).__name__)

    def pay_back(self) -> None:
        """Give back rings that could not be given back before, as soon as the database answers; never raises."""
        self.give_back(self._pending_rings.pop_owed())

    def deliver(self, channel: str, notification_ids: Sequence[str], *, is_urgent: bool = False) -> None:
        """Make up to as many attempts on a channel as notifications were rung for, the most urgent due ones first.

        If the provider's bulkhead is full, the threads inside handle the ring later. If an urgent ring waits for a thread, this
        one returns after the current send, and the rest is rung for again.

        Args:
            channel: The channel.
            notification_ids: The notifications that the ring names.
            is_urgent: Whether it is a ring for CRITICAL ones.

        Raises:
            StorageUnavailable: When the database is unavailable; claimed attempts are recorded all the same, or put in doubt.
        """
        if not self._pending_rings.add(notification_ids):
            self.give_back(notification_ids)
            return
        bulkhead = next((provider.name for provider in self._providers(channel)), channel)
        if not self._bulkheads.enter(bulkhead, channel, notification_ids, is_urgent=is_urgent):
            return
        try:
            goes_on = self._deliver_rung(channel, notification_ids)
            while (missed := self._bulkheads.leave(bulkhead)) is not None:
                goes_on = self._deliver_due(*missed, goes_on=goes_on)
        except BaseException:
            self._precedence.note_free()  # it may have had to give way; one thread too many is better than none
            self._pending_rings.owe(self._bulkheads.drop_out(bulkhead))
            raise
        if not goes_on:
            self._precedence.note_free()

    def share(self, threads: int) -> None:
        """Set how many threads the providers share."""
        self._bulkheads.share(min(threads, self._most))

    def _deliver_rung(self, channel: str, notification_ids: Sequence[str]) -> bool:
        """Make as many attempts as notifications were rung for, until nothing is due.

        Returns:
            Whether the thread may go on; False if it has to give way to an urgent ring.
        """
        wanted = set(notification_ids)
        left = len(wanted)
        goes_on = True
        with self._owing(wanted):
            while left > 0 and goes_on and not self._is_stopping.is_set():
                done, goes_on = self._deliver_batch(channel, notification_ids, limit=left)
                if not done:
                    return goes_on
                wanted -= done
                left -= len(done)
                self._pending_rings.remove(done)
            if wanted and not self._is_stopping.is_set():  # others went first, and these need another ring
                self._unring(wanted)
        return goes_on

    def _deliver_due(self, channel: str, notification_ids: Collection[str], *, goes_on: bool) -> bool:
        """Make attempts for the rings of threads that were turned away, until nothing is due; returns as ``_deliver_rung``."""
        began_at = self._deps.clock.now()
        with self._owing(notification_ids):
            while goes_on and not self._is_stopping.is_set():
                turn = min(max(_TURN, (self._deps.clock.now() - began_at) / 10), _LONGEST_TURN)
                done, goes_on = self._deliver_batch(channel, (), limit=_MOST_AT_ONCE, turn=turn)
                if not done:
                    return goes_on
            if notification_ids and not self._is_stopping.is_set():
                self._unring(notification_ids)
        return goes_on

    @contextmanager
    def _owing(self, notification_ids: Collection[str]) -> Iterator[None]:
        """Remove handled rings; if the thread is cut short, or the database became unavailable, owe them."""
        try:
            yield
        except BaseException:
            self._pending_rings.owe(notification_ids)
            raise
        finally:
            self._pending_rings.remove(notification_ids)

    def _unring(self, notification_ids: Collection[str]) -> None:
        owed = {*notification_ids, *self._pending_rings.pop_owed()}
        try:
            self._pending_rings.owe(unring(self._deps, owed))
        except BaseException:  # also where the thread is cut short
            self._pending_rings.owe(owed)
            raise

    def _deliver_batch(
        self, channel: str, notification_ids: Sequence[str], *, limit: int, turn: timedelta = _TURN
    ) -> tuple[frozenset[str], bool]:
        """Claim as many due notifications as fit and send them; release the rest if an urgent ring needs the thread.

        Returns:
            The ids of those handled or released, and whether the thread may go on.
        """
        batch = Batch(notification_ids, min(limit, self._fitting(channel, turn)))
        self._batches.add(batch)
        try:
            done = self._claimer.fill(channel, batch)
            self.pay_back()
            with self._recorder.open() as recordings:
                goes_on = self._attempt_all(batch, recordings)
            return done, goes_on and not self._precedence.takes_thread()
        finally:
            self._batches.discard(batch)
            batch.is_given_up = True
            self._recorder.release(list(batch.take()))  # non-empty only if the thread was cut short

    def _attempt_all(self, batch: Batch, recordings: Recordings) -> bool:
        """Make claimed attempts one after the other; return False if the thread has to give way, or the process stops."""
        for claimed in batch.take():  # ``stop()`` empties it, too
            if self._stops() or (claimed.severity is not Severity.CRITICAL and self._precedence.takes_thread()):
                self._recorder.release([claimed, *batch.take()])
                return False
            self._attempt(claimed, recordings)
        return not self._stops()

    def _providers(self, channel: str) -> Sequence[Provider]:
        return self._channels[channel].providers if channel in self._channels else ()

    def _fitting(self, channel: str, turn: timedelta) -> int:
        """Return how many sends fit into half a lease and into a thread's turn; 1 while the latency is unknown.

        The rest of the lease must be enough for one more send of the maximal length.
        """
        latency = self._latencies.get(channel)
        if latency is None:
            return 1
        budget = min(self._deps.lease / 2, self._deps.lease - self._send_budget, turn)
        return max(1, min(_MOST_AT_ONCE, self._deps.set_size, budget // max(latency, timedelta(milliseconds=1))))

    def _attempt(self, claimed: Claimed, recordings: Recordings) -> None:
        with self._sends:
            if self._is_stopping.is_set() or not self._has_time(claimed):
                self._recorder.release([claimed])
                return
            address = self._deps.delivery.final(claimed.channel, claimed.message.address)
            if address is None:
                self._record(recordings, claimed, _WITHHELD, timedelta())
                return
            if address != claimed.message.address:
                claimed = _redirected(claimed, address)
            if self._is_found(claimed):
                return
            outcome, took = self._timed_send(claimed) if self._has_time(claimed) else (_TOO_LATE, timedelta())
        before = self._latencies.get(claimed.channel, took)
        self._latencies[claimed.channel] = before + _NEWEST_WEIGHS * (took - before)
        self._record(recordings, claimed, outcome, took)

    def _record(self, recordings: Recordings, claimed: Claimed, outcome: Outcome, took: timedelta) -> None:
        if outcome.is_about_content and claimed.carried:
            self._recorder.halve(claimed, outcome)
            return
        recordings.add(
            claimed,
            outcome,
            took,
            has_alternative=len(self._providers(claimed.channel)) > 1,
            next_takes=self._latencies.get(claimed.channel, took),
        )

    def _has_time(self, claimed: Claimed) -> bool:
        """Return whether the lease lasts for a send of the maximal length."""
        return claimed.lease_until - self._deps.clock.now() >= self._send_budget

    def _is_found(self, claimed: Claimed) -> bool:
        """Search for the message of the attempt in doubt; release this attempt if that one was or never will be delivered."""
        try:
            result = doubt.find_sent_message(self._deps, self._reporter, claimed, self._providers(claimed.channel))
        except StorageUnavailable:
            self._recorder.release([claimed])
            return True
        if result is None or result is Result.TEMPORARY_FAILURE:
            return False
        self._recorder.release([claimed], reason=f"the message in doubt was searched for: {result.value}")
        return True

    def _timed_send(self, claimed: Claimed) -> tuple[Outcome, timedelta]:
        """Send; return also how long the call took."""
        started_at = self._deps.clock.now()
        outcome = self._send(claimed)
        took = self._deps.clock.now() - started_at
        return replace(outcome, took_s=max(took.total_seconds(), 0.0)), took

    def _send(self, claimed: Claimed) -> Outcome:
        provider = next((each for each in self._providers(claimed.channel) if each.name == claimed.provider), None)
        if provider is None:  # a plug-in may change its providers
            return Outcome(result=Result.TEMPORARY_FAILURE, reason=f"the channel has no provider {claimed.provider} any more")
        try:
            return outcome_of(provider.send(claimed.message))
        except NotifyflowError as error:
            return with_condition(outcome_of(error), error, provider)
        except Exception as error:  # noqa: BLE001 - a third party's channel may raise anything, and may have sent before
            _log.error("engine.channel_broke", **claimed.ids(), error=type(error).__name__, place=source_line(error))
            reason = f"the channel broke off with {type(error).__name__}"
            return Outcome(result=Result.IN_DOUBT, code=BROKE_OFF, reason=reason)

    def _report(self, follow_ups: FollowUps) -> None:
        """Report. A stopping process also leaves due notifications to other sweepers, since its own rings may end with it."""
        self._reporter.report(follow_ups)
        if self._stops():
            self.give_back([due.notification_id for due in follow_ups.due])


def _redirected(claimed: Claimed, address: str) -> Claimed:
    """Return the attempt with another address; no message at the first address is edited."""
    return replace(claimed, message=replace(claimed.message, address=address, replaces=""))
