"""Polls providers for the status of accepted messages: 15 s before a receipt is overdue, and 5 and 30 minutes after the send.

A call whose end nobody has reported is asked about after 90 s and every 30 s, since the next call to its number waits for it.

It makes up for lost callbacks. It runs outside any transaction and in its own thread, so that a hanging provider delays no sweep.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from notifyflow.channels.base import Channel
from notifyflow.channels.provider_protocols import FetchesStatus
from notifyflow.core.limits.mode import Mode
from notifyflow.engine.reporter import Reporter
from notifyflow.engine.watch_loops import WatchLoop
from notifyflow.errors import ProviderError
from notifyflow.log import get_logger
from notifyflow.pipeline.delivery.calls import claim_question, end_unanswered, find_calls_to_ask
from notifyflow.pipeline.delivery.receive import claim_poll, find_attempts_to_poll, receive
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.storage.delivery.attempts import AttemptToPoll, CallToAsk

_log = get_logger("notifyflow.engine")

POLL_EVERY = timedelta(seconds=5)
_MOST_A_POLL = 50


class StatusPoller(WatchLoop):
    """Polls for missing receipts until it is stopped.

    Args:
        deps: The dependencies of the use cases.
        channels: Name to channel; the providers that can fetch a status are polled; none in a dry run.
        reporter: Reports the follow-ups of the receipts.
        every: The time between two polls.
    """

    def __init__(
        self, deps: Dependencies, channels: Mapping[str, Channel], reporter: Reporter, *, every: timedelta = POLL_EVERY
    ) -> None:
        super().__init__("status-poller", self.poll, every, waits_first=True)
        self._deps = deps
        self._reporter = reporter
        self._providers = {
            (name, provider.name): provider
            for name, channel in channels.items()
            for provider in channel.providers
            if isinstance(provider, FetchesStatus) and deps.delivery.mode is not Mode.DRY_RUN
        }

    def start(self) -> None:
        """Start polling, if any provider can be polled."""
        if self._providers:
            super().start()

    def poll(self) -> None:
        """Fetch the status of each attempt to poll; skip a provider for the rest of this poll once it does not answer.

        Raises:
            StorageUnavailable: When the database does not answer in time.
        """
        mute: set[str] = set()
        names = {name for _, name in self._providers}
        for found in find_calls_to_ask(self._deps, names, limit=_MOST_A_POLL):
            provider = self._to_ask(found)
            call = claim_question(self._deps, found) if provider else None
            if provider and call and (call.provider in mute or not self._fetch(provider, call)):
                mute.add(call.provider)
                end_unanswered(self._deps, call)
        for attempt in find_attempts_to_poll(self._deps, names, limit=_MOST_A_POLL):
            provider = self._to_ask(attempt)
            is_due = provider is not None and attempt.provider not in mute and claim_poll(self._deps, attempt)
            if provider and is_due and not self._fetch(provider, attempt):
                mute.add(attempt.provider)

    def _to_ask(self, attempt: AttemptToPoll | CallToAsk) -> FetchesStatus | None:
        """Return the provider of an attempt; None if it cannot be asked, or the thread is to stop."""
        return None if self._is_stopping.is_set() else self._providers.get((attempt.channel, attempt.provider))

    def _fetch(self, provider: FetchesStatus, attempt: AttemptToPoll | CallToAsk) -> bool:
        """Fetch the status of one attempt; return whether the provider answered."""
        ids = {"attempt_id": attempt.attempt_id, "provider": attempt.provider, "channel": attempt.channel}
        try:
            receipt = provider.fetch_status(attempt.attempt_id, attempt.provider_ref)
        except ProviderError as error:
            _log.warning("engine.status_not_fetched", **ids, error=type(error).__name__, code=error.code)
            return False
        fate = receive(self._deps, replace(receipt, is_fetched=True), raw="").finish(self._reporter.report)
        _log.info("engine.status_fetched", **ids, code=receipt.code, fate=fate.value)
        return True
