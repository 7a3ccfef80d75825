"""Applies receipts: stores each in the inbox, moves its notification, and acknowledges where key 1 was pressed."""

from collections.abc import Sequence

from notifyflow.core import lifecycle
from notifyflow.core.model import EscalationState, IncidentState, Receipt, Via
from notifyflow.core.replies import Effect, HandledReply
from notifyflow.pipeline import acknowledge, decisions, outages, provider_health, status_updates, use_case
from notifyflow.pipeline.ports import Committed, Consequences, Dependencies, Fate
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import AttemptRef


def receive(deps: Dependencies, receipt: Receipt, *, raw: str) -> Committed[Fate]:
    """Store and apply one receipt of a callback whose signature was checked.

    Args:
        deps: The dependencies of the use cases.
        receipt: What the provider reports.
        raw: The body it was read from; personal.

    Returns:
        Whether it matched an attempt, was repeated, waits for its send to be recorded, or is foreign.
    """

    def body(tx: Transaction) -> Fate:
        ref = _attempt_ref(tx, receipt)
        if not tx.ledger.add_receipt(receipt, raw=raw, at=tx.now, attempt_id=None if ref is None else ref.attempt_id):
            if not receipt.is_fetched:
                tx.ledger.note_called_back(receipt)
            return Fate.REPEATED
        if ref is not None:
            waited = match_waiting(tx, [(ref, receipt.provider_ref)]).get(ref.attempt_id, [])
            apply_receipts(tx, ref, [receipt, *waited])
            return Fate.MATCHED
        if receipt.attempt_id is None:
            return Fate.WAITING
        tx.ledger.match_receipt(receipt, attempt_id=None)
        return Fate.FOREIGN

    return use_case.run(deps, body)


def describe_current_state(deps: Dependencies, receipt: Receipt) -> HandledReply:
    """Return the response to a pressed key: the state of the incident now, however often the callback is repeated."""

    def body(tx: Transaction) -> HandledReply:
        ref = _attempt_ref(tx, receipt)
        if ref is None:
            return HandledReply(effect=Effect.UNKNOWN)
        incident, escalation = tx.ledger.incident(ref.incident_id), tx.ledger.escalation(ref.escalation_id)
        is_own = escalation.is_current and escalation.state is EscalationState.ACKNOWLEDGED
        if incident.state is IncidentState.OPEN:
            return HandledReply(effect=Effect.ACKNOWLEDGED if is_own else Effect.EXPLAINED)
        if incident.state is IncidentState.ACKNOWLEDGED and incident.acknowledged_by == escalation.recipient_id:
            return HandledReply(effect=Effect.ACKNOWLEDGED)
        return HandledReply(effect=Effect.LATE, by=status_updates.late_reply(tx, incident, escalation.recipient_id))

    return use_case.run(deps, body)[0]


def apply_missed(deps: Dependencies, receipt: Receipt) -> Consequences:
    """Apply a receipt that waits although its attempt is known; do nothing if another process has applied it."""

    def body(tx: Transaction) -> None:
        ref = _attempt_ref(tx, receipt)
        if ref is not None and tx.ledger.match_receipt(receipt, attempt_id=ref.attempt_id):
            apply_receipts(tx, ref, [receipt])

    return use_case.run(deps, body)[1]


def match_waiting(tx: Transaction, told: Sequence[tuple[AttemptRef, str | None]]) -> dict[str, list[Receipt]]:
    """Match the receipts that waited for the provider's ids of attempts, before any lock is taken.

    Args:
        tx: The transaction.
        told: The attempts, each with the provider's id as it is known now.

    Returns:
        The receipts of each attempt that has any.
    """
    new = [(ref, provider_ref) for ref, provider_ref in told if provider_ref and not ref.provider_ref]
    waiting = tx.ledger.waiting_receipts([provider_ref for _, provider_ref in new]) if new else ()
    matched: dict[str, list[Receipt]] = {}
    for ref, provider_ref in new if waiting else ():
        own = [each for each in waiting if (each.provider, each.provider_ref) == (ref.provider, provider_ref)]
        if own := [each for each in own if tx.ledger.match_receipt(each, attempt_id=ref.attempt_id)]:
            matched[ref.attempt_id] = own
    return matched


def apply_receipts(tx: Transaction, ref: AttemptRef, receipts: Sequence[Receipt]) -> None:
    """Apply matched receipts; acknowledgements first, so that no other receipt opens a tier."""
    for receipt in sorted(receipts, key=lambda each: not each.is_acknowledgement):
        _apply(tx, ref, receipt)


def _apply(tx: Transaction, ref: AttemptRef, receipt: Receipt) -> None:
    incident = tx.ledger.lock_incident(ref.incident_id) if receipt.is_acknowledgement else None
    escalation, row = decisions.lock(tx, ref)
    has_to_wait = any(each.retry_after_s for each in lifecycle.counted(row)[-1:])
    moved = lifecycle.receive(
        row,
        ref.attempt_id,
        receipt,
        schedule=decisions.schedule(escalation, row),
        now=tx.now,
        fraction=tx.deps.ids.fraction(),
        breaks=outages.breaks(tx, row) if has_to_wait else (),
    )
    tx.write(row, moved, attempt=ref.attempt_id, code=receipt.code, reason=receipt.reason)
    if incident is None:  # what acknowledges opens no tier
        decisions.decide_page(tx, escalation, row, cause="received")
    if receipt.is_our_fault:
        _report_our_fault(tx, ref, row.channel, receipt)
    if incident is not None:
        recipient_id = tx.ledger.escalation(ref.escalation_id).recipient_id
        if not acknowledge.acknowledge_locked(tx, incident, by=recipient_id, via=Via.KEY):
            decisions.decide(tx, tx.ledger.lock_escalation(ref.escalation_id), cause="received")


def _report_our_fault(tx: Transaction, ref: AttemptRef, channel: str, receipt: Receipt) -> None:
    """Tell operations about a fault of ours, and suspend the provider if it would refuse every message."""
    if receipt.is_general:
        provider_health.suspend(tx, channel, ref.provider)
    if not tx.ledger.incident(ref.incident_id).is_operations:
        tx.notices.append((receipt.reason or receipt.code, ref.provider))


def _attempt_ref(tx: Transaction, receipt: Receipt) -> AttemptRef | None:
    if receipt.attempt_id is not None:
        return tx.ledger.attempt_ref(receipt.attempt_id)
    return tx.ledger.attempt_ref_by_provider_ref(receipt.provider, receipt.provider_ref) if receipt.provider_ref else None
