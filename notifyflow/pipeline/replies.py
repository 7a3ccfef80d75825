"""Handles replies: text messages and pressed buttons."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Ended, Receipt
from notifyflow.core.messages.links import read_incident_id
from notifyflow.core.messages.replies import CHANGING, Choice, Effect, HandledReply, Intent, Reply, write_response
from notifyflow.errors import InvalidLink
from notifyflow.pipeline.delivery import acknowledge, links, status_updates
from notifyflow.pipeline.delivery.endings import end_queued
from notifyflow.pipeline.transaction import sparing, use_case
from notifyflow.pipeline.transaction.ports import NOTHING, Committed, Dependencies, FollowUps
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.ledger import ReplyCode

_RESPONSES_AN_HOUR = 3
_AN_HOUR = timedelta(hours=1)
_OPTED_OUT = "{who} has replied STOP and gets no more texts from it: reach them another way, or ask them to text START"
"""The notice for operations."""


def handle_reply(
    deps: Dependencies, reply: Reply, *, channel: str, raw: str, on_routes: Collection[str] = ()
) -> Committed[HandledReply]:
    """Handle a reply, once for each event of the provider.

    A reply from an unknown number is ignored: nothing is stored, and nothing is sent back. Every other number gets at most three
    responses an hour.

    Args:
        deps: The dependencies of the use cases.
        reply: The reply; the signature of its callback was checked.
        channel: The channel that it came through.
        raw: The body that it was read from; personal.
        on_routes: The recipients, by id, that the directory's routes lead to at the reply's number.
    """
    recipients = {*on_routes, *(each.recipient_id for each in deps.operations if reply.number in each.addresses.values())}

    def body(tx: Transaction) -> HandledReply:
        if not _is_accepted(tx, reply, recipients):
            return HandledReply(effect=Effect.IGNORED)
        receipt = Receipt(provider=reply.provider, event_id=reply.event_id, result=None, code=reply.intent, reason="a reply")
        if not tx.ledger.inbox.add(receipt, raw=raw, at=tx.now):
            return HandledReply(effect=Effect.REPEATED)
        tx.ledger.inbox.store_reply(receipt, is_done=reply.intent in CHANGING)
        handled = _do(tx, reply, channel, recipients)
        return replace(handled, is_withheld=bool(reply.number) and not _may_respond(tx, reply, handled))

    handled, follow_ups = sparing.run(deps, body)
    if handled.effect is Effect.BLOCKED:
        follow_ups += _end_texts(deps, channel, reply.number)
    return Committed(handled, follow_ups)


def _is_accepted(tx: Transaction, reply: Reply, recipients: Collection[str]) -> bool:
    """Return whether a reply came from our button, or from a known number that is not our own."""
    if not reply.number:
        return True
    is_echo = reply.intent is Intent.ECHO or any(reply.number in senders.values() for senders in tx.deps.senders.values())
    return not is_echo and (bool(recipients) or tx.ledger.replies.is_known(reply.number))


def _may_respond(tx: Transaction, reply: Reply, handled: HandledReply) -> bool:
    if not write_response(handled) or tx.ledger.replies.opt_outs(reply.number, (reply.our_number,)):
        return False
    return tx.ledger.replies.count_response(reply.number, at_most=_RESPONSES_AN_HOUR, within=_AN_HOUR, now=tx.now)


def _do(tx: Transaction, reply: Reply, channel: str, recipients: Collection[str]) -> HandledReply:
    match reply.intent:
        case Intent.ACKNOWLEDGE:
            return _acknowledge_by_token(tx, reply, channel) if reply.token else _acknowledge_by_text(tx, reply, channel)
        case Intent.YES:
            is_out = tx.ledger.replies.opt_outs(reply.number, (reply.our_number,))
            return _opt_in(tx, reply) if is_out else _acknowledge_by_text(tx, reply, channel)
        case Intent.STOP:
            if tx.ledger.replies.opt_out(reply.our_number, reply.number, at=tx.now):
                tx.notices += [(_OPTED_OUT.format(who=recipient), reply.provider) for recipient in sorted(recipients)]
            return HandledReply(effect=Effect.BLOCKED)
        case Intent.START:
            return _opt_in(tx, reply)
        case Intent.HELP | Intent.UNCLEAR | Intent.ECHO:
            return HandledReply(effect=Effect.EXPLAINED)


def _opt_in(tx: Transaction, reply: Reply) -> HandledReply:
    tx.ledger.replies.opt_in(reply.our_number, reply.number)
    return HandledReply(effect=Effect.UNBLOCKED)


def _acknowledge_by_token(tx: Transaction, reply: Reply, channel: str) -> HandledReply:
    try:
        recipient_ids = tx.ledger.contacts.ids(read_incident_id(reply.token))
        claim = links.check(tx.deps, reply.token, recipient_ids, now=tx.now)
    except InvalidLink:
        return HandledReply(effect=Effect.UNKNOWN)
    code = ReplyCode(code="", incident_id=claim.incident_id, recipient_id=claim.recipient_id, is_shown=False)
    return _acknowledge(tx, [code], via=channel, who=reply.who)


def _acknowledge_by_text(tx: Transaction, reply: Reply, channel: str) -> HandledReply:
    """Acknowledge the incident of a code; without a code, the number's only open incident, or return the state of its last."""
    if reply.code:
        codes: Sequence[ReplyCode] = [found] if (found := tx.ledger.replies.code(reply.number, reply.code, now=tx.now)) else []
    else:
        codes = tx.ledger.replies.open_codes(reply.number, now=tx.now)
        if not codes and (last := tx.ledger.replies.last_code(reply.number, now=tx.now)):
            codes = [last]
    if len({each.incident_id for each in codes}) > 1:
        return HandledReply(effect=Effect.AMBIGUOUS, choices=[_choice(tx, each) for each in codes])
    return _acknowledge(tx, codes, via=channel)


