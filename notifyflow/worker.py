"""The worker that ``dramatiq notifyflow.worker`` runs: the broker with its actors, and a sweeper.

Importing this module starts a worker: it reads the environment, and exits with a message if it cannot start.
"""

import logging
import signal
import sys

import dramatiq

from notifyflow.app import NotifyFlow, log_output, memory
from notifyflow.errors import NotifyflowError


def _start() -> None:
    log_output.to_stderr(default="debug" if logging.root.level == logging.DEBUG else "info")  # as dramatiq's -v says
    stop_later = signal.signal(signal.SIGTERM, _stop_at_once)
    try:
        dramatiq.set_broker(NotifyFlow.from_env().make_worker())
        memory.freeze()
    except NotifyflowError as error:
        sys.exit(f"notifyflow.worker cannot start.\n{error}")
    finally:
        signal.signal(signal.SIGTERM, stop_later)


def _stop_at_once(*_: object) -> None:
    """End the process, which waits for its database and has nothing to finish; dramatiq's handler acts after the start."""
    sys.exit(0)


_start()
