"""How an incident looks on a terminal: a block for each recipient, a line for each channel."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from notifyflow.cli.screen import plain
from notifyflow.core.facts import AttemptFacts, NotificationFacts
from notifyflow.core.model import (
    AttemptState,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
)
from notifyflow.core.views import EscalationStatus, IncidentStatus, Note

SEVERITY = {
    Severity.CRITICAL: "bold red",
    Severity.ERROR: "bold dark_orange",
    Severity.WARNING: "bold yellow",
    Severity.INFO: "bold blue",
}
_INCIDENT = {IncidentState.OPEN: "bold red", IncidentState.ACKNOWLEDGED: "bold green", IncidentState.RESOLVED: "bold cyan"}
_ESCALATION = {
    EscalationState.ACTIVE: ("◐", "yellow"),
    EscalationState.REACHED: ("●", "green"),
    EscalationState.EXHAUSTED: ("✘", "bold red"),
    EscalationState.ACKNOWLEDGED: ("✔", "bold green"),
    EscalationState.CANCELLED: ("○", "dim"),
}
_NOTIFICATION = {
    NotificationState.QUEUED: ("·", "yellow"),
    NotificationState.SENDING: ("→", "bold yellow"),
    NotificationState.SENT: ("✔", "green"),
    NotificationState.DELIVERED: ("✔", "bold green"),
    NotificationState.FAILED: ("✘", "red"),
    NotificationState.CANCELLED: ("○", "dim"),
}


def picture(status: IncidentStatus) -> RenderableType:
    """Draw an incident with its escalations and notifications."""
    facts = status.facts
    title = Text.assemble((f" {facts.severity} ", SEVERITY[facts.severity]), (plain(status.content.title), "bold default"), " ")
    parts = [_head(status), *(_recipient(each, status) for each in status.escalations)]
    if status.incident_events:
        parts += [Text("\nOther systems", "bold"), _lines(status.incident_events, status.notes, is_reached=False)]
    return Panel(
        Group(*parts),
        title=title,
        title_align="left",
        subtitle=Text(f" {facts.state} ", style=_INCIDENT[facts.state]),
        subtitle_align="right",
        box=box.ROUNDED,
        border_style=SEVERITY[facts.severity].removeprefix("bold "),
        padding=(0, 2),
    )


def _head(status: IncidentStatus) -> Text:
    facts = status.facts
    namespace = [f"namespace {plain(facts.namespace)}"] if facts.namespace else []
    parts = [plain(facts.key), *namespace, f"policy {facts.policy.name}", f"opened {clock_time(facts.opened_at)}"]
    if facts.times_seen > 1:
        parts.append(f"seen {facts.times_seen} times")
    if facts.acknowledged_at is not None:
        how = _way(facts.acknowledged_via)
        parts.append(f"acknowledged by {plain(facts.acknowledged_by)}{how} at {clock_time(facts.acknowledged_at)}")
    if facts.resolved_at is not None:
        how = _way(_logged(status, facts.id, "resolved").get("via", ""))
        parts.append(f"resolved by {plain(facts.resolved_by)}{how} at {clock_time(facts.resolved_at)}")
    if status.is_quarantined:
        parts.append("quarantined: nothing is sent until `notifyflow db adopt` releases or resolves it")
    if status.operations_key is not None:
        parts.append(f"operations alerted ({plain(status.operations_key)})")
    return Text(" · ".join(parts), style="dim")


def _logged(status: IncidentStatus, row_id: str, event: str) -> Mapping[str, str]:
    """Return the details of a row's last such event in the log; empty without one."""
    lines = (line.detail for line in reversed(status.transitions) if (line.row_id, line.event) == (row_id, event))
    return next(lines, {})


def _way(via: str) -> str:
    return f" via {plain(via)}" if via else ""


