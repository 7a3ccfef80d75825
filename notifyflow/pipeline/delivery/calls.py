"""Phone calls: how one goes on after a pressed key, when it is over, and what follows from a call that carried several."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime

from notifyflow.core.copies import replace
from notifyflow.core.delivery import calls
from notifyflow.core.delivery.attempts import attempt_of, with_attempt
from notifyflow.core.delivery.model import Receipt, Severity
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.replies import Choice, Effect, HandledReply
from notifyflow.pipeline.delivery import contents, receive
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Dependencies, Recall
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.ledger import AttemptRef, CallToAsk

_UNHEARD = "{count} incidents failed, because three calls in ten minutes had no time for them"


def describe_key(deps: Dependencies, receipt: Receipt) -> HandledReply:
    """Return the response to a pressed key: the state of the incidents now, and the call's content, to go on with it."""
    handled = receive.describe_current_state(deps, receipt)
    is_dark = handled.effect in (Effect.UNKNOWN, Effect.UNREADABLE)
    return handled if is_dark else use_case.run(deps, lambda tx: _describe(tx, receipt, handled)).value


def find_calls_to_ask(deps: Dependencies, providers: Collection[str], *, limit: int) -> tuple[CallToAsk, ...]:
    """Find calls that some providers are to be asked about, since nobody has reported their end."""
    now = deps.clock.now()
    return deps.transactions.run(
        lambda ledger: ledger.attempts.calls_to_ask(providers, now=now, within=calls.ANSWERED_WITHIN, limit=limit)
    )


def claim_question(deps: Dependencies, call: CallToAsk) -> CallToAsk | None:
    """Put off the end of a call before its provider is asked; return None if another process asks, or the call is over.

    While nobody says that it is over, the call then counts as under way until shortly after the next question.
    """
    over_at = calls.over_at_once_asked(call.started_at, deps.clock.now())
    return replace(call, over_at=over_at) if over_at > call.over_at and _set_end(deps, call, over_at) else None


def end_unanswered(deps: Dependencies, call: CallToAsk) -> None:
    """Free the number of a call whose provider does not say whether it still goes on."""
    _set_end(deps, call, deps.clock.now())


def _set_end(deps: Dependencies, call: CallToAsk, over_at: datetime) -> bool:
    def body(tx: Transaction) -> bool:
        row = tx.ledger.notifications.lock(call.notification_id)
        attempt = attempt_of(row, call.attempt_id)
        if attempt.over_at != call.over_at:
            return False
        tx.ledger.save(row, with_attempt(row, replace(attempt, over_at=over_at)))
        return True

    return use_case.run(deps, body).value


def at_end(tx: Transaction) -> None:
    """Recall the calls that carry nothing open any more, and tell operations how many incidents no call had time for."""
    for ref in tx.ledger.attempts.calls_to_recall(sorted(tx.shared_calls)) if tx.shared_calls else ():
        channel = tx.shared_calls[ref.attempt_id]
        tx.recalls.append(
            Recall(attempt_id=ref.attempt_id, channel=channel, provider=ref.provider, provider_ref=ref.provider_ref)
        )
    for channel, count in sorted(tx.unheard.items()):
        tx.notices.append((_UNHEARD.format(count=count), channel))


def _describe(tx: Transaction, receipt: Receipt, handled: HandledReply) -> HandledReply:
    """Add the content of the call, and how many of its incidents are acknowledged; without its content it ends after the key."""
    attempt_id = receipt.attempt_id or ""
    with suppress(*use_case.DAMAGE):
        refs = tx.ledger.attempts.named_in_call(attempt_id)
        counts, acknowledged = tx.ledger.attempts.count_in_call(attempt_id)
        written = [_write(tx, ref) for ref in refs]
        if refs[0].sent_with is None:
            return replace(handled, content=written[0])
        risen = [
            Choice(code="", title=tx.ledger.incidents.content(incident_id).title, incident_id=incident_id, risen_to=severity)
            for incident_id, severity in tx.ledger.attempts.risen_in_call(attempt_id)
        ]
        return replace(handled, acknowledged=acknowledged, still_open=risen, content=_gathered(written, counts))
    return handled


def _write(tx: Transaction, ref: AttemptRef) -> Content:
    """Write the content for an attempt as of its start."""
    row, escalation = tx.ledger.notifications.get(ref.notification_id), tx.ledger.escalations.get(ref.escalation_id)
    contact = tx.ledger.contacts.get(ref.incident_id, escalation.recipient_id)
    return contents.write(tx, row, escalation, contact, attempt_of(row, ref.attempt_id))


def _gathered(written: Sequence[Content], counts: dict[Severity, int]) -> Content:
    unnamed = sum(counts.values()) - len(written)
    return replace(written[0], bundled=tuple(written), counts=counts, unnamed=unnamed)
