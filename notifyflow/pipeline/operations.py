"""Tells operations: everything that went wrong is counted into one open incident, which is paged at most every 15 minutes."""

from dataclasses import replace
from datetime import timedelta

from notifyflow.core import incident as incidents
from notifyflow.core import namespaces
from notifyflow.core.facts import EscalationFacts, IncidentFacts
from notifyflow.core.intake import OPERATIONS_KEY
from notifyflow.core.model import Incident, Severity
from notifyflow.pipeline import rounds
from notifyflow.pipeline.transaction import Transaction

KEY = OPERATIONS_KEY

_QUIET = timedelta(minutes=15)
_LINES = 20

_WHAT_HAPPENED = {
    "exhausted": "every way to reach {recipient} about {key} has failed",
    "unreachable": "{recipient} has no address at which anything about {key} can be sent",
    "critical_channels_failed": "{channels} to {recipient} about {key} have failed",
    "unanswered": "{recipient} has let the last round about {key} pass",
}


def settle(tx: Transaction) -> None:
    """Count in what the transaction has to tell; the last thing a transaction does, since this lock is the last."""
    notices = [notice for notice in tx.notices if tx.ledger.add_notice(*notice, at=tx.now)]
    if not tx.alerts and not notices:
        return
    incident = tx.ledger.lock_operations() or _open(tx)
    lines = [f"{provider}: {reason}" for reason, provider in notices]
    for escalation, alert in tx.alerts:
        tx.ledger.link_critical(escalation.id, incident.id, reason=alert.reason, at=tx.now)
        lines.append(_line(tx, escalation, alert.reason))
    _say(tx, incident, lines)
    if notices or any(alert.is_paging for _, alert in tx.alerts):
        _page_or_wait(tx, incident)


def start_round(tx: Transaction, incident: IncidentFacts) -> None:
    """Page operations of everything that was counted in, acknowledged meanwhile or not."""
    turned = incidents.page_again(incident, now=tx.now)
    incident = tx.turn(incident, replace(turned, after=replace(turned.after, round_at=None)))
    for contact in tx.tools.operations:
        tx.ledger.put_contact(incident.id, contact)
    rounds.start(tx, incident)
    tx.ledger.mark_counted(incident.id)


def _open(tx: Transaction) -> IncidentFacts:
    said = Incident(key=KEY, title="notifyflow", severity=Severity.CRITICAL, source="notifyflow", occurred_at=tx.now)
    incident = incidents.open_(
        said,
        incident_id=tx.tools.ids.new(),
        policy=tx.tools.operations_policy,
        now=tx.now,
        namespace=namespaces.OPERATIONS,
        is_operations=True,
    )
    tx.ledger.add_incident(incident, said)
    return incident


def _page_or_wait(tx: Transaction, incident: IncidentFacts) -> None:
    last = max((each.started_at for each in tx.ledger.lock_escalations(incident.id)), default=None)
    if last is None or tx.now >= last + _QUIET:
        start_round(tx, incident)
    elif incident.round_at is None:
        tx.ledger.save(incident, replace(incident, round_at=last + _QUIET))


def _say(tx: Transaction, incident: IncidentFacts, lines: list[str]) -> None:
    said = tx.ledger.content(incident.id)
    count = tx.ledger.count_uncounted(incident.id)
    title = lines[-1] if count == 1 else f"{count} failures, the last: {lines[-1]}"
    body = "\n".join(((said.body or "").splitlines() + [f"{tx.now:%Y-%m-%d %H:%M} UTC: {line}" for line in lines])[-_LINES:])
    tx.ledger.set_content(incident.id, replace(said, title=title, body=body))


def _line(tx: Transaction, escalation: EscalationFacts, reason: str) -> str:
    return _WHAT_HAPPENED[reason].format(
        recipient=escalation.recipient_id,
        key=tx.ledger.incident(escalation.incident_id).key,
        channels=" and ".join(escalation.policy.critical_channels),
    )