def _recipient(escalation: EscalationStatus, status: IncidentStatus) -> RenderableType:
    facts = escalation.facts
    mark, style = _ESCALATION[facts.state]
    acknowledged = _logged(status, facts.id, "acknowledged")
    is_own = acknowledged.get("by") == facts.recipient_id
    parts = [facts.state.lower() + (_way(acknowledged.get("via", "")) if is_own else "")]
    if facts.state is EscalationState.ACTIVE and facts.tier:
        parts.append(f"tier {facts.policy.tiers[facts.tier - 1].name}")
    if facts.round > 1:
        parts.append(f"round {facts.round}")
    if facts.critical_at is not None:
        parts.append("critical failure")
    if facts.reason:
        parts.append(plain(facts.reason))
    head = Text.assemble("\n", (f"{mark} ", style), (plain(escalation.contact.name), "bold"), "  ", (" · ".join(parts), style))
    return Group(head, _lines(escalation.notifications, status.notes, is_reached=facts.state is EscalationState.REACHED))


def _about(notification: NotificationFacts) -> str:
    if notification.incident_event is not None:
        return f"{plain(notification.incident_event.subscriber)} ({notification.incident_event.event})"
    return notification.channel if notification.kind is Kind.PAGE else f"{notification.channel} (status update)"


def _lines(notifications: Iterable[NotificationFacts], notes: Sequence[Note], *, is_reached: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(width=2)
    for width in (12, 11, 8):
        table.add_column(min_width=width, no_wrap=True)
    table.add_column(overflow="fold")
    for each in notifications:
        mark, style = _NOTIFICATION[each.state]
        ids = {attempt.id for attempt in each.attempts}
        noted = dict.fromkeys(f"noted: {plain(note.reason or note.code)}" for note in notes if note.attempt_id in ids)
        explanation = Text(", ".join([explain(each, is_reached=is_reached), *noted]), style="dim")
        table.add_row("", _about(each), Text(f"{mark} {each.state}", style=style), _last_moment(each), explanation)
    return table


def explain(notification: NotificationFacts, *, is_reached: bool = False) -> str:
    """Return a short explanation of a notification's state; one whose escalation is REACHED no longer waits for a receipt."""
    counted = [each for each in notification.attempts if each.state is not AttemptState.NOT_SENT]
    if not counted:
        return plain(notification.reason)
    last = counted[-1]
    parts = [last.provider]
    if len(counted) > 1 or last.result not in (Result.ACCEPTED, Result.DELIVERED):
        parts.append(f"attempt {len(counted)} of {notification.max_attempts}")
    if len(counted) > 1 and counted[-2].result is Result.IN_DOUBT:
        parts.append("sent again after a doubt")
    parts.append(_result(last, is_reached=is_reached))
    if notification.state is NotificationState.QUEUED and notification.due_at is not None:
        parts.append(f"next attempt at {clock_time(notification.due_at)}")
    return ", ".join(plain(each) for each in parts if each)


def _result(attempt: AttemptFacts, *, is_reached: bool) -> str:
    because = f"{attempt.reason} ({attempt.code})" if attempt.reason and attempt.code else attempt.reason or attempt.code
    match attempt.result:
        case None:
            return "sending"
        case Result.ACCEPTED:
            text = f"accepted by {attempt.evidence}" if attempt.evidence not in (None, Evidence.ACCEPTED) else "accepted"
            if attempt.receipt_due_at is None:
                return text
            return f"{text}, unconfirmed" if is_reached else f"{text}, waiting for a receipt"
        case Result.DELIVERED:
            return f"confirmed by {attempt.evidence}" if attempt.evidence else "confirmed"
        case Result.IN_DOUBT:
            return f"in doubt: {because}" if because else "in doubt"
        case Result.TEMPORARY_FAILURE | Result.PERMANENT_FAILURE:
            return because or attempt.result.replace("_", " ")


def _last_moment(notification: NotificationFacts) -> str:
    moments = [notification.created_at]
    for attempt in notification.attempts:
        moments.append(attempt.ended_at or attempt.started_at)
    return clock_time(max(moments))


def clock_time(at: datetime) -> str:
    """Return an instant as a local time of day."""
    return f"{at.astimezone():%H:%M:%S}"
