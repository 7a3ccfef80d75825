"""What a claim has to know of answers: who may still be texted from which number, and what to answer to a text."""

from collections.abc import Sequence

from notifyflow.core.facts import EscalationFacts, NotificationFacts
from notifyflow.core.model import Contact
from notifyflow.pipeline.transaction import Transaction

TEXTS = "sms"
_ACKNOWLEDGE = "1"


def willing(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, providers: Sequence[str]) -> Sequence[str]:
    """Leave out the providers whose number the recipient of a text has said STOP to."""
    if row.channel != TEXTS or not tx.deps.senders:
        return providers
    number = _number(tx, tx.ledger.contact(row.incident_id, escalation.recipient_id))
    shut = tx.ledger.opt_outs(number, tx.deps.senders.values()) if number else frozenset()
    return [provider for provider in providers if tx.deps.senders.get(provider) not in shut] if shut else providers


def hint(tx: Transaction, row: NotificationFacts, contact: Contact, provider: str) -> str:
    """Tell what to answer to a page: its code where others are open for the number, ``1`` otherwise, empty where nobody hears.

    Every page is given a code, since by it an answer finds its incident; and its number is known from then on.
    """
    if row.channel != TEXTS:
        return ""
    number = _number(tx, contact)
    if number is None:
        return ""
    tx.ledger.note_texted(number, contact.recipient_id, at=tx.now)
    if provider not in tx.deps.replying:
        return ""
    code = tx.ledger.give_code(number, row.incident_id, contact.recipient_id, now=tx.now)
    return code.code if code.is_shown else _ACKNOWLEDGE


def _number(tx: Transaction, contact: Contact) -> str | None:
    """Tell which number a text goes to, where not all is live: whoever has that answers. None where none leaves."""
    return tx.deps.delivery.final(TEXTS, contact.addresses[TEXTS])
