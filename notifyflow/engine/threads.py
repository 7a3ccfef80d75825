"""Ends the threads of a process: waits for their running work, but no longer than the slowest may take."""

import threading
import time

from notifyflow.log import get_logger

_log = get_logger("notifyflow.engine")

ENDS_WITHIN_S = 30.0
"""A request to a provider and the transaction that stores its outcome take less, each within its own time-outs."""


def end(*threads: threading.Thread, within_s: float = ENDS_WITHIN_S) -> None:
    """Wait until threads have ended; log the name of one that has not, and leave it. All are daemons, so they delay no exit."""
    until = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            _log.error("engine.thread_left", thread_name=thread.name, waited_s=within_s)
