"""The log of our own processes: where lines go, from which level on, and their format, for our lines and those of libraries."""

import logging
import os
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, TextIO

from notifyflow.log import LogMessage, get_logger
from notifyflow.settings import LogFormat, LogLevel, Settings

if TYPE_CHECKING:
    from structlog.typing import Processor

_log = get_logger("notifyflow.app")

_SAME_LINE_EVERY_S = 1.0
_MOST_LINES, _MOST_WAITING = 1_000, 10_000
# The most that libraries may log. Below INFO some log statements with their parameters, secret URLs and whole requests;
# pika logs a screenful for every lost connection, aiosmtpd the addresses of a mail, ical whole calendars.
_AT_MOST = {
    **dict.fromkeys(("peewee", "urllib3", "requests", "botocore", "boto3", "slack_sdk", "twilio"), logging.INFO),
    **dict.fromkeys(("ical", "mail.log"), logging.WARNING),
    "pika": logging.CRITICAL,
}


def to_stderr(*, default: LogLevel) -> None:
    """Log to standard error from the set level on, or the default, so that standard output holds only results."""
    settings, _ = Settings.tolerant()
    handler = StandardError()
    handler.addFilter(SameLineOnce())
    handler.setFormatter(LineFormatter(settings.log_format or ("console" if os.isatty(2) else "json")))
    handler.setLevel((settings.log_level or default).upper())
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(handler.level)
    for name, level in _AT_MOST.items():
        logging.getLogger(name).setLevel(level)


@contextmanager
def only_to(handler: logging.Handler) -> Iterator[None]:
    """Pass all of our lines, of every level, only to a handler until the block ends."""
    ours = logging.getLogger("notifyflow")
    level, propagate = ours.level, ours.propagate
    ours.addHandler(handler)
    ours.setLevel(logging.DEBUG)
    ours.propagate = False
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(level)
        ours.propagate = propagate


def into(file: TextIO) -> AbstractContextManager[None]:
    """Log all of our lines into a file, as JSON, and nowhere else."""
    handler = logging.StreamHandler(file)
    handler.setFormatter(LineFormatter("json"))
    return only_to(handler)


class StandardError(logging.StreamHandler[TextIO]):
    """Writes lines to standard error. Lines that come while another is written leave with the next write, all at once.

    No thread waits for another's write, not even if nobody reads standard error; then only the newest lines are kept, and a line
    says how many are lost. Standard error is looked up for each write: Rich replaces it while it draws, and dramatiq in its
    workers.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self._lines: deque[str] = deque(maxlen=_MOST_WAITING)
        self._lost = 0

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # as in logging's own handler of last resort
        """Where the lines go."""
        return sys.stderr

    def handle(self, record: logging.LogRecord) -> bool:
        """Log a record; the lock is for writing only."""
        is_logged = bool(self.filter(record))
        if is_logged:
            self.emit(record)
        return is_logged

    def emit(self, record: logging.LogRecord) -> None:
        """Add the line; write all that wait, unless another thread writes, which then writes this one, too."""
        try:
            line = self.format(record) + self.terminator
            self._lost += len(self._lines) == _MOST_WAITING
            self._lines.append(line)
            while self._lines and self.lock and self.lock.acquire(blocking=False):
                try:
                    self.stream.write("".join(self._lines.popleft() for _ in range(len(self._lines))))
                    self.flush()
                finally:
                    self.lock.release()
                if self._lost:
                    lost, self._lost = self._lost, 0
                    _log.warning("app.log_lines_lost", lines=lost)
        except Exception:  # noqa: BLE001 - as in logging's own handlers
            self.handleError(record)


class LineFormatter(logging.Formatter):
    """Writes a record in one of the formats: our event and its facts, or the message of a library."""

    def __init__(self, name: LogFormat) -> None:
        super().__init__()
        self._name = name

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = record.msg if isinstance(record.msg, LogMessage) else LogMessage(record.getMessage(), {})
        level = record.levelname.lower()
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = {"timestamp": at, "level": level, "logger": record.name, "event": line.event, **line.facts}
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        return str(self._render(None, level, facts))

    @cached_property
    def _render(self) -> "Processor":
        from structlog import dev, processors  # with the first line: most commands print none

        match self._name:
            case "console":
                return dev.ConsoleRenderer(colors=os.isatty(2), exception_formatter=dev.plain_traceback)
            case "json":
                return processors.JSONRenderer(ensure_ascii=False)
            case "logfmt":
                return processors.LogfmtRenderer(key_order=["timestamp", "level", "logger", "event"], bool_as_flag=False)


class SameLineOnce(logging.Filter):
    """Logs the same line at most once a second, so that a client cannot fill the disk, not even by repeating a genuine callback.

    The next line that is logged says how many were left out (``left_out``). The thousand newest lines are kept, in the order
    in which they were logged: a line costs the same whatever the rate.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._seen: OrderedDict[object, tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether ``logging`` logs the record."""
        left_out = self._left_out((record.name, record.levelno, record.getMessage()))
        if left_out and isinstance(record.msg, LogMessage):
            record.msg = LogMessage(record.msg.event, {**record.msg.facts, "left_out": left_out})
        elif left_out:
            record.msg, record.args = f"{record.getMessage()} (left_out={left_out})", ()
        return left_out is not None

    def _left_out(self, line: object) -> int | None:
        """Return how many equal lines were left out since the last one; None to leave this one out, too."""
        now = self._monotonic()
        with self._lock:
            last, left_out = self._seen.get(line, (-_SAME_LINE_EVERY_S, 0))
            if now - last < _SAME_LINE_EVERY_S:
                self._seen[line] = (last, left_out + 1)
                return None
            self._seen[line] = (now, 0)
            self._seen.move_to_end(line)
            if len(self._seen) > _MOST_LINES:
                self._seen.popitem(last=False)
            return left_out
