"""Stops attempts on their way, such as calls that ring for an acknowledged incident; best effort, and logged.

Each batch has its own thread, so that no acknowledgement waits for a provider; the process waits for them at its end.
"""

import threading
from collections.abc import Mapping, Sequence

from notifyflow.channels.base import Channel
from notifyflow.channels.provider_protocols import Recalls
from notifyflow.core.limits.mode import LIVE, Delivery, Mode
from notifyflow.engine import threads
from notifyflow.errors import ProviderError
from notifyflow.log import get_logger, source_line
from notifyflow.pipeline.transaction.ports import Recall

_log = get_logger("notifyflow.engine")


class Recaller:
    """Recalls attempts, outside any transaction.

    Args:
        channels: Name to channel; providers that cannot recall are ignored.
        delivery: The delivery mode; unless it is live, nothing is recalled, since the attempts may be another environment's.
    """

    def __init__(self, channels: Mapping[str, Channel], delivery: Delivery = LIVE) -> None:
        self._providers = {
            (name, provider.name): provider
            for name, channel in channels.items()
            for provider in channel.providers
            if isinstance(provider, Recalls) and delivery.mode is Mode.LIVE
        }
        self._lock = threading.Lock()
        self._running: set[threading.Thread] = set()

    def recall(self, recalls: Sequence[Recall]) -> None:
        """Begin to recall attempts whose provider can."""
        known = [(provider, each) for each in recalls if (provider := self._providers.get((each.channel, each.provider)))]
        if known:
            thread = threading.Thread(target=self._run, args=(known,), name="notifyflow-recall", daemon=True)
            with self._lock:
                self._running.add(thread)
            thread.start()

    def finish(self) -> None:
        """Wait for all recalls."""
        with self._lock:
            running = tuple(self._running)
        threads.end(*running)

    def _run(self, known: Sequence[tuple[Recalls, Recall]]) -> None:
        for provider, each in known:
            ids = {"attempt_id": each.attempt_id, "channel": each.channel, "provider": each.provider}
            try:
                provider.recall(each.attempt_id, each.provider_ref)
                _log.info("engine.attempt_recalled", **ids)
            except ProviderError as error:
                _log.warning("engine.recall_failed", **ids, error=type(error).__name__, code=error.code)
            except Exception as error:  # noqa: BLE001 - the edge of the thread
                _log.error("engine.recall_broke", **ids, error=type(error).__name__, place=source_line(error))
        with self._lock:
            self._running.discard(threading.current_thread())
