"""What log lines, or the notes of a caller, show to have been stored, and the findings about what of it is gone; pure.

After a failover to a standby that had not received everything, nothing else tells of the rest.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from notifyflow.core import ids
from notifyflow.core.text import listed, quantity
from notifyflow.core.upkeep.audit import Finding, Rule

KINDS = ("incident", "escalation", "notification", "attempt")
"""The rows that lines name; each belongs to those before it on its line."""

_ID = "[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}"
_ALONE = re.compile(_ID)
_ROW = re.compile(rf"\b({'|'.join(KINDS)})_id\W{{1,4}}({_ID})\b")
_EVENT = re.compile(r"\b(?:app|engine|web)\.[a-z_]+")
_CHANGE = re.compile(r"\bchange\W{1,4}(\w+)\W+version\W{1,4}(\d+)")
_UNSTORED = re.compile(r"\bfate\W{1,4}(?:foreign|waiting)\b")
_CHANGED = {
    "severity_raised": "raised in its severity",
    "acknowledged": "acknowledged",
    "paged_again": "paged again",
    "resolved": "resolved",
}
"""The events of an incident that somebody asked for, in words."""
_WAS = {"incident": "was accepted", "escalation": "was started", "notification": "was queued", "attempt": "was begun"}
_AHEAD = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A row that a line names.

    Attributes:
        kind: One of ``KINDS``.
        within: The rows that it belongs to, by id, as far as the line names them.
        event: The event that the line logs; empty in the notes of a caller.
        change: The move of the incident that the line logs, if somebody asked for it; else empty.
        version: The incident's, after that move.
    """

    kind: str
    row_id: str
    within: tuple[str, ...] = ()
    event: str = ""
    change: str = ""
    version: int = 0


def mentions(line: str) -> tuple[Mention, ...]:
    """Return the rows that a line names as stored, in any format; a line that is nothing but an id names an incident."""
    line = line.strip()
    if _ALONE.fullmatch(line):
        return (Mention(kind="incident", row_id=line),)
    named: dict[str, str] = dict(_ROW.findall(line))
    if not named or _UNSTORED.search(line):
        return ()
    event, change = _EVENT.search(line), _CHANGE.search(line)
    moved: dict[str, Any] = {}
    if change and change[1] in _CHANGED:
        moved = {"change": change[1], "version": int(change[2])}
    ordered = [(kind, named[kind]) for kind in KINDS if kind in named]
    return tuple(
        Mention(
            kind=kind,
            row_id=row_id,
            within=tuple(outer for _, outer in ordered[:number]),
            event=event.group() if event else "",
            **(moved if kind == "incident" else {}),
        )
        for number, (kind, row_id) in enumerate(ordered)
    )


def is_certain(row_id: str, *, now: datetime, kept_for: timedelta) -> bool:
    """Return whether a row cannot have been deleted by a prune, which keeps what was resolved within some time."""
    return ids.lowest(now - kept_for) <= row_id < ids.lowest(now + _AHEAD)


def unmatched(attempt_id: str, provider: str) -> Finding:
    """Return the finding that a provider has reported on an attempt without a row."""
    what = f"has a receipt of {provider}, and is gone; or another installation, with the same account there, has sent it"
    return Finding(rule=Rule.LOST, machine="attempt", row_id=attempt_id, incident_id="", what=what)


def findings(gone: Mapping[str, Mention], undone: Iterable[Mention]) -> Iterator[Finding]:
    """Yield the findings: each row that is gone, with the number of those that belong to it, and each change that is undone.

    Args:
        gone: The rows that are not stored, by id.
        undone: Incidents that are stored without the move that was logged.
    """
    inner: dict[str, Counter[str]] = {}
    for each in gone.values():
        for outer in each.within:
            inner.setdefault(outer, Counter())[each.kind] += 1
    for each in gone.values():
        if not any(outer in gone for outer in each.within):
            yield _finding(each, f"{_WAS[each.kind]} at {_time(each)}{_as(each)}, and is gone{_with(inner.get(each.row_id))}")
    for each in undone:
        yield _finding(each, f"was {_CHANGED[each.change]} (version {each.version}){_as(each)}, and that is undone")


def _finding(each: Mention, what: str) -> Finding:
    incident_id = each.row_id if each.kind == "incident" else (each.within or ("",))[0]
    return Finding(rule=Rule.LOST, machine=each.kind, row_id=each.row_id, incident_id=incident_id, what=what)


def _time(each: Mention) -> str:
    return ids.made_at(each.row_id).isoformat(timespec="milliseconds")


def _as(each: Mention) -> str:
    return f", as {each.event} says" if each.event else ""


def _with(counts: Mapping[str, int] | None) -> str:
    if not counts:
        return ""
    return f", with {listed([quantity(counts[kind], kind) for kind in KINDS if kind in counts])}"
