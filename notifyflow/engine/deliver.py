"""Handles one ring: claim, send, record, over the ports; knows no broker.

No provider is called inside a transaction: a claim commits the attempts, then they are made one by one, then each outcome is
recorded. Whatever goes wrong between stays a row whose lease runs out.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import structlog

from notifyflow.channels.base import Accepted, Channel, Provider
from notifyflow.core.backoff import pause_s
from notifyflow.core.facts import Outcome
from notifyflow.core.model import Condition, Result
from notifyflow.engine import doubt
from notifyflow.engine.bulkheads import Bulkheads
from notifyflow.engine.pending_rings import PendingRings
from notifyflow.engine.reporter import Reporter, place
from notifyflow.errors import (
    CommitUnknown,
    Fenced,
    NotifyflowError,
    PermanentProviderError,
    ProviderError,
    RefusedUsError,
    StorageError,
    StorageUnavailable,
    TemporaryProviderError,
    UnknownOutcomeError,
)
from notifyflow.pipeline.claim import claim
from notifyflow.pipeline.ports import Claimed, Claims, Consequences, Dependencies
from notifyflow.pipeline.record import record, release
from notifyflow.pipeline.use_case import led_to

_log = structlog.get_logger("notifyflow.engine")

_TURN = timedelta(seconds=5)
_MOST_AT_ONCE = 20
_NEWEST_WEIGHS = 0.3
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_THROTTLE_S = 10.0
"""How long a provider is left alone that asks for fewer requests and does not say until when."""
_WITHHELD = Outcome(result=Result.PERMANENT_FAILURE, code="withheld", reason="NOTIFYFLOW_DELIVERY does not let it leave")
_TOO_LATE = Outcome(result=Result.TEMPORARY_FAILURE, reason="the search for the message in doubt has used up the lease")


class Deliverer:
    """Makes the attempts of one process; used by many threads.

    Args:
        deps: The dependencies of the use cases.
        channels: Name to channel.
        reporter: Passes on what each transaction led to.
        send_budget: How long one send may take at most; a lease that would not outlive it is given back.
        places: How many sends there are at a time.
        pause: Lets so many seconds pass.
    """

    def __init__(
        self,
        deps: Dependencies,
        channels: Mapping[str, Channel],
        reporter: Reporter,
        *,
        send_budget: timedelta,
        places: int,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._deps = deps
        self._channels = channels
        self._reporter = reporter
        self._send_budget = send_budget
        self._pause = pause
        self._places = threading.BoundedSemaphore(places)
        self._bulkheads = Bulkheads(places)
        self._is_stopping = threading.Event()
        self._pending_rings = PendingRings()
        self._latencies: dict[str, timedelta] = {}

    def stop(self, unheard: Collection[str] = ()) -> None:
        """Begin no further send: what runs is recorded, what is claimed is released, all other rings are given back.

        Args:
            unheard: What this process was rung for besides, in rings that nobody has begun to handle.
        """
        left = self._pending_rings.close()  # before the threads are told: what they drop from then on is given back here
        self._is_stopping.set()
        self.give_back({*left, *unheard, *self._pending_rings.pop_owed()})

    def give_back(self, notification_ids: Collection[str]) -> None:
        """Take the rings for notifications back: nobody here handles them, and whoever sweeps next rings again.

        Never raises: where the database is away, the next that are given back take these with them, or ``finish`` does.
        """
        if not notification_ids:
            return
        try:
            self._unring(notification_ids)
        except StorageError as error:
            _log.warning("engine.rings_not_given_back", notifications=len(notification_ids), error=type(error).__name__)

    def finish(self) -> None:
        """Give back what could not be given back before; the last thing a process does."""
        self.give_back(self._pending_rings.pop_owed())

    def deliver(self, channel: str, notification_ids: Sequence[str]) -> None:
        """Make up to as many attempts on a channel as notifications were rung for, the most urgent that are due first.

        A thread more than the channel's provider may hold is turned away, and those who are at it go on in its stead.

        Raises:
            StorageUnavailable: When the database is away; what was claimed is recorded all the same, or put in doubt.
        """
        if not self._pending_rings.add(notification_ids):
            self.give_back(notification_ids)
            return
        bulkhead = next((provider.name for provider in self._providers(channel)), channel)
        if not self._bulkheads.enter(bulkhead, channel, notification_ids):
            return
        try:
            self._deliver_rung(channel, notification_ids)
            while (missed := self._bulkheads.leave(bulkhead)) is not None:
                self._deliver_due(*missed)
        except BaseException:
            self._bulkheads.drop_out(bulkhead)
            raise

    def share(self, threads: int) -> None:
        """Share so many threads among the providers."""
        self._bulkheads.share(threads)

    def _deliver_rung(self, channel: str, notification_ids: Sequence[str]) -> None:
        """Make as many attempts as notifications were rung for, until nothing is due."""
        wanted = set(notification_ids)
        left = len(wanted)
        with self._owing(wanted):
            while left > 0 and not self._is_stopping.is_set():
                done = self._deliver_batch(channel, notification_ids, limit=left)
                if not done:
                    return
                wanted -= done
                left -= len(done)
                self._pending_rings.remove(done)
            if wanted and not self._is_stopping.is_set():  # others went first, and nobody else knows of these
                self._unring(wanted)

    def _deliver_due(self, channel: str, notification_ids: Collection[str]) -> None:
        """Make attempts for those who were turned away, until nothing is due."""
        with self._owing(notification_ids):
            while not self._is_stopping.is_set() and self._deliver_batch(channel, (), limit=_MOST_AT_ONCE):
                pass

    @contextmanager
    def _owing(self, notification_ids: Collection[str]) -> Iterator[None]:
        """Strike off what was looked for; where the database went away meanwhile, its rings are owed."""
        try:
            yield
        except StorageUnavailable:
            self._pending_rings.owe(notification_ids)
            raise
        finally:
            self._pending_rings.remove(notification_ids)

    def _unring(self, notification_ids: Collection[str]) -> None:
        owed = {*notification_ids, *self._pending_rings.pop_owed()}
        try:
            self._deps.transactions.run(lambda ledger: ledger.unring(sorted(owed)))
        except StorageError:
            self._pending_rings.owe(owed)
            raise

    def _deliver_batch(self, channel: str, notification_ids: Sequence[str], *, limit: int) -> set[str]:
        """Claim as many due notifications as fit, and send them; return the ids of all that need no further attempt now."""
        claims = self._claim(channel, notification_ids, limit=min(limit, self._fitting(channel)))
        for claimed in claims.claimed:
            self._attempt(claimed)
        return {each.message.notification_id for each in claims.claimed} | {each.id for each in claims.consequences.failed}

    def _claim(self, channel: str, notification_ids: Sequence[str], *, limit: int) -> Claims:
        providers = self._providers(channel)
        claims = claim(
            self._deps,
            channel,
            notification_ids,
            limit=limit,
            providers=[provider.name for provider in providers],
            reporting=[provider.name for provider in providers if provider.capabilities.has_receipts],
        )
        self._reporter.report(claims.consequences)
        return claims

    def _providers(self, channel: str) -> Sequence[Provider]:
        return self._channels[channel].providers if channel in self._channels else ()

    def _fitting(self, channel: str) -> int:
        """Tell how many sends fit into half a lease, and into one turn of a thread; one while the latency is unknown.

        They have to be over while what is left of the lease would outlive one more that takes as long as it may.
        """
        latency = self._latencies.get(channel)
        if latency is None:
            return 1
        budget = min(self._deps.lease / 2, self._deps.lease - self._send_budget, _TURN)
        return max(1, min(_MOST_AT_ONCE, budget // max(latency, timedelta(milliseconds=1))))

    def _attempt(self, claimed: Claimed) -> None:
        with self._places:
            if self._is_stopping.is_set() or not self._has_time(claimed):
                self._release(claimed)
                return
            address = self._deps.delivery.final(claimed.channel, claimed.message.address)
            if address is None:
                self._record(claimed, _WITHHELD, timedelta())
                return
            if address != claimed.message.address:
                claimed = _redirected(claimed, address)
            if self._is_found(claimed):
                return
            started_at = self._deps.clock.now()
            outcome = self._send(claimed) if self._has_time(claimed) else _TOO_LATE
            took = self._deps.clock.now() - started_at
        before = self._latencies.get(claimed.channel, took)
        self._latencies[claimed.channel] = before + _NEWEST_WEIGHS * (took - before)
        self._record(claimed, outcome, took)

    def _has_time(self, claimed: Claimed) -> bool:
        """Tell whether the lease would outlive a send."""
        return claimed.lease_until - self._deps.clock.now() >= self._send_budget

    def _is_found(self, claimed: Claimed) -> bool:
        """Ask after an attempt in doubt; where it was carried after all, or never will be, this one is given back."""
        try:
            result = doubt.find_sent_message(self._deps, self._reporter, claimed, self._providers(claimed.channel))
        except StorageUnavailable:
            self._release(claimed)
            return True
        if result is None or result is Result.TEMPORARY_FAILURE:
            return False
        self._release(claimed, reason=f"the message in doubt was searched for: {result.value}")
        return True

    def _send(self, claimed: Claimed) -> Outcome:
        provider = next(each for each in self._providers(claimed.channel) if each.name == claimed.provider)
        try:
            return _outcome(provider.send(claimed.message))
        except NotifyflowError as error:
            return _told(_outcome(error), error, provider)
        except Exception as error:  # noqa: BLE001 - a channel of somebody else may raise anything, and may have sent before it did
            _log.error("engine.channel_broke", **_ids(claimed), error=type(error).__name__, place=place(error))
            return Outcome(result=Result.IN_DOUBT, reason=f"the channel broke off with {type(error).__name__}")

    def _record(self, claimed: Claimed, outcome: Outcome, took: timedelta) -> None:
        """Record an outcome, as often as it takes while the lease lasts."""
        has_alternative = len(self._providers(claimed.channel)) > 1

        def write(unsure: Consequences | None) -> Consequences:
            return record(
                self._deps, claimed.message.attempt_id, claimed.token, outcome, has_alternative=has_alternative, unsure=unsure
            )

        try:
            consequences = self._write(claimed, write, is_patient=True)
        except Fenced:
            _log.warning("engine.attempt_fenced", **_ids(claimed), result=outcome.result.value)
            return
        except StorageUnavailable:
            _log.error("engine.attempt_unrecorded", **_ids(claimed), result=outcome.result.value)
            return
        _log.info(
            "engine.attempt_recorded",
            **_ids(claimed),
            result=outcome.result.value,
            code=outcome.code,
            reason=outcome.reason,
            took_s=round(took.total_seconds(), 3),
        )
        self._reporter.report(consequences)

    def _write(self, claimed: Claimed, write: Callable[[Consequences | None], Consequences], *, is_patient: bool) -> Consequences:
        """Write what became of an attempt, with growing pauses between the tries.

        Args:
            claimed: The attempt.
            write: Is given what the last commit would have led to whose answer was lost, and finds out whether it was done.
            is_patient: Whether to try again, while the lease lasts, also when the database is away; otherwise only to find out.

        Raises:
            Fenced: When the lease has expired.
            StorageUnavailable: When it is given up.
        """
        unsure: Consequences | None = None
        tries = 0
        while True:
            try:
                return write(unsure)
            except CommitUnknown as unknown:
                unsure = led_to(unknown)
            except StorageUnavailable:
                if not is_patient:
                    raise
                if self._deps.clock.now() >= claimed.lease_until and (unsure is None or self._is_stopping.is_set()):
                    raise
            tries += 1
            self._pause(pause_s(tries, self._deps.ids.fraction(), first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S))

    def _release(self, claimed: Claimed, *, reason: str = "") -> None:
        def write(unsure: Consequences | None) -> Consequences:
            return release(self._deps, claimed.message.attempt_id, claimed.token, reason=reason, unsure=unsure)

        try:
            consequences = self._write(claimed, write, is_patient=False)
        except (Fenced, StorageUnavailable) as error:
            _log.warning("engine.release_failed", **_ids(claimed), error=type(error).__name__)
            return
        _log.info("engine.attempt_released", **_ids(claimed), reason=reason)
        self._reporter.report(consequences)


def _redirected(claimed: Claimed, address: str) -> Claimed:
    """Send it, and search for the message in doubt, at another address; a message at the first one is not edited."""
    doubt = claimed.doubt and replace(claimed.doubt, message=replace(claimed.doubt.message, address=address))
    return replace(claimed, message=replace(claimed.message, address=address, replaces=""), doubt=doubt)


def _ids(claimed: Claimed) -> dict[str, str]:
    return {
        "attempt_id": claimed.message.attempt_id,
        "notification_id": claimed.message.notification_id,
        "incident_id": claimed.message.incident_id,
        "channel": claimed.channel,
        "provider": claimed.provider,
    }


def _outcome(answer: Accepted | NotifyflowError) -> Outcome:
    """Translate what a provider answered, or how it failed, into an outcome."""
    match answer:
        case Accepted():
            return Outcome(result=Result.ACCEPTED, provider_ref=answer.provider_ref, evidence=answer.evidence)
        case TemporaryProviderError():
            return Outcome(
                result=Result.TEMPORARY_FAILURE, code=answer.code, reason=answer.reason, retry_after_s=answer.retry_after_s
            )
        case PermanentProviderError():
            return Outcome(result=Result.PERMANENT_FAILURE, code=answer.code, reason=answer.reason)
        case RefusedUsError():
            return Outcome(result=Result.TEMPORARY_FAILURE, code=answer.code, reason=answer.reason, is_our_fault=True)
        case UnknownOutcomeError() | ProviderError():
            return Outcome(result=Result.IN_DOUBT, code=answer.code, reason=answer.reason)
        case _:
            return Outcome(
                result=Result.TEMPORARY_FAILURE, reason=f"could not be rendered: {type(answer).__name__}", is_our_fault=True
            )


def _told(outcome: Outcome, error: NotifyflowError, provider: Provider) -> Outcome:
    """Add what a failure says about the provider itself."""
    if provider.has_server_per_address:
        return outcome
    match error:
        case ProviderError(is_unhealthy=True):
            outcome = replace(outcome, condition=Condition.UNHEALTHY)
        case RefusedUsError(is_general=True) if not provider.is_bound_to_address:
            return replace(outcome, condition=Condition.REFUSING)
    if provider.is_bound_to_address:
        return outcome
    is_throttled = isinstance(error, TemporaryProviderError) and error.is_throttled
    return replace(outcome, throttle_s=_THROTTLE_S if is_throttled and not outcome.retry_after_s else outcome.retry_after_s)
