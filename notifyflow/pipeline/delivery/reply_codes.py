"""Gives each text its reply code, with which a reply finds its incident, or all that a bundle carries."""

from collections.abc import Sequence

from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import Contact
from notifyflow.core.messages.replies import ALL
from notifyflow.pipeline.transaction.running import Transaction

_ACKNOWLEDGE = "1"


def reply_hint(tx: Transaction, row: NotificationFacts, contact: Contact, attempt: AttemptFacts) -> str:
    """Return the reply that acknowledges a page that is sent alone.

    Every page by text gets a code, since a reply finds its incident by it; from then on its number is known. A page in a bundle
    gets none: the bundle has one, see ``bundle_hint``.

    Returns:
        The page's code if other incidents are open for the number, otherwise ``1``; empty if replies are not received.
    """
    if attempt.sent_with is not None or (number := _replying_number(tx, row, contact, attempt.provider)) is None:
        return ""
    code = tx.ledger.replies.give_code(number, row.incident_id, contact.recipient_id, severity=row.severity, now=tx.now)
    return code.code if code.is_shown else _ACKNOWLEDGE


def bundle_hint(
    tx: Transaction, rows: Sequence[NotificationFacts], contact: Contact, *, provider: str, sent_with: str, named: int
) -> str:
    """Return the reply that acknowledges all that a bundle carries; the same one however often the bundle is written.

    Args:
        tx: The transaction.
        rows: All that it carries, the most severe first.
        contact: Its recipient.
        provider: The provider that carries it.
        sent_with: The attempt that makes its call.
        named: How many incidents it names at most.

    Returns:
        Its code, after ``ALL`` if it does not name all of them; empty if replies are not received.
    """
    number = _replying_number(tx, rows[0], contact, provider)
    if number is None:
        return ""
    given = tx.ledger.replies.give_code(
        number, "", contact.recipient_id, severity=rows[0].severity, sent_with=sent_with, now=tx.now
    )
    return given.code if len(rows) <= named else f"{ALL} {given.code}"


def _replying_number(tx: Transaction, row: NotificationFacts, contact: Contact, provider: str) -> str | None:
    """Return the number that a text goes to, which is known from now on; None if no reply to it is received."""
    if not tx.deps.capabilities(row.channel).has_text_replies:
        return None
    number = texted_number(tx, row.channel, contact)
    if number is None:
        return None
    tx.ledger.replies.note_texted(number, contact.recipient_id, at=tx.now)
    return number if (row.channel, provider) in tx.deps.replying else None


def texted_number(tx: Transaction, channel: str, contact: Contact) -> str | None:
    """Return the number that a text goes to, which differs if delivery is redirected; None if no text leaves."""
    return tx.deps.delivery.final(channel, contact.addresses[channel])
