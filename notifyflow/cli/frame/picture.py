"""How an incident looks on a terminal: a block for each recipient, a line for each channel and, if wanted, each attempt."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from notifyflow.app.clock_and_ids import system_now
from notifyflow.cli.frame.line_table import Cells
from notifyflow.cli.frame.screen import UNLIMITED, plain
from notifyflow.cli.frame.timeline import draw_inbound_log, draw_timeline
from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.model import (
    AttemptState,
    DeferralReason,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
)
from notifyflow.core.insight import chain_words, told
from notifyflow.core.insight.chain_steps import current
from notifyflow.core.insight.left_out import LeftOut
from notifyflow.core.insight.next_events import NextEvents
from notifyflow.core.insight.next_words import sentences
from notifyflow.core.insight.series_words import firings
from notifyflow.core.insight.timeline import TimelineEntry
from notifyflow.core.insight.timeline_words import DEFERRED, how
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus, Note
from notifyflow.core.messages import failures
from notifyflow.core.messages.ways import way

SEVERITY = {
    Severity.CRITICAL: "bold red",
    Severity.ERROR: "bold dark_orange",
    Severity.WARNING: "bold yellow",
    Severity.INFO: "bold blue",
}
INCIDENT = {IncidentState.OPEN: "bold red", IncidentState.ACKNOWLEDGED: "bold green", IncidentState.RESOLVED: "bold cyan"}
_ESCALATION = {
    EscalationState.ACTIVE: ("◐", "yellow"),
    EscalationState.REACHED: ("●", "green"),
    EscalationState.EXHAUSTED: ("✘", "bold red"),
    EscalationState.ACKNOWLEDGED: ("✔", "bold green"),
    EscalationState.CANCELLED: ("○", "dim"),
}
NOTIFICATION = {
    NotificationState.QUEUED: ("·", "yellow"),
    NotificationState.SENDING: ("→", "bold yellow"),
    NotificationState.SENT: ("✔", "green"),
    NotificationState.DELIVERED: ("✔", "bold green"),
    NotificationState.FAILED: ("✘", "red"),
    NotificationState.CANCELLED: ("○", "dim"),
}


_NARROW = 64
"""The width up to which nothing stands beside anything else."""


def picture(
    status: IncidentStatus,
    *,
    has_attempts: bool = False,
    zone: tzinfo | None = None,
    now: datetime | None = None,
    next_events: NextEvents | None = None,
    entries: Sequence[TimelineEntry] = (),
) -> RenderableType:
    """Draw an incident with its escalations and notifications.

    Args:
        status: The incident.
        has_attempts: Whether each attempt and each minor entry has a line, too.
        zone: The zone of its times; None for the local one.
        now: The time at which it is looked at; None for that of this machine.
        next_events: What comes next; None shows nothing of it.
        entries: What happened; with it is shown what came in.
    """
    facts, times = status.facts, Times(zone, now or system_now(), status.facts.opened_at)

    def lines(notifications: Iterable[NotificationFacts], *, is_reached: bool = False) -> RenderableType:
        return _lines(notifications, status.notes, times, is_reached=is_reached, has_attempts=has_attempts)

    parts: list[RenderableType] = [Text(plain(status.content.title), "bold"), _head(status, times)]
    parts += map(_damaged, status.damaged_itself)
    parts += [] if next_events is None else _chain(status, next_events, times)
    for each in status.escalations:
        is_reached = each.facts.state is EscalationState.REACHED
        parts += [_recipient(each, status), lines(each.notifications, is_reached=is_reached)]
        parts += map(_damaged, (row for row in status.damaged if row.escalation_id == each.facts.id))
        parts += [] if next_events is None else _next(status, each.facts, next_events, times)
    if status.incident_events:
        parts += [Text("\nOther systems", "bold"), lines(status.incident_events)]
    if entries:
        parts += draw_inbound_log(status.arrivals, brief=times.brief)
        parts += draw_timeline(entries, name=status.name_of, brief=times.brief, has_minor=has_attempts)
    return _Framed(facts, Group(*parts))


@dataclass(frozen=True, slots=True)
class _Framed:
    """An incident within a frame, or below a heading if a frame would take too much room, or has no width to fill."""

    facts: IncidentFacts
    inner: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        severity, state = SEVERITY[self.facts.severity], INCIDENT[self.facts.state]
        if not _NARROW < options.max_width < UNLIMITED:
            yield Text.assemble((self.facts.severity, severity), "  ", (self.facts.state, state))
            yield self.inner
            return
        yield Panel(
            self.inner,
            title=Text(f" {self.facts.severity} ", severity),
            title_align="left",
            subtitle=Text(f" {self.facts.state} ", state),
            subtitle_align="right",
            box=box.ROUNDED,
            border_style=severity.removeprefix("bold "),
            padding=(0, 2),
        )


def _head(status: IncidentStatus, times: Times) -> Text:
    facts = status.facts
    namespace = [f"namespace {plain(facts.namespace)}"] if facts.namespace else []
    parts = [plain(facts.key), *namespace, f"policy {facts.policy.name}", f"opened {times.full(facts.opened_at)}"]
    if facts.times_seen > 1:
        parts.append(f"seen {facts.times_seen} times")
    if series := firings(facts):
        parts.append(series)
    if facts.acknowledged_at is not None:
        way = plain(how(facts.acknowledged_via))
        parts.append(
            f"acknowledged by {plain(status.name_of(facts.acknowledged_by))}{way} at {times.brief(facts.acknowledged_at)}"
        )
    if facts.resolved_at is not None:
        way = plain(how(_logged(status, facts.id, "resolved").get("via", "")))
        parts.append(f"resolved by {plain(status.name_of(facts.resolved_by))}{way} at {times.brief(facts.resolved_at)}")
    if status.is_quarantined:
        parts.append("quarantined: nothing is sent until `notifyflow db adopt` releases or resolves it")
    if status.operations_key is not None:
        parts.append(f"{told.of_incident(status)} ({plain(status.operations_key)})")
    return Text(" · ".join(parts), style="dim")


def _logged(status: IncidentStatus, row_id: str, event: str) -> Mapping[str, str]:
    """Return the details of a row's last such event in the log; empty without one."""
    lines = (line.detail for line in reversed(status.transitions) if (line.row_id, line.event) == (row_id, event))
    return next(lines, {})


