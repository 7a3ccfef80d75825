"""Asks providers about what they took and say nothing more about: 15 s before a receipt is overdue, and 5 and 30 minutes after.

It makes up for a callback that got lost on its way, outside any transaction, and in a thread of its own, so that a provider that
hangs holds up no sweep.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import structlog

from notifyflow.channels.base import Channel, Provider
from notifyflow.core.delivery import Mode
from notifyflow.engine.reporter import Reporter, place
from notifyflow.errors import ProviderError, StorageUnavailable
from notifyflow.pipeline.ports import Dependencies
from notifyflow.pipeline.receive import receive
from notifyflow.pipeline.status_polling import find_silent, may_ask
from notifyflow.storage.ledger import Silent

_log = structlog.get_logger("notifyflow.engine")

LOOK_EVERY = timedelta(seconds=5)
_MOST_A_TURN = 50


class Asker:
    """Asks after silent attempts until it is stopped.

    Args:
        deps: The dependencies of the use cases.
        channels: Name to channel; of their providers those that can look a message up are asked; none where nothing may leave.
        reporter: Passes on what the answers led to.
        every: How far apart two looks are.
    """

    def __init__(
        self, deps: Dependencies, channels: Mapping[str, Channel], reporter: Reporter, *, every: timedelta = LOOK_EVERY
    ) -> None:
        self._deps = deps
        self._reporter = reporter
        self._every_s = every.total_seconds()
        self._providers = {
            (name, provider.name): provider
            for name, channel in channels.items()
            for provider in channel.providers
            if provider.capabilities.can_be_looked_up and deps.delivery.mode is not Mode.DRY_RUN
        }
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifyflow-asker", daemon=True)

    def start(self) -> None:
        """Begin to look, where there is anybody to ask."""
        if self._providers:
            self._thread.start()

    def stop(self) -> None:
        """Let a question that runs be answered, and ask no other."""
        self._is_stopping.set()
        if self._providers:
            self._thread.join()

    def turn(self) -> None:
        """Ask after what is silent; a provider that does not answer is asked no more in this turn.

        Raises:
            StorageUnavailable: When the database does not answer in time.
        """
        mute: set[str] = set()
        names = {name for _, name in self._providers}
        for silent in find_silent(self._deps, names, limit=_MOST_A_TURN):
            provider = self._providers.get((silent.channel, silent.provider))
            if provider is None or silent.provider in mute or self._is_stopping.is_set():
                continue
            if may_ask(self._deps, silent) and not self._ask(provider, silent):
                mute.add(silent.provider)

    def _run(self) -> None:
        while not self._is_stopping.wait(self._every_s):
            try:
                self.turn()
            except StorageUnavailable:  # the sweeper says so
                continue
            except Exception as error:  # noqa: BLE001 - the edge of the thread
                _log.error("engine.asker_broke", error=type(error).__name__, place=place(error))

    def _ask(self, provider: Provider, silent: Silent) -> bool:
        """Ask after one attempt; tell whether the provider answered."""
        ids = {"attempt_id": silent.attempt_id, "provider": silent.provider, "channel": silent.channel}
        try:
            receipt = provider.look_up(silent.attempt_id, silent.provider_ref)
        except ProviderError as error:
            _log.warning("engine.silence_not_answered", **ids, error=type(error).__name__, code=error.code)
            return False
        received = receive(self._deps, replace(receipt, is_asked=True), raw="")
        _log.info("engine.silence_answered", **ids, code=receipt.code, fate=received.fate.value)
        self._reporter.report(received.consequences)
        return True
