"""The timeline of one recipient, from the transition log."""

from collections.abc import Iterator
from datetime import datetime

from rich.table import Table
from rich.text import Text

from notifyflow.cli.frame.screen import plain
from notifyflow.core.delivery.facts import NotificationFacts, Transition
from notifyflow.core.delivery.model import Kind
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.messages.ways import way

_GOOD, _BAD, _WAITING, _QUIET = "green", "red", "yellow", "dim"
_STYLES = {
    "SENT": _GOOD,
    "DELIVERED": f"bold {_GOOD}",
    "REACHED": f"bold {_GOOD}",
    "ACKNOWLEDGED": f"bold {_GOOD}",
    "FAILED": _BAD,
    "EXHAUSTED": f"bold {_BAD}",
    "QUEUED": _WAITING,
    "ACTIVE": _WAITING,
    "CANCELLED": _QUIET,
}
_DECIDED = {"REACHED": "counts as reached", "EXHAUSTED": "all ways have failed"}
_SILENT = frozenset({"claimed", "queued", "started"})


def timeline(status: IncidentStatus, escalation: EscalationStatus) -> Table:
    """Draw the timeline of one recipient: time, channel, new state, event."""
    rows = {each.id: each for each in escalation.notifications}
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", style=_QUIET, no_wrap=True)
    table.add_column(min_width=12, no_wrap=True)
    table.add_column(min_width=12, no_wrap=True)
    table.add_column()
    for move in _moves(status, escalation):
        row = rows.get(move.row_id)
        style = _STYLES.get(move.target, "")
        when = _after(escalation.facts.started_at, move.at)
        table.add_row(when, _where(row), Text(move.target, style), _what(move, escalation))
    return table


def _moves(status: IncidentStatus, escalation: EscalationStatus) -> Iterator[Transition]:
    mine = {escalation.facts.id, *(each.id for each in escalation.notifications)}
    for move in status.transitions:
        is_shown = move.source != move.target or move.event == "tier_opened"
        if move.row_id in mine and is_shown and move.event not in _SILENT:
            yield move


def _after(start: datetime, at: datetime) -> str:
    return f"+{(at - start).total_seconds():.2f} s"


def _where(row: NotificationFacts | None) -> Text:
    if row is None:
        return Text("escalation", _QUIET)
    return Text(way(row.channel) if row.kind is Kind.PAGE else f"{way(row.channel)} (status update)", "bold")


def _what(move: Transition, escalation: EscalationStatus) -> Text:
    text = _DECIDED.get(move.target, move.event.replace("_", " "))
    if move.event == "tier_opened" and move.detail.get("tier", "").isdigit():
        text = f"tier opened: {escalation.facts.policy.tiers[int(move.detail['tier']) - 1].name}"
    reason, code = move.detail.get("reason", ""), move.detail.get("code", "")
    if reason:
        text += f": {reason}"
    if code and code not in text:
        text += f" ({code})"
    return Text(plain(text))
