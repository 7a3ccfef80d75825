"""The rows and the lines of the log that a transaction remembers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the transition log as one transaction wrote it: no other transaction writes an equal line."""

    incident_id: str
    machine: str
    row_id: str
    version: int
    event: str
    at: datetime


@dataclass(slots=True)
class LoadedRow:
    """A row as the database has it (None if it is new), and with the transaction's changes."""

    stored: Any
    now: Any
    is_locked: bool