def _recipient(escalation: EscalationStatus, status: IncidentStatus) -> Text:
    facts = escalation.facts
    mark, style = _ESCALATION[facts.state]
    parts = [_ending(escalation, status) if facts.state is EscalationState.ACKNOWLEDGED else facts.state.lower()]
    if facts.state is EscalationState.ACTIVE and facts.tier:
        parts.append(f"tier {facts.policy.tiers[facts.tier - 1].name}")
    if facts.round > 1:
        parts.append(f"round {facts.round}")
    if facts.held_up_at is not None:
        parts.append("held up")
    if facts.critical_at is not None:
        parts.append(failures.critical_failure(escalation.critical_reason))
    if facts.reason:
        parts.append(plain(facts.reason))
    contact = escalation.contact
    own_id = "" if contact.name == contact.recipient_id else f" ({plain(contact.recipient_id)})"
    name = (plain(contact.name), "bold"), (own_id, "dim")
    return Text.assemble("\n", (f"{mark} ", style), *name, "  ", (" · ".join(parts), style))


def _ending(escalation: EscalationStatus, status: IncidentStatus) -> str:
    """Return who acknowledged the incident: this recipient, or somebody else, so that this one is no longer paged."""
    facts = escalation.facts
    acknowledged = _logged(status, facts.id, "acknowledged")
    by = acknowledged.get("by", status.facts.acknowledged_by)
    if by == facts.recipient_id:
        return f"acknowledged it{plain(how(acknowledged.get('via', '')))}"
    return f"no longer paged: {plain(status.name_of(by)) or 'somebody'} acknowledged it"


def _next(status: IncidentStatus, facts: EscalationFacts, next_events: NextEvents, times: Times) -> Sequence[Text]:
    """Return the next events of an escalation, a line for each."""
    coming = next_events.escalations.get(facts.id, ())
    told_so, is_too_late = told.of_one(status, facts, brief=times.brief), facts.id in next_events.too_late
    found = sentences(coming, facts, told=told_so, is_too_late=is_too_late, now=next_events.now, brief=times.brief)
    return [Text.assemble("    ", ("next: " if not place else "      ", "dim"), plain(each)) for place, each in enumerate(found)]


def _chain(status: IncidentStatus, next_events: NextEvents, times: Times) -> Iterator[Text]:
    """Yield the steps of the current run of a chain, a line for each, and its next event."""
    name = chain_words.names(status, next_events)
    steps = chain_words.lines(status, current(status), next_events.step, name=name, now=next_events.now, brief=times.brief)
    if steps:
        yield Text("\nChain", "bold")
    for each in steps:
        style = "bold" if each.is_next else "dim" if each.is_ahead else ""
        yield Text(f"    {each.look.sign} {plain(each.who)}  {plain(each.standing)}{plain(each.sooner)}", style)
    if word := "" if next_events.step else chain_words.last_word(status, next_events, name=name, brief=times.brief):
        yield Text(f"    {word}", "dim")


def _damaged(row: LeftOut) -> Text:
    return Text(f"    ✘ a damaged row is not shown whole: {plain(str(row))}", "red")


