"""Gives each text its reply code, with which a reply finds its incident."""

from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import Contact
from notifyflow.pipeline.transaction.running import Transaction

_ACKNOWLEDGE = "1"


def reply_hint(tx: Transaction, row: NotificationFacts, contact: Contact, attempt: AttemptFacts) -> str:
    """Return the reply that acknowledges a page.

    Every page by text gets a code, since a reply finds its incident by it; from then on its number is known.

    Returns:
        The page's code if other incidents are open for the number or in the same message, otherwise ``1``; empty if replies are
        not received.
    """
    if not tx.deps.capabilities(row.channel).has_text_replies:
        return ""
    number = texted_number(tx, row.channel, contact)
    if number is None:
        return ""
    tx.ledger.replies.note_texted(number, contact.recipient_id, at=tx.now)
    if (row.channel, attempt.provider) not in tx.deps.replying:
        return ""
    code = tx.ledger.replies.give_code(number, row.incident_id, contact.recipient_id, now=tx.now)
    return code.code if code.is_shown or attempt.sent_with is not None else _ACKNOWLEDGE


def texted_number(tx: Transaction, channel: str, contact: Contact) -> str | None:
    """Return the number that a text goes to, which differs if delivery is redirected; None if no text leaves."""
    return tx.deps.delivery.final(channel, contact.addresses[channel])
