"""What notifyflow logs, as a test reads it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from notifyflow.log import Line


class _Ear(logging.Handler):
    """Passes on each of our lines: its level, its event and its facts."""

    def __init__(self, hear: Callable[[str, str, dict[str, Any]], None]) -> None:
        super().__init__()
        self._hear = hear

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, Line):
            self._hear(record.levelname.lower(), record.msg.event, dict(record.msg.facts))


@contextmanager
def heard(hear: Callable[[str, str, dict[str, Any]], None]) -> Iterator[None]:
    """Pass on every line of ours, of every level, and let nobody else read it, until the block ends."""
    ours, ear = logging.getLogger("notifyflow"), _Ear(hear)
    before = ours.level, ours.propagate
    ours.addHandler(ear)
    ours.setLevel(logging.DEBUG)
    ours.propagate = False
    try:
        yield
    finally:
        ours.removeHandler(ear)
        ours.setLevel(before[0])
        ours.propagate = before[1]


@contextmanager
def capture_logs() -> Iterator[list[dict[str, Any]]]:
    """Return a list that fills with the lines of the block, as mappings with ``event``, ``log_level`` and the facts."""
    lines: list[dict[str, Any]] = []
    with heard(lambda level, event, facts: lines.append({"event": event, "log_level": level, **facts})):
        yield lines
