"""Our loggers: structlog's over standard ``logging``, with one event name and facts a line.

It configures nothing, neither ``logging`` nor structlog, and prints nothing: the application's configuration of ``logging``
decides what becomes of the lines.
"""

import logging
import traceback
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import structlog

_logfmt = structlog.processors.LogfmtRenderer(bool_as_flag=False)
_CALLER = 4  # frames of structlog between the caller and logging
logging.getLogger("notifyflow").addHandler(logging.NullHandler())  # where nothing is configured, nothing is printed


@dataclass(frozen=True, slots=True)
class Line:
    """The message of a record: an event and its facts. Text is made of them where a handler asks for it."""

    event: str
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.event} {_logfmt(None, '', dict(self.facts))}".rstrip()


def get_logger(name: str) -> Any:
    """Return a logger whose methods take an event and facts: ``_log.info("engine.circuit_closed", provider="smtp")``.

    In its records the message is the event with the facts, and ``event`` and each fact are attributes, as for ``extra``.
    """
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=(structlog.stdlib.filter_by_level, _to_record),
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        cache_logger_on_first_use=True,
    )


def place(error: BaseException) -> str:
    """Return where an error was raised, for the log; its text and traceback may hold personal data."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _to_record(logger: object, method: str, facts: MutableMapping[str, Any]) -> tuple[tuple[Line], dict[str, Any]]:
    """Return the arguments of the method of ``logging``."""
    del logger, method
    event = facts.pop("event")
    return (Line(event, facts),), {"extra": {"event": event, **facts}, "stacklevel": _CALLER}
