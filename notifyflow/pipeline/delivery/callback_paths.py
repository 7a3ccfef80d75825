"""Finds the providers whose callback path seems broken, for operations.

It decides nothing about a page: a missing receipt opens the next tier, whatever the reason.
"""

from datetime import timedelta

from notifyflow.core.delivery import page_rules, tier_rules
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.proof import awaits_receipt
from notifyflow.pipeline.transaction.running import Transaction

BROKEN = "it accepts {channel} messages, and reported not one delivery or failure in the last hour: check its callback path to us"
"""The notice to operations, once a day for each provider and channel."""

_AN_HOUR = timedelta(hours=1)


def look_into(tx: Transaction, context: DecisionContext) -> None:
    """Tell operations which providers owe the escalation's pages a receipt and have a callback path that seems broken."""
    if context.incident.is_operations:
        return
    for channel, provider in sorted(page_rules.overdue_receipts(context, tx.now) - tx.callback_paths):
        tx.callback_paths.add((channel, provider))
        reason = BROKEN.format(channel=channel)
        if not tx.ledger.operations.has_notice(reason, provider, at=tx.now) and seems_broken(tx, channel, provider):
            tx.notices.append((reason, provider))


def silent_path(tx: Transaction, context: DecisionContext) -> str:
    """Return the provider whose seemingly broken callback path alone leaves a round unproven; empty if there is none.

    All pages are overdue then, and this provider carried each of them.
    """
    paths = page_rules.overdue_receipts(context, tx.now)
    providers = {provider for _, provider in paths}
    if len(providers) != 1 or not all(awaits_receipt(row) for row in context.pages):
        return ""
    return providers.pop() if all(seems_broken(tx, *path) for path in sorted(paths)) else ""


def seems_broken(tx: Transaction, channel: str, provider: str) -> bool:
    """Return whether a path seems broken in the last hour, or since our last outage, which may have lost callbacks."""
    path = (channel, provider)
    if path not in tx.broken_paths:
        tx.broken_paths[path] = _seems_broken(tx, channel, provider)
    return tx.broken_paths[path]


def _seems_broken(tx: Transaction, channel: str, provider: str) -> bool:
    since = tx.now - _AN_HOUR
    since = max([since, *(outage.ended_at for outage in tx.ledger.intervals.outages(since=since, now=tx.now))])
    if tx.ledger.inbox.has_called_back(provider, channel, since=since):
        return False
    return tier_rules.seems_broken(tx.ledger.attempts.silence(provider, channel, since=since, now=tx.now))
