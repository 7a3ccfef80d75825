"""Writes the message of a call in doubt again, so that its provider can be asked for it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from notifyflow.core.copies import replace
from notifyflow.core.delivery.attempts import attempt_of
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import Contact
from notifyflow.core.limits import quiet
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.delivery import incident_events
from notifyflow.pipeline.limits.attempts import message_of, together
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Dependencies, Doubt
from notifyflow.pipeline.transaction.running import Transaction


@dataclass(frozen=True, slots=True)
class _Written:
    """A notification of a call in doubt.

    Attributes:
        message: What it would have been sent alone.
        was_quiet: Whether it came in its recipient's quiet hours.
    """

    row: NotificationFacts
    contact: Contact
    attempt: AttemptFacts
    message: OutboundMessage
    was_quiet: bool


def message_in_doubt(deps: Dependencies, doubt: Doubt, *, address: str) -> OutboundMessage | None:
    """Return the message of a call in doubt, to an address, as it may have been sent: of all notifications that it carried.

    One that is damaged is left out: where the provider knows our ids or the message's link, it is found all the same. None if all
    are damaged.

    Raises:
        StorageUnavailable: When the database does not answer in time.
    """

    def body(tx: Transaction) -> OutboundMessage | None:
        carried = {ref.notification_id: ref.attempt_id for ref in tx.ledger.attempts.carried([doubt.attempt_id])}
        carried = carried or {doubt.notification_id: doubt.attempt_id}
        written = sorted(
            _written(tx, tx.ledger.notifications.those(carried), carried), key=lambda each: each.attempt.position or 0
        )
        if not written:
            return None
        message = written[0].message
        if len(carried) > 1:
            message = _together(tx, written, doubt)
        return replace(message, attempt_id=doubt.attempt_id, address=address)

    return use_case.run(deps, body).value


def _together(tx: Transaction, written: Sequence[_Written], doubt: Doubt) -> OutboundMessage:
    content = together(
        tx,
        [each.row for each in written],
        written[0].contact,
        [each.message.content for each in written],
        provider=doubt.provider,
        sent_with=doubt.attempt_id,
        named=sum(each.attempt.is_named for each in written),
        is_after_quiet=all(each.was_quiet for each in written),
        at=written[0].attempt.started_at,
    )
    return replace(written[0].message, content=content)


def _written(tx: Transaction, rows: Sequence[NotificationFacts], carried: Mapping[str, str]) -> Iterator[_Written]:
    """Yield the message that each notification would have been sent alone."""
    for row in rows:
        try:
            escalation = tx.ledger.escalations.get(row.escalation_id)
            contact = incident_events.receiver(tx, row, escalation)
            attempt = attempt_of(row, carried[row.id])
            message = message_of(tx, row, escalation, contact, attempt)
            was_quiet = quiet.quiet_until(contact, escalation.severity, row.created_at) is not None
            yield _Written(row, contact, attempt, message, was_quiet)
        except StorageUnavailable:
            raise
        except use_case.DAMAGE:
            continue
