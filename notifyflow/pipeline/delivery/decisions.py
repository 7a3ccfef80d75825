"""Writes the core's decisions about an escalation; the caller holds the escalation's lock until the transaction ends."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Literal, assert_never

from notifyflow.core.copies import replace
from notifyflow.core.delivery import chain, lifecycle, set_aside, tier_rules
from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery import series as series_rules
from notifyflow.core.delivery.escalation import (
    AlertOperations,
    Cause,
    Decided,
    DecisionContext,
    Effect,
    OpenTier,
    StartRound,
    StopPages,
)
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.model import (
    LIVE,
    ON_THEIR_WAY,
    Contact,
    EscalationState,
    IncidentState,
    Kind,
    NotificationState,
    Page,
    Stopped,
)
from notifyflow.core.delivery.policy import RetrySchedule
from notifyflow.core.limits import preferences, quiet
from notifyflow.core.messages import bundle
from notifyflow.pipeline.delivery import callback_paths, outages, series
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.ledger import AttemptRef


def load(tx: Transaction, refs: Sequence[AttemptRef]) -> None:
    """Do the locking of ``lock`` for a set of attempts, and load the rows for their decisions, all at once."""
    tx.ledger.escalations.load_attempts(refs)
    tx.ledger.intervals.load({ref.incident_id for ref in refs}, now=tx.now)


def lock(tx: Transaction, ref: AttemptRef) -> tuple[EscalationFacts, NotificationFacts]:
    """Lock the escalation of an attempt, then its notification.

    The escalation's other notifications are read without their locks, so that a claim does not skip them meanwhile.
    """
    return tx.ledger.escalations.lock(ref.escalation_id), tx.ledger.notifications.lock(ref.notification_id)


def schedule(escalation: EscalationFacts, row: NotificationFacts) -> RetrySchedule:
    """Return the retry schedule for temporary failures of a notification."""
    return escalation.policy.retries.schedule(row.channel, escalation.severity)


def fraction(tx: Transaction, ref: AttemptRef) -> float:
    """Return the jitter of an attempt's retry, from 0 to 1; it is the same for all attempts of one call."""
    return tx.deps.ids.fraction() if ref.sent_with is None else bundle.jitter(ref.sent_with)


def decide_page(tx: Transaction, escalation: EscalationFacts, row: NotificationFacts, *, cause: Cause) -> None:
    """Decide a locked escalation after one of its notifications has changed, if that is a page."""
    if row.kind is Kind.PAGE:
        decide(tx, escalation, cause=cause)


def decide(tx: Transaction, escalation: EscalationFacts, *, cause: Cause) -> None:
    """Decide a locked escalation by its stored state; its incident and notifications are read after its lock."""
    incident = tx.ledger.incidents.get(escalation.incident_id)
    contact = tx.ledger.contacts.get(escalation.incident_id, escalation.recipient_id)
    context = _context(tx, escalation, incident, contact, tx.ledger.notifications.of(escalation.id))
    if end_late(tx, context):
        return
    context = outages.inform(tx, context, contact)
    callback_paths.look_into(tx, context)
    write(tx, context, escalations.decide(context, event=cause, now=tx.now))


def decide_by_id(tx: Transaction, escalation_id: str) -> None:
    """Lock and decide an escalation after one of its pages has come to count as failed."""
    decide(tx, tx.ledger.escalations.lock(escalation_id), cause="recorded")


def change_address(tx: Transaction, escalation: EscalationFacts, before: Contact) -> None:
    """Decide a locked escalation, as ``decide`` does, after its recipient's contact has changed from ``before``."""
    incident = tx.ledger.incidents.get(escalation.incident_id)
    contact = tx.ledger.contacts.get(escalation.incident_id, escalation.recipient_id)
    context = _context(tx, escalation, incident, contact, tx.ledger.notifications.of(escalation.id))
    context = outages.inform(tx, context, contact)
    known = replace(context, addresses=frozenset(before.addresses))
    moved = {channel for channel, address in contact.addresses.items() if before.addresses.get(channel, address) != address}
    was_lost = escalation.state is EscalationState.EXHAUSTED or tier_rules.is_unproven(known, tx.now)
    was_lost = was_lost or tier_rules.has_lost(known, moved, tx.now)
    write(tx, context, escalations.change_address(context, was_lost=was_lost, now=tx.now))


