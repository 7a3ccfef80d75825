"""How an incident looks on a terminal: a block for each recipient, a line for each channel and, if wanted, each attempt."""

from collections.abc import Iterable, Iterator, Sequence
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
from notifyflow.cli.frame.screen import TONES, UNLIMITED, plain
from notifyflow.cli.frame.timeline import draw_inbound_log, draw_timeline
from notifyflow.core.delivery.facts import IncidentFacts, NotificationFacts
from notifyflow.core.delivery.model import EscalationState, Severity
from notifyflow.core.insight import chain_words, told
from notifyflow.core.insight.attempt_words import AttemptView
from notifyflow.core.insight.chain_steps import current
from notifyflow.core.insight.describer import Describer, NotificationView, RoundView, head
from notifyflow.core.insight.left_out import LeftOut
from notifyflow.core.insight.next_events import NextEvents
from notifyflow.core.insight.timeline import Explain, TimelineEntry
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.messages.looks import INCIDENTS, NOTIFICATIONS, StateLook

SEVERITY = {
    Severity.CRITICAL: "bold red",
    Severity.ERROR: "bold dark_orange",
    Severity.WARNING: "bold yellow",
    Severity.INFO: "bold blue",
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
    explain: Explain | None = None,
) -> RenderableType:
    """Draw an incident with its escalations and notifications.

    Args:
        status: The incident.
        has_attempts: Whether each attempt and each minor entry has a line, too.
        zone: The zone of its times; None for the local one.
        now: The time at which it is looked at; None for that of this machine.
        next_events: What comes next; None shows nothing of it.
        entries: What happened; with it is shown what came in.
        explain: Returns the meaning of a code from the tables of a channel; None knows none.
    """
    facts, times = status.facts, Times(zone, now or system_now(), status.facts.opened_at)
    described = Describer(status, next_events, brief=times.brief, explain=explain or (lambda channel, code: ""))
    parts: list[RenderableType] = [Text(plain(status.content.title), "bold"), _head(status, times)]
    parts += map(_damaged, status.damaged_itself)
    parts += [] if next_events is None else _chain(status, next_events, times)
    for each in status.escalations:
        one = described.round(each)
        parts += [_recipient(each, one), _lines(one.notifications, times, has_attempts=has_attempts)]
        parts += map(_damaged, one.damaged)
        parts += _next(one)
    if status.incident_events:
        parts += [Text("\nOther systems", "bold"), _lines(described.incident_events, times, has_attempts=has_attempts)]
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
        severity, state = SEVERITY[self.facts.severity], state_of(self.facts)
        if not _NARROW < options.max_width < UNLIMITED:
            yield Text.assemble((self.facts.severity, severity), "  ", state)
            yield self.inner
            return
        yield Panel(
            self.inner,
            title=Text(f" {self.facts.severity} ", severity),
            title_align="left",
            subtitle=Text.assemble(" ", state, " "),
            subtitle_align="right",
            box=box.ROUNDED,
            border_style=severity.removeprefix("bold "),
            padding=(0, 2),
        )


def state_of(facts: IncidentFacts) -> Text:
    """Draw the state of an incident."""
    return _state(INCIDENTS[facts.state], facts.state)


def notification_state(facts: NotificationFacts) -> Text:
    """Draw the state of a notification."""
    return _state(NOTIFICATIONS[facts.state], facts.state)


def _state(look: StateLook, name: str) -> Text:
    return Text(f"{look.sign} {name}", TONES[look.tone])


def _head(status: IncidentStatus, times: Times) -> Text:
    parts = [f"{term.lower()} {text}" for term, text in head(status, times)]
    if status.is_quarantined:
        parts.append("quarantined: nothing is sent until `notifyflow db adopt` releases or resolves it")
    if status.operations_key is not None:
        parts.append(f"{told.of_incident(status)} ({status.operations_key})")
    return Text(plain(" · ".join(parts)), style="dim")


def _recipient(escalation: EscalationStatus, one: RoundView) -> Text:
    facts, contact, style = one.facts, escalation.contact, TONES[one.look.tone]
    is_active = facts.state is EscalationState.ACTIVE and facts.tier
    tier = [f"tier {facts.policy.tiers[facts.tier - 1].name}"] if is_active else []
    parts = [one.look.word, *tier, *([f"round {facts.round}"] if facts.round > 1 else []), *one.remarks]
    own_id = "" if contact.name == contact.recipient_id else f" ({plain(contact.recipient_id)})"
    name = (plain(contact.name), "bold"), (own_id, "dim")
    return Text.assemble("\n", (f"{one.look.sign} ", style), *name, "  ", (plain(" · ".join(parts)), style))


def _next(one: RoundView) -> Iterator[Text]:
    """Yield the next events of an escalation, or why there are none, a line for each."""
    for place, each in enumerate(one.coming):
        yield Text.assemble("    ", ("next: " if not place else "      ", "dim"), plain(each))


def _chain(status: IncidentStatus, next_events: NextEvents, times: Times) -> Iterator[Text]:
    """Yield the steps of the current run of a chain, a line for each, and its next event."""
    name = chain_words.names(status, next_events)
    steps = chain_words.lines(status, current(status), next_events.step, name=name, now=next_events.now, brief=times.brief)
    if steps:
        yield Text("\nChain", "bold")
    for each in steps:
        style = "bold" if each.is_next else "dim" if each.is_ahead else ""
        yield Text(f"    {each.look.sign} {plain(each.who)}  {plain(each.status_text)}{plain(each.sooner)}", style)
    if word := "" if next_events.step else chain_words.last_word(status, next_events, name=name, brief=times.brief):
        yield Text(f"    {word}", "dim")


def _damaged(row: LeftOut) -> Text:
    return Text(f"    ✕ a damaged row is not shown whole: {plain(str(row))}", "red")


def _lines(notifications: Iterable[NotificationView], times: Times, *, has_attempts: bool) -> RenderableType:
    rows: list[Cells] = []
    for each in notifications:
        rows.append(
            (
                Text(plain(each.name)),
                notification_state(each.facts),
                Text(times.brief(each.last_at)),
                Text(plain(each.line), "dim"),
            )
        )
        for attempt in each.attempts if has_attempts else ():
            label, moment = Text(f"  attempt {attempt.facts.number}", "dim"), Text(times.brief(attempt.facts.started_at), "dim")
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


def _attempt(attempt: AttemptView) -> str:
    """Return all that is known of an attempt, in a line."""
    ref = attempt.facts.provider_ref
    return plain(", ".join((attempt.facts.provider, attempt.look.word, *attempt.details, *((f"id {ref}",) if ref else ()))))
