"""Hears what a provider says later: the inbox first, then the move, then the acknowledgement of a key."""

from collections.abc import Sequence

from notifyflow.core import lifecycle
from notifyflow.core.escalation import Cause
from notifyflow.core.facts import NotificationFacts
from notifyflow.core.lifecycle import Moved
from notifyflow.core.model import EscalationState, IncidentState, Receipt
from notifyflow.core.policy import Schedule
from notifyflow.core.replies import Effect, Heard
from notifyflow.pipeline import acknowledge, decisions, provider_health, status_updates, use_case
from notifyflow.pipeline.ports import Consequences, Dependencies, Fate, Received
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import Home


def receive(deps: Dependencies, receipt: Receipt, *, raw: str) -> Received:
    """Take one receipt of a callback whose signature was checked.

    Args:
        deps: The dependencies of the use cases.
        receipt: What the provider says.
        raw: The body it was read from; personal.

    Returns:
        What became of it: matched, repeated, waiting for its send to be recorded, or foreign.
    """

    def body(tx: Transaction) -> tuple[Fate, str | None]:
        home = _home(tx, receipt)
        if not tx.ledger.add_receipt(receipt, raw=raw, at=tx.now, attempt_id=None if home is None else home.attempt_id):
            if not receipt.is_asked:
                tx.ledger.note_called_back(receipt)
            return Fate.REPEATED, None
        if home is not None:
            hear(tx, home, [receipt, *settle_waiting(tx, home, receipt.provider_ref)])
            return Fate.MATCHED, home.incident_id
        if receipt.attempt_id is None:
            return Fate.WAITING, None
        tx.ledger.settle_receipt(receipt, attempt_id=None)
        return Fate.FOREIGN, None

    (fate, incident_id), consequences = use_case.run(deps, body)
    return Received(fate=fate, incident_id=incident_id, consequences=consequences)


def tell_standing(deps: Dependencies, receipt: Receipt) -> Heard:
    """Tell whoever pressed a key how things are by now, whichever of its repetitions they hear the answer to."""

    def body(tx: Transaction) -> Heard:
        home = _home(tx, receipt)
        if home is None:
            return Heard(effect=Effect.UNKNOWN)
        incident, escalation = tx.ledger.incident(home.incident_id), tx.ledger.escalation(home.escalation_id)
        is_own = escalation.is_current and escalation.state is EscalationState.ACKNOWLEDGED
        if incident.state is IncidentState.OPEN:
            return Heard(effect=Effect.TAKEN if is_own else Effect.EXPLAINED)
        if incident.state is IncidentState.ACKNOWLEDGED and incident.acknowledged_by == escalation.recipient_id:
            return Heard(effect=Effect.TAKEN)
        return Heard(effect=Effect.LATE, by=status_updates.standing(tx, incident, escalation.recipient_id))

    return use_case.run(deps, body)[0]


def hear_missed(deps: Dependencies, receipt: Receipt) -> Consequences:
    """Take a receipt that waits though its attempt is known; nothing happens where somebody else does."""

    def body(tx: Transaction) -> None:
        home = _home(tx, receipt)
        if home is not None and tx.ledger.settle_receipt(receipt, attempt_id=home.attempt_id):
            hear(tx, home, [receipt])

    return use_case.run(deps, body)[1]


def settle_waiting(tx: Transaction, home: Home, provider_ref: str | None) -> list[Receipt]:
    """Settle what has waited for the provider's id that an attempt gets only now; receipts come before all locks."""
    if not provider_ref or home.provider_ref:
        return []
    waiting = tx.ledger.waiting_receipts(home.provider, provider_ref)
    return [each for each in waiting if tx.ledger.settle_receipt(each, attempt_id=home.attempt_id)]


def hear(tx: Transaction, home: Home, receipts: Sequence[Receipt]) -> None:
    """Let settled receipts do their work; whoever takes the incident comes first, so that no other word opens a tier."""
    for receipt in sorted(receipts, key=lambda each: not each.is_acknowledgement):
        _hear(tx, home, receipt)


def _hear(tx: Transaction, home: Home, receipt: Receipt) -> None:
    incident = tx.ledger.lock_incident(home.incident_id) if receipt.is_acknowledgement else None

    def happens(row: NotificationFacts, schedule: Schedule) -> Moved:
        fraction = tx.deps.ids.fraction()
        return lifecycle.receive(row, home.attempt_id, receipt, schedule=schedule, now=tx.now, fraction=fraction)

    detail = {"attempt": home.attempt_id, "code": receipt.code, "reason": receipt.reason}
    cause: Cause | None = None if incident else "received"  # whoever takes it opens no tier by the same word
    before = decisions.change(tx, home.escalation_id, home.notification_id, happens, cause=cause, detail=detail)
    if receipt.is_our_fault:
        _hear_of_us(tx, home, before.channel, receipt)
    if incident is not None:
        recipient_id = tx.ledger.escalation(home.escalation_id).recipient_id
        if not acknowledge.take(tx, incident, by=recipient_id, via="key"):
            decisions.decide(tx, tx.ledger.lock_escalation(home.escalation_id), cause="received")


def _hear_of_us(tx: Transaction, home: Home, channel: str, receipt: Receipt) -> None:
    """Tell operations what is wrong with us, and let the provider rest where it would refuse everything."""
    if receipt.is_general:
        provider_health.suspend(tx, channel, home.provider)
    if not tx.ledger.incident(home.incident_id).is_operations:
        tx.notices.append((receipt.reason or receipt.code, home.provider))


def _home(tx: Transaction, receipt: Receipt) -> Home | None:
    if receipt.attempt_id is not None:
        return tx.ledger.home(receipt.attempt_id)
    return tx.ledger.home_by_reference(receipt.provider, receipt.provider_ref) if receipt.provider_ref else None
