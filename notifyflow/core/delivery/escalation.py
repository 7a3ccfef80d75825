"""Decisions about an escalation: which tiers open, its state, and whether operations is alerted; pure.

A decision fires the machine on a subject. The machine's guards apply ``tier_rules``; its effects append the steps for the
transition log, and the effects that the caller writes in the same transaction.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast

from notifyflow.core.copies import replace
from notifyflow.core.delivery import held_up, rounds, series, tier_rules
from notifyflow.core.delivery.facts import EscalationFacts
from notifyflow.core.delivery.lifecycle import StopEvent
from notifyflow.core.delivery.machines import MACHINES
from notifyflow.core.delivery.model import REACHING, EscalationState, NotificationState, Severity
from notifyflow.core.delivery.page_rules import DecisionContext as DecisionContext
from notifyflow.core.state_machine import Cell, Move

_MACHINE = MACHINES["escalation"]

Cause = Literal["recorded", "received", "timer_due", "address_added", "round_due"]
"""The cause of a decision.

An attempt was recorded, lost, released or ended; a receipt came; a timer is due; the recipient has another address; the
recipient's next round is due, by the policy or since an address has changed.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMove:
    """One line for the transition log."""

    event: str
    source: str
    target: str
    detail: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTier:
    """Effect: queue a page, due now, on each channel of a tier, except where the tier adopts a wished page.

    Attributes:
        number: The number of the tier; 0 for the wished channels that no open tier has.
        channels: The channels on which a page is queued; empty only if all are adopted.
        adopted: The channels whose wished pages become pages of the tier.
    """

    number: int
    channels: tuple[str, ...]
    adopted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOperations:
    """Effect: the escalation became a critical failure, or a linked failure now pages operations.

    Attributes:
        reason: ``exhausted``, ``unreachable`` (EXHAUSTED from the start), ``critical_channels_failed``, ``unanswered``,
            ``unproven`` (CRITICAL: nothing is left to try, and no page is shown to have arrived), ``unconfirmed`` (REACHED, but
            no page is shown to have arrived), ``chain_over`` (nobody has acknowledged, and nobody is next), ``held_up`` (every
            remaining way is held up), or ``flapping`` (the incident's key is flapping); the last two are no critical failures.
        is_paging: Whether operations is paged; otherwise the failure is only linked to the operations incident.
        is_deferred: Whether paging operations waits for the end of a silence; the failure is linked meanwhile.
        path: The provider whose callback path alone leaves it unproven; operations is paged for the path as one failure. Empty
            for any other.
    """

    reason: str
    is_paging: bool
    path: str = ""
    is_deferred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPages:
    """Effect: ``lifecycle.stop(row, event)`` for each page of the escalation."""

    event: StopEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRound:
    """Effect: a new round replaces the escalation.

    Attributes:
        repetition: Number of the round within the policy's ``repeat``, from 1.
        is_readdressed: Whether a changed address starts it.
    """

    repetition: int
    is_readdressed: bool = False


