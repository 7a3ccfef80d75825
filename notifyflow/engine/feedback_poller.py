"""Polls a queue for the receipts of providers; a message is deleted only after its receipts are committed.

When the queue or the database is unavailable, it waits and goes on; messages it did not delete come again.
"""

import threading
from collections.abc import Callable

from notifyflow.channels.aws.sqs import FeedbackQueue, Parcel
from notifyflow.core.delivery.model import Receipt
from notifyflow.core.delivery.retry import pause_s
from notifyflow.engine import threads
from notifyflow.engine.reporter import Reporter
from notifyflow.errors import ProviderError, StorageUnavailable
from notifyflow.log import get_logger, source_line
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.transaction.ports import Dependencies

_log = get_logger("notifyflow.engine")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class Poller:
    """Polls a queue until it is stopped.

    Args:
        queue: The queue; the poller closes it.
        deps: The dependencies of the use cases.
        reporter: Reports the follow-ups of the receipts.
        pause: Waits for some seconds after a failure; by default until the poller is stopped at the latest.
    """

    def __init__(
        self, queue: FeedbackQueue, deps: Dependencies, reporter: Reporter, *, pause: Callable[[float], object] | None = None
    ) -> None:
        self._queue = queue
        self._deps = deps
        self._reporter = reporter
        self._faults = 0
        self._is_stopping = threading.Event()
        self._pause = pause or self._is_stopping.wait
        self._is_handling = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="notifyflow-poller", daemon=True)

    def start(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the current message, and start no other.

        A waiting poll ends by itself, and its messages come again.
        """
        self._is_stopping.set()
        if self._is_handling.acquire(timeout=threads.ENDS_WITHIN_S):
            self._is_handling.release()

    def _run(self) -> None:
        try:
            while not self._is_stopping.is_set():
                if self._turn():
                    self._faults = 0
                else:
                    self._faults += 1
                    self._pause(self._pause_s())
        finally:
            self._queue.close()

    def _pause_s(self) -> float:
        fraction = self._deps.ids.fraction()
        return pause_s(self._faults, fraction, first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)

    def _turn(self) -> bool:
        """Poll once and handle the messages; return whether all went well."""
        try:
            handled = [self._handle(parcel) for parcel in self._queue.receive()]
            return all(handled)
        except ProviderError as error:
            if not self._is_stopping.is_set():
                _log.warning("engine.queue_not_polled", error=type(error).__name__, code=error.code)
        except StorageUnavailable as error:
            _log.warning("engine.storage_unavailable", waited_s=error.waited_s)
        except Exception as error:  # noqa: BLE001 - the edge of the thread
            _log.error("engine.poller_broke", error=type(error).__name__, place=source_line(error))
        return False

    def _handle(self, parcel: Parcel) -> bool:
        """Commit the receipts of a message, then delete it; return whether that went well.

        A message that raises is left to the queue, which may have a dead-letter queue for it.
        """
        with self._is_handling:
            if self._is_stopping.is_set():
                return True
            try:
                for receipt in parcel.receipts:
                    self._receive(receipt, parcel.body)
            except StorageUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - one message must not hold up all others
                _log.error("engine.message_broke", error=type(error).__name__, place=source_line(error))
                return False
            self._queue.delete(parcel)
        return True

    def _receive(self, receipt: Receipt, raw: str) -> None:
        fate = receive(self._deps, receipt, raw=raw).finish(self._reporter.report)
        ids = {"provider": receipt.provider, "attempt_id": receipt.attempt_id}
        _log.info("engine.receipt_received", **ids, code=receipt.code, fate=fate.value)
