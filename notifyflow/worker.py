"""The worker that ``dramatiq notifyflow.worker`` runs: the broker with its actors, and a sweeper.

Importing this module starts a worker: it reads the environment, and exits with a message if it cannot start.
"""

import logging
import sys

import dramatiq
import structlog

from notifyflow.app import NotifyFlow
from notifyflow.errors import NotifyflowError

# At DEBUG they log statements with their parameters, secret URLs and whole requests.
_TALKATIVE = ("peewee", "urllib3", "requests", "botocore", "boto3", "slack_sdk", "twilio")


def _set_up_logging() -> None:
    """Log through standard logging, as dramatiq does, in logfmt; ``-v`` never logs the parameters of statements."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("pika").setLevel(
        logging.CRITICAL
    )  # it logs a screenful for every lost connection; notifyflow logs one line
    logging.getLogger("transitions").setLevel(logging.WARNING)  # it logs five lines for every transition
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["event"], bool_as_flag=False),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _start() -> None:
    _set_up_logging()
    try:
        dramatiq.set_broker(NotifyFlow.from_env().make_worker())
    except NotifyflowError as error:
        sys.exit(f"notifyflow.worker cannot start.\n{error}")


_start()