Effect = OpenTier | AlertOperations | StopPages | StartRound


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The result of a decision.

    Attributes:
        after: The escalation. Save it even if ``steps`` is empty: ``next_decision_at`` or ``critical_at`` may have changed.
        steps: Lines for the transition log, in order; the last one ends in ``after.state``.
        effects: Effects to write in the same transaction, in order.
    """

    after: EscalationFacts
    steps: tuple[LoggedMove, ...] = ()
    effects: tuple[Effect, ...] = ()


def start(context: DecisionContext, *, now: datetime) -> Decided:
    """Decide the first tiers and the state of a new escalation; the transition log gets one line, the start.

    Args:
        context: ``escalation`` is new (ACTIVE, tier 0); there are no notifications.
        now: The time of the decision.
    """
    new = replace(context, escalation=replace(context.escalation, next_round_at=rounds.due_at(context)))
    subject = _EscalationSubject(new, now)
    subject.decide("timer_due", is_start=True)
    escalation = subject.context.escalation
    is_unreachable = escalation.state is EscalationState.EXHAUSTED
    after = replace(escalation, reason="no address in any tier that may open") if is_unreachable else escalation
    return Decided(after=after, effects=tuple(subject.effects))


def decide(context: DecisionContext, *, event: Cause, now: datetime) -> Decided:
    """Open tiers, name the state and alert operations; on a closed escalation the event is late and changes nothing.

    A ``round_due`` that outages or pauses have put off is handled as ``timer_due``.
    """
    if not _is_live(context.escalation):
        return Decided(after=context.escalation)
    if event == "round_due" and context.escalation.readdress_at is not None:
        if tier_rules.has_reached(context):
            context = replace(context, escalation=replace(context.escalation, readdress_at=None))
        elif _may_readdress(context, now):
            return _readdressed(context)
    if event == "round_due" and not _is_round_due(context, now):
        event = "timer_due"
    subject = _EscalationSubject(context, now)
    subject.decide(event)
    return subject.decided()


def change_address(context: DecisionContext, *, was_lost: bool, now: datetime) -> Decided:
    """Page a changed address on the open tiers; or by a new round, if nothing had arrived and nothing was left to try.

    Such a round starts 15 minutes after the last one at the earliest, with the addresses of that time.

    Args:
        context: The escalation, with the new addresses.
        was_lost: Whether, with the old addresses, it was EXHAUSTED or unproven, or one had failed and no tier was left.
        now: The time of the decision.
    """
    if was_lost and _is_live(context.escalation):
        if _may_readdress(context, now):
            return _readdressed(context)
        context = replace(context, escalation=replace(context.escalation, readdress_at=rounds.readdress_at(context)))
    return decide(context, event="address_added", now=now)


def _may_readdress(context: DecisionContext, now: datetime) -> bool:
    at = rounds.readdress_at(context)
    return at is None or now >= at


def _readdressed(context: DecisionContext) -> Decided:
    return Decided(after=context.escalation, effects=(StartRound(repetition=1, is_readdressed=True),))


def acknowledge(context: DecisionContext, *, now: datetime) -> Decided:
    """End an escalation whose recipient, or whose whole incident, has acknowledged."""
    if not _is_live(context.escalation):
        return Decided(after=context.escalation)
    subject = _EscalationSubject(context, now)
    _MACHINE.fire("acknowledged", subject)
    return subject.decided()


def close(context: DecisionContext, *, event: Literal["resolved", "replaced"], now: datetime) -> Decided:
    """End an escalation whose incident is resolved, or that a newer round replaces; ``after.is_current`` is False."""
    subject = _EscalationSubject(replace(context, escalation=replace(context.escalation, is_current=False)), now)
    _MACHINE.fire(event, subject)
    return subject.decided()


def queues_pages(effects: Iterable[Effect]) -> bool:
    """Return whether effects queue pages of a tier; wished pages do not count."""
    return any(isinstance(effect, OpenTier) and effect.number and effect.channels for effect in effects)


def with_adopted(context: DecisionContext, decided: Decided) -> DecisionContext:
    """Return a context in which the wished pages adopted by a decision are pages of their tiers."""
    openings = [effect for effect in decided.effects if isinstance(effect, OpenTier)]
    tiers = {channel: effect.number for effect in openings for channel in effect.adopted}
    wished = {row.id: replace(row, tier=tiers[row.channel]) for row in context.wished if row.channel in tiers}
    return replace(context, notifications=tuple(wished.get(row.id, row) for row in context.notifications))


def _is_round_due(context: DecisionContext, now: datetime) -> bool:
    due_at = rounds.due_at(context)
    return context.escalation.next_round_at is not None and due_at is not None and now >= due_at


def _is_live(escalation: EscalationFacts) -> bool:
    return escalation.is_current and _MACHINE.table.cell(escalation.state, "timer_due") is Cell.MOVES


class _EscalationSubject:
    """The subject of the machine: a decision context, with the steps and effects so far."""

    def __init__(self, context: DecisionContext, now: datetime) -> None:
        self.state = str(context.escalation.state)
        self.context = context
        self.steps: list[LoggedMove] = []
        self.effects: list[Effect] = []
        self._now = now

    def decide(self, event: Cause, *, is_start: bool = False) -> None:
        """Open tiers, unless a new round replaces them at once, then name the state."""
        if event == "round_due" and not rounds.is_last(self.context.escalation):
            _MACHINE.fire(event, self)
            return
        if event == "address_added" and tier_rules.may_page(self.context, self._now):
            self.effects += [OpenTier(number=number, channels=channels) for number, channels in tier_rules.lacking(self.context)]
        self.effects += [
            OpenTier(number=number, channels=channels) for number, channels in tier_rules.paging_again(self.context, self._now)
        ]
        while _MACHINE.offer("tier_opened", self):
            continue
        if (is_start and self.context.escalation.carried is None) or event == "address_added":
            self._page_as_wished()
        _MACHINE.fire(event, self)

    def decided(self) -> Decided:
        return Decided(after=self.context.escalation, steps=tuple(self.steps), effects=tuple(self.effects))

    def is_rule_met(self, move: Move) -> bool:
        del move
        return tier_rules.reason_to_open(self.context, self._now) is not None

    def heads_for(self, move: Move) -> bool:
        return move.target == tier_rules.name_state(self.context, self._now, is_opening=self._is_opening)

    def open_tier(self, move: Move) -> None:
        escalation = self.context.escalation
        number = escalation.tier + 1
        channels = tier_rules.ways(self.context, escalation.policy.tiers[escalation.tier])
        why = tier_rules.reason_to_open(self.context, self._now) or ""
        adopted = () if why == "unacknowledged" else self._adopt(number, channels)
        joined = {"adopted": " ".join(adopted)} if adopted else {}
        self._become(move, tier=number, detail={"tier": str(number), "why": why, **joined})
        if channels:
            new = tuple(channel for channel in channels if channel not in adopted)
            self.effects.append(OpenTier(number=number, channels=new, adopted=adopted))

    def arrive(self, move: Move) -> None:
        is_round = move.event == "round_due"
        self._become(move, detail={"repetition": str(self.context.escalation.repetition)} if is_round else None)
        is_told = any(row.state in REACHING for row in self.context.pages)
        self._update(
            replace(
                self.context.escalation,
                next_decision_at=self._next_decision_at(),
                next_round_at=rounds.next_at(self.context, self._now, has_passed=is_round),
                reported_at=self._reported_at(is_told=is_told),
            )
        )
        if is_round and not rounds.is_last(self.context.escalation):
            self.effects.append(StartRound(repetition=self.context.escalation.repetition + 1))
            return
        self._alert(is_over=is_round, was_settled=EscalationState.ACTIVE not in (move.source, move.target))
        self._hold_up()

    def stop_pages(self, move: Move) -> None:
        self._become(move)
        reported_at = self._reported_at(is_told=move.event == "acknowledged")
        escalation = self.context.escalation
        self._update(replace(escalation, next_decision_at=None, next_round_at=None, readdress_at=None, reported_at=reported_at))
        self.effects.append(StopPages(event=cast(StopEvent, move.event)))

    @property
    def _is_opening(self) -> bool:
        return queues_pages(self.effects)

    def _page_as_wished(self) -> None:
        """Queue pages on the wished channels that no open tier has."""
        channels = tier_rules.wished_ways(self.context) if tier_rules.may_page(self.context, self._now) else ()
        if channels:
            self.effects.append(OpenTier(number=0, channels=channels))

    def _adopt(self, number: int, channels: tuple[str, ...]) -> tuple[str, ...]:
        """Make wished pages on these channels pages of the opening tier, if they may still arrive; return their channels."""
        adopted = {row.id: replace(row, tier=number) for row in tier_rules.adoptable(self.context, channels, self._now)}
        rows = tuple(adopted.get(row.id, row) for row in self.context.notifications)
        self.context = replace(self.context, notifications=rows)
        return tuple(row.channel for row in adopted.values())

    def _reported_at(self, *, is_told: bool) -> datetime | None:
        """Return when the contents of an operations round were first told."""
        is_new = is_told and self.context.incident.is_operations
        return self.context.escalation.reported_at or (self._now if is_new else None)

    def _next_decision_at(self) -> datetime | None:
        is_queuing = any(isinstance(effect, OpenTier) and effect.channels for effect in self.effects)
        next_decision_at = tier_rules.next_decision_at(self.context, self._now, is_opening=is_queuing)
        timers = held_up.timers(self.context, self._now)
        return min([*timers, *([] if next_decision_at is None else [next_decision_at])], default=None)

    def _alert(self, *, is_over: bool, was_settled: bool) -> None:
        """Mark a critical failure, and page operations; a bounce pages nobody if the round is settled before and after it."""
        escalation, is_operations = self.context.escalation, self.context.incident.is_operations
        is_linked_only = is_operations or self.context.incident.run_number > 0  # the end of a chain pages operations
        is_done = escalation.critical_at if is_operations else escalation.alerted_at
        if is_done or escalation.severity is Severity.INFO:
            return
        reasons = list(self._reasons(is_over=is_over))
        paging = [reason for reason in reasons if not is_linked_only and self._is_paging(reason, was_settled=was_settled)]
        if not paging and (escalation.critical_at or not reasons):
            return
        critical_at = escalation.critical_at or self._now
        self._update(replace(escalation, critical_at=critical_at, alerted_at=self._now if paging else None))
        if not is_operations:
            self.effects.append(AlertOperations(reason=(paging or reasons)[0], is_paging=bool(paging)))

    def _hold_up(self) -> None:
        """Mark that every remaining way is held up, and page operations; a later critical failure pages it again."""
        escalation = self.context.escalation
        is_told = escalation.held_up_at is not None or escalation.alerted_at is not None
        if is_told or self._is_opening or not held_up.is_held_up(self.context, self._now):
            return
        self._update(replace(escalation, held_up_at=self._now))
        self.effects.append(AlertOperations(reason=held_up.REASON, is_paging=self.context.incident.run_number == 0))

    def _reasons(self, *, is_over: bool) -> Iterator[str]:
        """Yield why the escalation is a critical failure, the clearest reason first."""
        state = self.context.escalation.state
        if is_over:
            yield "unanswered"
        pages = self.context.pages
        is_silent = any(row.state is not NotificationState.FAILED for row in pages)
        if state is EscalationState.EXHAUSTED and not is_silent:
            yield "exhausted" if pages else "unreachable"
        if tier_rules.have_critical_channels_failed(self.context):
            yield "critical_channels_failed"
        is_unproven = tier_rules.is_unproven(self.context, self._now) and not self._is_opening
        if is_unproven or (state is EscalationState.EXHAUSTED and is_silent):
            yield "unproven"
        if tier_rules.is_unconfirmed(self.context):
            yield "unconfirmed"

    def _is_paging(self, reason: str, *, was_settled: bool) -> bool:
        if reason == "unanswered" and series.has_told(self.context.incident, self.context.escalation.severity, self._now):
            return False
        if reason == "unconfirmed":
            return False
        is_sure = reason in ("unanswered", "unreachable") or (reason == "unproven" and not was_settled)
        return is_sure or tier_rules.has_expired_unreached(self.context) or tier_rules.has_fresh_failure(self.context, self._now)

    def _become(self, move: Move, *, detail: Mapping[str, str] | None = None, tier: int | None = None) -> None:
        """Set the state to the move's target; add a step if the state changes or there is a detail."""
        escalation = self.context.escalation
        self._update(replace(escalation, state=EscalationState(move.target), tier=escalation.tier if tier is None else tier))
        if detail or move.source != move.target:
            self.steps.append(LoggedMove(event=move.event, source=move.source, target=move.target, detail=detail or {}))

    def _update(self, escalation: EscalationFacts) -> None:
        self.context = replace(self.context, escalation=escalation)
