"""Where the log of a command goes: to standard error, so that standard output stays for what was asked."""

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
            SameLineOnce(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *((people,) if people else machines),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Looked up for each line, not once: a live picture stands in for standard error while it is drawn.
        logger_factory=lambda *_: structlog.PrintLogger(file or sys.stderr),
        cache_logger_on_first_use=False,
    )


class SameLineOnce(logging.Filter):
    """Lets the same line through once a second, for structlog and for ``logging``: whoever can make us write fills no disk.

    A line that is let through again says how many were left out meanwhile (``left_out``).

    Args:
        monotonic: Counts seconds.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen: dict[object, tuple[float, int]] = {}

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Pass a line of structlog's on, or drop it."""
        del logger
        left_out = self._left_out(repr((method, sorted(event.items(), key=lambda fact: fact[0]))))
        if left_out is None:
            raise structlog.DropEvent
        return {**event, "left_out": left_out} if left_out else event

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line of ``logging`` passes."""
        left_out = self._left_out((record.name, record.levelno, record.getMessage()))
        if left_out:
            record.msg, record.args = f"{record.getMessage()} (left_out={left_out})", ()
        return left_out is not None

    def _left_out(self, line: object) -> int | None:
        """Tell how many like this line were left out since the last one; None leaves it out, too."""
        now = self._monotonic()
        with self._lock:
            last, left_out = self._seen.get(line, (-_SAME_LINE_EVERY_S, 0))
            if now - last < _SAME_LINE_EVERY_S:
                self._seen[line] = (last, left_out + 1)
                return None
            if len(self._seen) >= _MOST_LINES:
                self._seen = {each: said for each, said in self._seen.items() if now - said[0] < _SAME_LINE_EVERY_S}
            self._seen[line] = (now, 0)
            return left_out