def lock_contexts(
    tx: Transaction, incident: IncidentFacts, only: Collection[str] | None = None, *, is_going_on: bool = True
) -> tuple[DecisionContext, ...]:
    """Lock the current escalations and their notifications of a locked incident, for some recipients or for all.

    Unless ``is_going_on``, a recipient whose contact cannot be read has no address.
    """
    locked = [each for each in tx.ledger.escalations.lock_current(incident.id) if only is None or each.recipient_id in only]
    rows = tx.ledger.notifications.lock_of([each.id for each in locked])
    own: dict[str, list[NotificationFacts]] = defaultdict(list)
    for row in rows:
        own[row.escalation_id].append(row)
    contact = partial(_contact, tx, tx.ledger.contacts.of(incident.id), is_needed=is_going_on)
    return tuple(_context(tx, each, incident, contact(each), own[each.id]) for each in locked)


def _contact(tx: Transaction, known: Mapping[str, Contact], escalation: EscalationFacts, *, is_needed: bool) -> Contact:
    """Return the contact of an escalation's recipient. Ending an escalation needs none, and goes on without a damaged one."""
    recipient_id = escalation.recipient_id
    if is_needed or recipient_id in known:
        return known.get(recipient_id) or tx.ledger.contacts.get(escalation.incident_id, recipient_id)
    return Contact(recipient_id=recipient_id, name=recipient_id, addresses={})


def _context(
    tx: Transaction,
    escalation: EscalationFacts,
    incident: IncidentFacts,
    contact: Contact,
    rows: Sequence[NotificationFacts] = (),
) -> DecisionContext:
    return DecisionContext(
        escalation=escalation,
        incident=incident,
        notifications=tuple(
            set_aside.as_decided(row, tx.now) for row in (*rows, *tx.ledger.notifications.placeholders(escalation.id))
        ),
        addresses=frozenset(contact.addresses),
        calling=tx.deps.calling,
        wishes=preferences.wished(contact, escalation.severity),
        polled=tx.deps.polled,
        earlier=series.earlier(tx, escalation),
    )


def stopped(tx: Transaction, contexts: Collection[DecisionContext]) -> Stopped:
    """Return the stopped pages and the pages that had left, from the escalations as they were before the stop."""
    left = tx.ledger.spared
    pages = [
        (row.state, Page(recipient_id=context.escalation.recipient_id, channel=row.channel, notification_id=row.id))
        for context in contexts
        for row in context.notifications
        if row.kind is Kind.PAGE and row.id not in left
    ]
    return Stopped(
        has_changed=True,
        left=tuple(sorted(left)),
        cancelled=tuple(page for state, page in pages if state is NotificationState.QUEUED),
        on_their_way=tuple(page for state, page in pages if state in ON_THEIR_WAY),
    )


def start(
    tx: Transaction,
    incident: IncidentFacts,
    contact: Contact,
    *,
    last_round: int = 0,
    repetition: int = 1,
    readdressed_at: datetime | None = None,
    reported_at: datetime | None = None,
) -> EscalationFacts:
    """Start the recipient's next round after ``last_round`` (0 before the first); the incident is locked.

    ``repetition`` is the number of the policy's round; 1 if the policy did not start it. ``readdressed_at`` is when a changed
    address last started a round, or None. The policy's next round keeps the ``reported_at`` of the round before. In a series its
    clocks go on.
    """
    new = EscalationFacts(
        id=tx.deps.ids.new(),
        incident_id=incident.id,
        recipient_id=contact.recipient_id,
        round=last_round + 1,
        severity=incident.severity,
        policy=preferences.preferred(incident.policy, contact, incident.severity),
        started_at=tx.now,
        repetition=repetition,
        readdressed_at=readdressed_at,
        reported_at=reported_at,
    )
    if left := tx.left.pop((incident.id, contact.recipient_id), None):
        new = series_rules.go_on(new, left, contact)
    context = replace(_context(tx, new, incident, contact), paused_intervals=quiet.escalation_intervals(contact, new, tx.now))
    decided = escalations.start(context, now=tx.now)
    detail = {"recipient": new.recipient_id, "round": str(new.round), "tier": str(decided.after.tier)}
    tx.ledger.escalations.add(decided.after, event="started", detail=detail)
    if decided.after.critical_at is not None:
        tx.critical.append(decided.after)
    return write(tx, replace(context, escalation=decided.after), decided)