def _about(notification: NotificationFacts) -> str:
    if notification.incident_event is not None:
        return f"{plain(notification.incident_event.subscriber)} ({notification.incident_event.event})"
    name = way(notification.channel)
    if notification.kind is Kind.PAGE:
        return name if notification.tier else f"{name} (as wished)"
    return f"{name} (status update)"


def _lines(
    notifications: Iterable[NotificationFacts], notes: Sequence[Note], times: Times, *, is_reached: bool, has_attempts: bool
) -> RenderableType:
    rows: list[Cells] = []
    for each in notifications:
        mark, style = NOTIFICATION[each.state]
        ids = {attempt.id for attempt in each.attempts}
        noted = dict.fromkeys(f"noted: {plain(note.reason or note.code)}" for note in notes if note.attempt_id in ids)
        explanation = Text(", ".join([explain(each, times, is_reached=is_reached), *noted]), style="dim")
        told_at = Text(times.brief(_last_moment(each)))
        rows.append((Text(_about(each)), Text(f"{mark} {each.state}", style), told_at, explanation))
        for attempt in each.attempts if has_attempts else ():
            label, moment = Text(f"  attempt {attempt.number}", "dim"), Text(times.brief(attempt.started_at), "dim")
            rows.append((label, Text(), moment, Text(_attempt(attempt), "dim")))
    return Lines(rows)


@dataclass(frozen=True, slots=True)
class Lines:
    """The outcome of each notification: its way, its state, when, and why; one below the other if there is no room."""

    rows: Sequence[Cells]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table.grid(padding=(0, 2))
        if options.max_width <= _NARROW:
            for about, state, at, explanation in self.rows:
                table.add_row(Text.assemble("  ", about, *(("  ", state) if state.plain else ()), "  ", at))
                table.add_row(Padding(explanation, (0, 0, 0, 4)))
        else:
            table.add_column(width=2)
            for width in (12, 11, 8):
                table.add_column(min_width=width, no_wrap=True)
            table.add_column(overflow="fold")
            for row in self.rows:
                table.add_row("", *row)
        yield table


def _attempt(attempt: AttemptFacts) -> str:
    """Return all that is known of an attempt, in a line."""
    outcome = "not sent" if attempt.state is AttemptState.NOT_SENT else _result(attempt, is_reached=False)
    parts = [attempt.provider, outcome]
    if attempt.sent_with is not None:
        parts.append("in one message with others")
    if attempt.is_doubted and attempt.result is not Result.IN_DOUBT:
        parts.append("was in doubt")
    if attempt.is_our_fault:
        parts.append("a fault of ours")
    if attempt.ended_at is not None:
        parts.append(f"took {(attempt.ended_at - attempt.started_at).total_seconds():.1f} s")
    if attempt.provider_ref:
        parts.append(f"id {attempt.provider_ref}")
    return ", ".join(plain(each) for each in parts)


def explain(notification: NotificationFacts, times: Times, *, is_reached: bool = False) -> str:
    """Return a short explanation of a notification's state; one whose escalation is REACHED no longer waits for a receipt."""
    counted = [each for each in notification.attempts if each.state is not AttemptState.NOT_SENT]
    waits = _waits(notification, times)
    if not counted:
        return plain(notification.reason) or waits
    last = counted[-1]
    parts = [last.provider]
    if len(counted) > 1 or last.result not in (Result.ACCEPTED, Result.DELIVERED):
        parts.append(f"attempt {len(counted)} of {notification.max_attempts}")
    if len(counted) > 1 and counted[-2].result is Result.IN_DOUBT:
        parts.append("tried again after a doubt")
    parts.append(_result(last, is_reached=is_reached))
    parts.append(waits)
    if last.ended_at is None:
        end = "given up" if len(counted) >= notification.max_attempts or notification.is_stopped else "tried again"
        parts.append(f"its worker has until {times.brief(last.lease_until)}, then it is {end}")
    return ", ".join(plain(each) for each in parts if each)


def _waits(notification: NotificationFacts, times: Times) -> str:
    """Return the obstacle that a queued notification waits for, and until when; empty for any other."""
    if notification.state is not NotificationState.QUEUED or notification.due_at is None:
        return ""
    until = times.brief(notification.due_at)
    if notification.deferred_by is None:
        return f"next attempt at {until}" if notification.attempts else f"due at {until}"
    return (
        f"paused until {until}"
        if notification.deferred_by is DeferralReason.PAUSE
        else f"deferred {DEFERRED[notification.deferred_by]} until {until}"
    )


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


def _last_moment(notification: NotificationFacts) -> datetime:
    moments = [notification.created_at]
    for attempt in notification.attempts:
        moments.append(attempt.ended_at or attempt.started_at)
    return max(moments)
