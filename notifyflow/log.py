"""Our loggers, over standard ``logging``: one event name and facts a line.

It configures nothing, and prints nothing: the application's configuration of ``logging`` decides what becomes of the lines.
"""

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

_CALLER = 3  # frames between the caller and logging
logging.getLogger("notifyflow").addHandler(logging.NullHandler())  # where nothing is configured, nothing is printed


@dataclass(frozen=True, slots=True)
class LogMessage:
    """The message of a record: an event and its facts. Text is made of them where a handler asks for it."""

    event: str
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.event} {_logfmt()(None, '', dict(self.facts))}".rstrip()


class Logger:
    """Logs events with facts: ``_log.info("engine.circuit_closed", provider="smtp")``.

    In its records the message is the event with the facts, and ``event`` and each fact are attributes, as for ``extra``.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, event: str, **facts: Any) -> None:
        """Log something that is worth knowing later."""
        self._log(logging.INFO, event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Log something that an operator should look at."""
        self._log(logging.WARNING, event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Log something that an operator has to act on."""
        self._log(logging.ERROR, event, facts)

    def _log(self, level: int, event: str, facts: Mapping[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, LogMessage(event, facts), extra={"event": event, **facts}, stacklevel=_CALLER)


def get_logger(name: str) -> Logger:
    """Return the logger of a part of notifyflow."""
    return Logger(name)


def source_line(error: BaseException) -> str:
    """Return where an error was raised, for the log; its text and traceback may hold personal data."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


@cache
def _logfmt() -> Any:
    from structlog.processors import LogfmtRenderer  # with the first line that is read, since it loads rich as well

    return LogfmtRenderer(bool_as_flag=False)
