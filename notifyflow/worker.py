"""What ``dramatiq notifyflow.worker`` loads: the broker with its actors, and a sweeper beside them.

Importing this *is* starting a worker: it reads the environment, and ends the process with a message where it may not start.
"""

import logging
import sys

import dramatiq
import structlog

from notifyflow.app import NotifyFlow
from notifyflow.errors import NotifyflowError

# At DEBUG they write statements with their parameters, URLs that are secrets, and whole requests.
_TALKATIVE = ("peewee", "urllib3", "requests", "botocore", "boto3", "slack_sdk", "twilio")


def _set_up_logging() -> None:
    """Send our lines where dramatiq has its own lines go: through standard logging, as logfmt; ``-v`` brings no parameters."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # a screenful for every connection that is lost; we say it in a line
    logging.getLogger("transitions").setLevel(logging.WARNING)  # five lines for every move
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
