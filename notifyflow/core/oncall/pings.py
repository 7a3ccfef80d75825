"""Pings of watched jobs, and the list of the last ones; pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

SHOWN = 100
"""How many of the last pings are stored."""
OUTPUT_LIMIT = 1_000
"""How many characters of a ping's body are stored."""


class Signal(StrEnum):
    """What a ping says."""

    SUCCESS = "success"
    START = "start"
    FAIL = "fail"
    LOG = "log"


class Mark(StrEnum):
    """An entry among the last pings: a ping, or a deadline without one."""

    ON_TIME = "on time"
    LATE = "late"
    STARTED = "started"
    FAILED = "failed"
    LOGGED = "logged"
    MISSED = "missed"
    UNKNOWN = "unknown"


_LETTERS: Mapping[str, Mark] = {mark.value[:2]: mark for mark in Mark}
_ENTRY = re.compile(r"([a-z]{2})(\d{1,11})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """A ping.

    Attributes:
        run_id: Identifies the run; empty without one.
        exit_status: The exit status of a command that failed; None if it was not given.
        output: The beginning of its body.
    """

    signal: Signal
    at: datetime
    run_id: str = ""
    exit_status: int | None = None
    output: str = ""


def entry(at: datetime, mark: Mark) -> str:
    """Write an entry of the last pings: its letters, and its second."""
    return f"{mark.value[:2]}{int(at.timestamp())}"


def read_entries(written: Iterable[str]) -> list[tuple[datetime, Mark]]:
    """Read the last pings, the oldest first; leave out what is damaged, since they are only shown."""
    found = filter(None, map(_ENTRY.fullmatch, written))
    return [(datetime.fromtimestamp(int(each[2]), UTC), _LETTERS[each[1]]) for each in found if each[1] in _LETTERS]
