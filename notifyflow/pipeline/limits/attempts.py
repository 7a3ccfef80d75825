"""Begins the attempts of a claim: their rows and leases, and the message of each call."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.copies import replace
from notifyflow.core.delivery import calls, earlier_pages, lifecycle, proof
from notifyflow.core.delivery.attempts import attempt_of, doubt_of, with_attempt
from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, NotificationFacts
from notifyflow.core.delivery.model import Contact, DeferralReason, Kind
from notifyflow.core.messages import prompts
from notifyflow.core.messages.bundle_words import bundle_of
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.links import Subject
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import StaleRow
from notifyflow.pipeline.delivery import contents, links, reply_codes, status_updates
from notifyflow.pipeline.transaction import set_aside, use_case
from notifyflow.pipeline.transaction.ports import Claimed, Doubt, Lease
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.ledger import AttemptRef


@dataclass(frozen=True, slots=True)
class Candidate:
    """A notification that may be sent now, with the providers that may send it, and where it really goes."""

    row: NotificationFacts
    escalation: EscalationFacts
    contact: Contact
    allowed: Sequence[str]
    lane: str = ""


class BrokenRow(Exception):
    """Raised when a notification or its incident is damaged."""

    def __init__(self, row_id: str, error: Exception) -> None:
        super().__init__(row_id)
        self.row_id = row_id
        self.error = error


@contextmanager
def blaming(row: NotificationFacts) -> Iterator[None]:
    """Raise ``BrokenRow`` for the row if handling it shows damage."""
    try:
        yield
    except use_case.DAMAGE as error:
        if isinstance(error, StaleRow) or not set_aside.is_damage(error):
            raise
        raise BrokenRow(row.id, error) from error


def begin_all(tx: Transaction, group: Sequence[Candidate], provider: str, *, has_receipts: bool) -> Claimed:
    """Begin an attempt for each notification of one call; return the first one, whose message is sent."""
    others = len(group) - 1
    first_id = tx.deps.ids.new()
    begun: list[Claimed] = []
    for position, each in enumerate(group):
        attempt_id = tx.deps.ids.new() if begun else first_id
        with blaming(each.row):
            begun.append(
                _begin(tx, each, provider, attempt_id, first_id, position=position, others=others, has_receipts=has_receipts)
            )
    first = begun[0]
    if not others:
        return first
    said = [each.message.content for each in begun]
    content = together(
        tx,
        [each.row for each in group],
        group[0].contact,
        said,
        provider=provider,
        sent_with=first_id,
        named=_names(tx, begun),
        is_after_quiet=all(each.row.deferred_by is DeferralReason.QUIET for each in group),
    )
    return replace(first, message=replace(first.message, content=content), carried=tuple(begun[1:]))


def together(
    tx: Transaction,
    rows: Sequence[NotificationFacts],
    contact: Contact,
    contents: Sequence[Content],
    *,
    provider: str,
    sent_with: str,
    named: int,
    is_after_quiet: bool,
    at: datetime | None = None,
) -> Content:
    """Return the content of a bundle; that of pages has a link and a reply for all that it carries.

    Args:
        tx: The transaction.
        rows: All that it carries, in its order.
        contact: Its recipient.
        contents: The content for each.
        provider: The provider that carries it.
        sent_with: The attempt that makes its call.
        named: How many incidents it names at most.
        is_after_quiet: Whether all waited in quiet hours.
        at: When its call began; None for now.
    """
    oldest = min(range(len(rows)), key=lambda number: rows[number].created_at)
    link, reply = None, ""
    if rows[0].kind is Kind.PAGE:
        link = links.link(tx.deps, sent_with, contact.recipient_id, now=at or tx.now, subject=Subject.BUNDLE)
        reply = reply_codes.bundle_hint(tx, rows, contact, provider=provider, sent_with=sent_with, named=named)
    return bundle_of(contents, named=named, oldest=contents[oldest], is_after_quiet=is_after_quiet, link=link, reply=reply)


def _names(tx: Transaction, begun: Sequence[Claimed]) -> int:
    """Return how many incidents a message names; that of a call depends on its words, and is noted in the attempts."""
    capabilities = tx.deps.capabilities(begun[0].channel)
    if not capabilities.is_call:
        return capabilities.names
    named = min(capabilities.names, prompts.names([each.message.content for each in begun]))
    for each in begun[named : capabilities.names]:
        row = tx.ledger.notifications.get(each.lease.ref.notification_id)
        unnamed = replace(attempt_of(row, each.lease.attempt_id), is_named=False)
        tx.ledger.save(row, with_attempt(row, unnamed))
    return named


def _begin(
    tx: Transaction,
    candidate: Candidate,
    provider: str,
    attempt_id: str,
    first_id: str,
    *,
    position: int,
    others: int,
    has_receipts: bool,
) -> Claimed:
    row, escalation, contact = candidate.row, candidate.escalation, candidate.contact
    policy, capabilities = escalation.policy, tx.deps.capabilities(row.channel)
    is_silent = row.kind is Kind.PAGE and not has_receipts
    wait = earlier_pages.receipt_wait(escalation, row.channel)
    unproven_after = proof.unproven_after(policy, row.channel, row.severity, capabilities) if is_silent else None
    attempt = AttemptFacts(
        id=attempt_id,
        notification_id=row.id,
        number=len(row.attempts) + 1,
        provider=provider,
        token=tx.deps.ids.new(),
        started_at=tx.now,
        lease_until=tx.now + tx.deps.lease,
        receipt_due_at=tx.now + wait if has_receipts else None,
        unproven_at=None if unproven_after is None else tx.now + min(unproven_after, wait),
        sent_with=first_id if others else None,
        position=position if others else None,
        is_named=not others or position < capabilities.names,
        over_at=calls.first_over_at(tx.now, is_end_told=has_receipts) if capabilities.is_call and not position else None,
    )
    doubted = doubt_of(row)
    mark = {"after_doubt": doubted.id} if doubted else {}
    mark |= {"together": str(others)} if others else {}
    claimed = lifecycle.claim(replace(row, lane=candidate.lane), attempt, now=tx.now)
    tx.write(row, claimed, attempt=attempt.id, provider=provider, **mark)
    message = replace(
        message_of(tx, row, escalation, contact, attempt),
        valid_for_s=int(policy.retries.schedule(row.channel, row.severity).window.total_seconds()),
        replaces=_replaced(tx, row, escalation, provider) if row.kind is Kind.STATUS_UPDATE else "",
    )
    ref = AttemptRef(
        incident_id=row.incident_id,
        escalation_id=row.escalation_id,
        notification_id=row.id,
        attempt_id=attempt.id,
        provider=provider,
        provider_ref="",
        namespace=row.namespace,
        sent_with=attempt.sent_with,
        position=attempt.position,
    )
    return Claimed(
        lease=Lease(ref=ref, token=attempt.token),
        channel=row.channel,
        message=message,
        lease_until=attempt.lease_until,
        severity=row.severity,
        doubt=_doubt(doubted) if doubted else None,
    )


def _doubt(doubted: AttemptFacts) -> Doubt:
    attempt_id = doubted.sent_with or doubted.id
    return Doubt(provider=doubted.provider, attempt_id=attempt_id, notification_id=doubted.notification_id)


def message_of(
    tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, contact: Contact, attempt: AttemptFacts
) -> OutboundMessage:
    """Return the message of an attempt, as of the attempt's start.

    An attempt in doubt gets the same message again; a provider that does not store our id is searched for its text.
    """
    return OutboundMessage(
        attempt_id=attempt.id,
        notification_id=row.id,
        incident_id=row.incident_id,
        address=contact.addresses[row.channel],
        content=contents.write(tx, row, escalation, contact, attempt),
        at=attempt.started_at,
    )


def _replaced(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, provider: str) -> str:
    earlier = tx.ledger.notifications.of_earlier_rounds([escalation]).get(escalation.id, ())
    rows = (*earlier, *tx.ledger.notifications.of(escalation.id))
    page = status_updates.replaced_attempt(tx, rows, row.channel)
    return page.provider_ref if page and page.provider == provider else ""
