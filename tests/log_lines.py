"""What notifyflow logs, as a test reads it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from notifyflow.app.log_output import only_to
from notifyflow.log import LogMessage


class _Ear(logging.Handler):
    """Passes on each of our lines: its level, its event and its facts."""

    def __init__(self, hear: Callable[[str, str, dict[str, Any]], None]) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, LogMessage):
            self._hear(record.levelname.lower(), record.msg.event, dict(record.msg.facts))


def heard(hear: Callable[[str, str, dict[str, Any]], None]) -> AbstractContextManager[None]:
    """Pass on every line of ours, of every level, and let nobody else read it, until the block ends."""
    return only_to(_Ear(hear))


@contextmanager
def capture_logs() -> Iterator[list[dict[str, Any]]]:
    """Return a list that fills with the lines of the block, as mappings with ``event``, ``log_level`` and the facts."""
    lines: list[dict[str, Any]] = []
    with heard(lambda level, event, facts: lines.append({"event": event, "log_level": level, **facts})):
        yield lines
