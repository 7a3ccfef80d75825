"""Logging of the commands: to standard error, so that standard output holds only results."""

import logging
import sys
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

import structlog

_SAME_LINE_EVERY_S = 1.0
_MOST_LINES = 1_000


def to_stderr(level: int = logging.ERROR) -> None:
    """Log from this level on: as plain lines on a terminal, as JSON elsewhere."""
    _configure(
        level,
        None,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback) if sys.stderr.isatty() else None,
    )


def to_file(file: TextIO) -> None:
    """Log everything into a file, as JSON."""
    _configure(logging.DEBUG, file, None)


def _configure(level: int, file: TextIO | None, people: structlog.dev.ConsoleRenderer | None) -> None:
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it logs a screenful for each lost connection; we log one line
    machines = (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            SameLineOnce(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *((people,) if people else machines),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Looked up for each line: Rich replaces standard error while it draws a live picture.
        logger_factory=lambda *_: structlog.PrintLogger(file or sys.stderr),
        cache_logger_on_first_use=False,
    )


class SameLineOnce(logging.Filter):
    """Logs the same line at most once a second, for structlog and for ``logging``, so that a client cannot fill the disk.

    The next line that is logged says how many were left out (``left_out``).
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen: dict[object, tuple[float, int]] = {}

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Return the event for structlog to log, or drop it."""
        del logger
        left_out = self._left_out(repr((method, sorted(event.items(), key=lambda fact: fact[0]))))
        if left_out is None:
            raise structlog.DropEvent
        return {**event, "left_out": left_out} if left_out else event

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether ``logging`` logs the record."""
        left_out = self._left_out((record.name, record.levelno, record.getMessage()))
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (left_out={left_out})", ()
        return left_out is not None

    def _left_out(self, line: object) -> int | None:
        """Return how many equal lines were left out since the last one; None if this one is left out, too."""
        now = self._monotonic()
        with self._lock:
            last, left_out = self._seen.get(line, (-_SAME_LINE_EVERY_S, 0))
            if now - last < _SAME_LINE_EVERY_S:
                self._seen[line] = (last, left_out + 1)
                return None
            if len(self._seen) >= _MOST_LINES:
                self._seen = {seen: entry for seen, entry in self._seen.items() if now - entry[0] < _SAME_LINE_EVERY_S}
            self._seen[line] = (now, 0)
            return left_out
