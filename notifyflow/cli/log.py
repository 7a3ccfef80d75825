"""Where the log of a command goes: to standard error, so that standard output stays for what was asked."""

import logging
import sys
from typing import TextIO

import structlog


def to_stderr(level: int = logging.ERROR) -> None:
    """Log from this level on; as lines for people on a terminal, as JSON for machines."""
    _configure(
        level,
        None,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback) if sys.stderr.isatty() else None,
    )


def to_file(file: TextIO) -> None:
    """Log everything into a file, as JSON."""
    _configure(logging.DEBUG, file, None)


def _configure(level: int, file: TextIO | None, people: structlog.dev.ConsoleRenderer | None) -> None:
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # a screenful for every connection that is lost; we say it in a line
    machines = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *((people,) if people else machines),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Looked up for each line, not once: a live picture stands in for standard error while it is drawn.
        logger_factory=lambda *_: structlog.PrintLogger(file or sys.stderr),
        cache_logger_on_first_use=False,
    )
