"""Gives each text its reply code, by which a reply to it finds its incident."""

from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import Contact
from notifyflow.pipeline.transaction.running import Transaction

_ACKNOWLEDGE = "1"


def reply_hint(tx: Transaction, row: NotificationFacts, contact: Contact, attempt: AttemptFacts) -> str:
    """Return what to reply to a page in order to acknowledge it.

    Every page by text is given a code, since a reply finds its incident by it; and its number is known from then on.

    Returns:
        The page's code where other incidents are open for the number or in the same message, otherwise ``1``; empty where replies
        are not received.
    """
    if not tx.deps.traits(row.channel).has_text_replies:
        return ""
    number = texted_number(tx, row.channel, contact)
    if number is None:
        return ""
    tx.ledger.replies.note_texted(number, contact.recipient_id, at=tx.now)
    if (row.channel, attempt.provider) not in tx.deps.replying:
        return ""
    code = tx.ledger.replies.give_code(number, row.incident_id, contact.recipient_id, now=tx.now)
    return code.code if code.is_shown or attempt.carried_by is not None else _ACKNOWLEDGE


def texted_number(tx: Transaction, channel: str, contact: Contact) -> str | None:
    """Return the number that a text goes to, which differs where delivery is redirected; None where no text leaves."""
    return tx.deps.delivery.final(channel, contact.addresses[channel])