def _acknowledge(tx: Transaction, codes: Sequence[ReplyCode], *, via: str, **detail: str) -> HandledReply:
    """Acknowledge one incident for every recipient who shares the number."""
    incident = tx.ledger.incidents.find(codes[0].incident_id, is_locked=True) if codes else None
    if incident is None:
        return HandledReply(effect=Effect.UNKNOWN)
    choices = [_choice(tx, codes[0])]
    cancelled = on_their_way = 0
    has_changed = False
    for code in codes:
        stopped = acknowledge.acknowledge_locked(tx, incident, by=code.recipient_id, via=via, **detail)
        has_changed = has_changed or bool(stopped)
        cancelled, on_their_way = cancelled + len(stopped.cancelled), on_their_way + len(stopped.on_their_way)
        incident = tx.ledger.incidents.get(incident.id)
    if not has_changed:
        late = status_updates.late_reply(tx, incident, codes[0].recipient_id)
        return HandledReply(effect=Effect.LATE, choices=choices, by=late)
    return HandledReply(effect=Effect.ACKNOWLEDGED, choices=choices, cancelled=cancelled, on_their_way=on_their_way)


def _choice(tx: Transaction, code: ReplyCode) -> Choice:
    title = text.one_line(tx.ledger.incidents.content(code.incident_id).title)
    return Choice(code=code.code, title=title, incident_id=code.incident_id)


def _end_texts(deps: Dependencies, channel: str, number: str) -> FollowUps:
    """End the queued texts for a number that has opted out of every sender, so that their tiers fail over at once."""

    def find(tx: Transaction) -> tuple[tuple[str, str], ...]:
        all_ours = frozenset(tx.deps.senders.get(channel, {}).values())
        is_out = tx.ledger.replies.opt_outs(number, all_ours) == all_ours
        return tx.ledger.replies.queued_for(number, channel, now=tx.now) if is_out else ()

    follow_ups = NOTHING
    for escalation_id, notification_id in use_case.run(deps, find)[0]:
        follow_ups += end_queued(deps, escalation_id, notification_id, Ended.OPTED_OUT)
    return follow_ups
