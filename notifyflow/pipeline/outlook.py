"""Reads what comes next for an incident; nothing is locked, decided or written."""

from notifyflow.core.outlook import Outlook, outlook
from notifyflow.core.tier_rules import DecisionContext
from notifyflow.core.views import EscalationStatus, IncidentStatus
from notifyflow.pipeline import outages, use_case
from notifyflow.pipeline.ports import Dependencies
from notifyflow.pipeline.transaction import Transaction


def read(deps: Dependencies, status: IncidentStatus) -> Outlook:
    """Return what comes next for each escalation of an incident."""

    def body(tx: Transaction) -> Outlook:
        coming = {each.facts.id: outlook(_context(tx, status, each), tx.now) for each in status.escalations}
        return Outlook(escalations=coming, now=tx.now)

    return use_case.run(deps, body)[0]


def _context(tx: Transaction, status: IncidentStatus, escalation: EscalationStatus) -> DecisionContext:
    context = DecisionContext(
        escalation=escalation.facts,
        incident=status.facts,
        notifications=escalation.notifications,
        addresses=frozenset(escalation.contact.addresses),
        calling=tx.deps.calling,
    )
    return outages.inform(tx, context)