def close(tx: Transaction, context: DecisionContext, *, event: Literal["resolved", "replaced"]) -> None:
    """End an escalation for good, and cancel its status updates."""
    write(tx, context, escalations.close(context, event=event, now=tx.now))
    cancel_status_updates(tx, context, event=event)


def end_late(tx: Transaction, context: DecisionContext) -> bool:
    """End an escalation that could not be written when its incident was acknowledged or resolved; return False for any other."""
    incident = context.incident
    if incident.state is IncidentState.OPEN or not context.escalation.is_current or context.escalation.state not in LIVE:
        return False
    if incident.state is IncidentState.RESOLVED:
        close(tx, context, event="resolved")
    else:
        by = incident.acknowledged_by or ""
        write(tx, context, escalations.acknowledge(context, now=tx.now), by=by)
    return True


def cancel_status_updates(tx: Transaction, context: DecisionContext, *, event: Literal["resolved", "replaced"]) -> None:
    """Cancel the status updates that have not left, since they are no longer true."""
    for row in context.notifications:
        if row.kind is Kind.STATUS_UPDATE and not row.is_set_aside:
            tx.write(row, lifecycle.stop(row, event, now=tx.now))


def write(tx: Transaction, context: DecisionContext, decided: Decided, **detail: str) -> EscalationFacts:
    """Write a decision: its steps with their log lines, which include the detail, then its effects."""
    stored = context.escalation
    for step in decided.steps:
        target = replace(decided.after, state=EscalationState(step.target))
        stored = tx.ledger.move(stored, target, event=step.event, at=tx.now, detail={**step.detail, **detail})
    if not decided.steps and decided.after != stored:
        stored = tx.ledger.save(stored, decided.after)
    if _marks(stored) != _marks(context.escalation):
        tx.critical.append(stored)
    for effect in decided.effects:
        _apply_effect(tx, context, stored, effect)
    if context.incident.run_number and _has_all_failed(
        tx, replace(escalations.with_adopted(context, decided), escalation=stored), decided
    ):
        tx.all_failed.add(stored.incident_id)
    return stored


def _marks(escalation: EscalationFacts) -> tuple[datetime | None, ...]:
    return escalation.critical_at, escalation.alerted_at, escalation.held_up_at


def _has_all_failed(tx: Transaction, context: DecisionContext, decided: Decided) -> bool:
    """Return whether every way to a recipient has failed, after a decision that queues no tier's page."""
    return not escalations.queues_pages(decided.effects) and chain.has_all_failed(context, tx.now)


def _apply_effect(tx: Transaction, context: DecisionContext, escalation: EscalationFacts, effect: Effect) -> None:
    match effect:
        case OpenTier():
            _open_tier(tx, context, escalation, effect)
        case StopPages():
            for row in context.notifications:
                if row.kind is Kind.PAGE and not row.is_set_aside:  # its claim cancels a row that is set aside
                    tx.write(row, lifecycle.stop(row, effect.event, now=tx.now))
        case AlertOperations():
            is_silent = effect.is_paging and effect.reason == "unproven"
            path = callback_paths.silent_path(tx, context) if is_silent else ""
            tx.alerts.append((escalation, replace(effect, path=path)))
        case StartRound():
            close(tx, replace(context, escalation=escalation), event="replaced")
            contact = tx.ledger.contacts.get(escalation.incident_id, escalation.recipient_id)
            start(
                tx,
                context.incident,
                contact,
                last_round=escalation.round,
                repetition=effect.repetition,
                reported_at=escalation.reported_at,
                readdressed_at=tx.now if effect.is_readdressed else escalation.readdressed_at,
            )
        case _:
            assert_never(effect)


def _open_tier(tx: Transaction, context: DecisionContext, escalation: EscalationFacts, effect: OpenTier) -> None:
    for row in context.wished:
        if row.channel in effect.adopted and not row.is_set_aside:
            tx.ledger.save(row, replace(row, tier=effect.number))
    tx.queue([tx.new_row(escalation, channel, tier=effect.number) for channel in effect.channels])
