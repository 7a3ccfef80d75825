"""Handles replies: text messages and pressed buttons."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import partial

from notifyflow.core import text
from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import Ended, Receipt, Severity, Stopped
from notifyflow.core.messages.carried import CarriedPage, CodedMessage, Meaning, meant_by_code, meant_by_word
from notifyflow.core.messages.links import read_subject_id
from notifyflow.core.messages.replies import CHANGING, Choice, Effect, HandledReply, Intent, Reply, write_response
from notifyflow.errors import InvalidLink, UnreadableRow
from notifyflow.pipeline.delivery import links, status_updates
from notifyflow.pipeline.delivery.acknowledge import acknowledge_locked
from notifyflow.pipeline.delivery.acknowledge_many import Acknowledging, acknowledge_many
from notifyflow.pipeline.delivery.endings import end_queued
from notifyflow.pipeline.transaction import sparing, use_case
from notifyflow.pipeline.transaction.ports import NOTHING, Committed, Dependencies, FollowUps
from notifyflow.pipeline.transaction.running import Transaction

_RESPONSES_AN_HOUR = 3
_RESPONSES_AN_HOUR_IN_A_STORM = 10
_AN_HOUR = timedelta(hours=1)
_ALL_LATE = "All are over, or acknowledged already"
_OPTED_OUT = "{who} has replied STOP and gets no more texts from it: reach them another way, or ask them to text START"
"""The notice for operations."""


def handle_reply(
    deps: Dependencies, reply: Reply, *, channel: str, raw: str, on_routes: Collection[str] = ()
) -> Committed[HandledReply]:
    """Handle a reply, once for each event of the provider.

    A reply from an unknown number is ignored: nothing is stored, and nothing is sent back. Every other number gets at most three
    responses an hour, and ten if a bundle was sent to it.

    A reply to several incidents acknowledges them in transactions of its own, before the event is stored as handled: if it is cut
    short, the provider's repetition acknowledges the rest.

    Args:
        deps: The dependencies of the use cases.
        reply: The reply; the signature of its callback was checked.
        channel: The channel that it came through.
        raw: The body that it was read from; personal.
        on_routes: The recipients, by id, that the directory's routes lead to at the reply's number.
    """
    recipients = {*on_routes, *(each.recipient_id for each in deps.operations if reply.number in each.addresses.values())}

    def body(tx: Transaction, told: HandledReply | None = None) -> HandledReply:
        if not _is_accepted(tx, reply, recipients):
            return HandledReply(effect=Effect.IGNORED)
        receipt = Receipt(provider=reply.provider, event_id=reply.event_id, result=None, code=reply.intent, reason="a reply")
        if not tx.ledger.inbox.add(receipt, raw=raw, at=tx.now):
            return HandledReply(effect=Effect.REPEATED)
        tx.ledger.inbox.store_reply(receipt, is_done=reply.intent in CHANGING)
        handled = told or _do(tx, reply, channel, recipients)
        if handled.effect is Effect.UNKNOWN and tx.ledger.unread:
            handled = HandledReply(effect=Effect.UNREADABLE)
        return replace(handled, is_withheld=bool(reply.number) and not _may_respond(tx, reply, handled))

    try:
        handled, follow_ups = sparing.run(deps, body)
    except _Several as several:
        told, stopped = _acknowledge_several(deps, several.pages, via=channel)
        handled, follow_ups = sparing.run(deps, partial(body, told=told))
        follow_ups = stopped + follow_ups
    except UnreadableRow:
        handled, follow_ups = sparing.run(deps, partial(body, told=HandledReply(effect=Effect.UNREADABLE)))
    if handled.effect is Effect.BLOCKED:
        follow_ups += _end_texts(deps, channel, reply.number)
    return Committed(handled, follow_ups)


class _Several(Exception):
    """Raised to roll back when a reply acknowledges several incidents."""

    def __init__(self, pages: Sequence[CarriedPage]) -> None:
        super().__init__()
        self.pages = pages


def _is_accepted(tx: Transaction, reply: Reply, recipients: Collection[str]) -> bool:
    """Return whether a reply came from our button, or from a known number that is not our own."""
    if not reply.number:
        return True
    is_echo = reply.intent is Intent.ECHO or any(reply.number in senders.values() for senders in tx.deps.senders.values())
    return not is_echo and (bool(recipients) or tx.ledger.replies.is_known(reply.number))


def _may_respond(tx: Transaction, reply: Reply, handled: HandledReply) -> bool:
    if not write_response(handled) or tx.ledger.replies.opt_outs(reply.number, (reply.our_number,)):
        return False
    is_storm = tx.ledger.replies.has_bundle(reply.number, since=tx.now - _AN_HOUR)
    at_most = _RESPONSES_AN_HOUR_IN_A_STORM if is_storm else _RESPONSES_AN_HOUR
    return tx.ledger.replies.count_response(reply.number, at_most=at_most, within=_AN_HOUR, now=tx.now)


def _do(tx: Transaction, reply: Reply, channel: str, recipients: Collection[str]) -> HandledReply:
    match reply.intent:
        case Intent.ACKNOWLEDGE | Intent.ACKNOWLEDGE_ALL:
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
        incident_id = read_subject_id(reply.token)
        claim = links.check(tx.deps, reply.token, tx.ledger.contacts.ids(incident_id), None, now=tx.now)
    except InvalidLink:
        return HandledReply(effect=Effect.UNKNOWN)
    incident = tx.ledger.incidents.find(incident_id, is_locked=True)
    if incident is None:
        return HandledReply(effect=Effect.UNKNOWN)
    stopped = acknowledge_locked(tx, incident, by=claim.recipient_id, via=channel, shown=reply.shown, who=reply.who)
    choice = Choice(code="", title=text.one_line(tx.ledger.incidents.content(incident_id).title), incident_id=incident_id)
    return _told(tx, incident, claim.recipient_id, [(choice, stopped)])


def _acknowledge_by_text(tx: Transaction, reply: Reply, channel: str) -> HandledReply:
    meaning = _meaning(tx, reply)
    if meaning.choices:
        return _choices(meaning.choices)
    if len({page.incident_id for page in meaning.pages}) > 1:
        raise _Several(meaning.pages)
    incident = tx.ledger.incidents.find(meaning.pages[0].incident_id, is_locked=True) if meaning.pages else None
    if incident is None:
        return HandledReply(effect=Effect.UNKNOWN)
    done = []
    for page in meaning.pages:  # for every recipient who shares the number
        stopped = acknowledge_locked(tx, incident, by=page.recipient_id, via=channel, shown=page.shown)
        done.append((_choice(page), stopped))
        incident = tx.ledger.incidents.get(incident.id)
    return _told(tx, incident, meaning.pages[0].recipient_id, done)


def _meaning(tx: Transaction, reply: Reply) -> Meaning:
    """Return what a text means; without anything open, a word means the number's last message, which is late."""
    is_all = reply.intent is Intent.ACKNOWLEDGE_ALL
    if reply.code:
        message = tx.ledger.replies.message(reply.number, reply.code, now=tx.now)
        return meant_by_code(message, is_all=is_all) if message else Meaning()
    messages = tx.ledger.replies.open_messages(reply.number, now=tx.now)
    if messages:
        return Meaning(choices=messages) if is_all else meant_by_word(messages)
    last = tx.ledger.replies.last_message(reply.number, now=tx.now)
    return meant_by_code(last, is_all=False) if last else Meaning()


def _choices(messages: Sequence[CodedMessage]) -> HandledReply:
    """Ask which message is meant; one of which everything open has risen since cannot be acknowledged by its code."""
    left = [(each, each.to_acknowledge) for each in messages]
    choices = [
        replace(_choice(pages[0]), code=each.code, more=len(pages) - 1, is_all=not each.names_all)
        for each, pages in left
        if pages
    ]
    if not choices:
        risen = {page.incident_id: page for each in messages for page in each.pages if page.is_open}
        return HandledReply(effect=Effect.RISEN, still_open=[_choice(page) for page in risen.values()])
    count = len({page.incident_id for _, pages in left for page in pages})
    return HandledReply(effect=Effect.AMBIGUOUS, choices=choices, open_incidents=count)


def _acknowledge_several(deps: Dependencies, pages: Sequence[CarriedPage], *, via: str) -> tuple[HandledReply, FollowUps]:
    wanted = [Acknowledging(incident_id=each.incident_id, by=each.recipient_id, via=via, shown=each.shown) for each in pages]
    results, follow_ups = acknowledge_many(deps, wanted)
    return _told_of(list(zip(map(_choice, pages), results, strict=True))), follow_ups


def _told(tx: Transaction, incident: IncidentFacts, recipient_id: str, done: Sequence[tuple[Choice, Stopped]]) -> HandledReply:
    handled = _told_of(done)
    if handled.effect is not Effect.LATE:
        return handled
    return replace(handled, by=status_updates.late_reply(tx, incident, recipient_id))


def _told_of(done: Sequence[tuple[Choice, Stopped | Exception]]) -> HandledReply:
    """Return the result of acknowledgements, in which an incident may stand for several recipients."""
    taken, late, still_open = dict[str, Choice](), dict[str, Choice](), dict[str, Choice]()
    for choice, stopped in done:
        if isinstance(stopped, Exception) or stopped.risen_to:
            risen_to = None if isinstance(stopped, Exception) else stopped.risen_to
            still_open[choice.incident_id] = replace(choice, risen_to=risen_to)
        else:
            (taken if stopped else late)[choice.incident_id] = choice
    stops = [each for _, each in done if not isinstance(each, Exception)]
    left = [each for incident_id, each in still_open.items() if incident_id not in taken]
    if not taken and left:
        return HandledReply(effect=Effect.RISEN, still_open=left)
    return HandledReply(
        effect=Effect.ACKNOWLEDGED if taken else Effect.LATE,
        choices=list((taken or late).values()),
        still_open=left,
        by="" if taken else _ALL_LATE,
        cancelled=sum(len(each.cancelled) for each in stops),
        on_their_way=sum(len(each.on_their_way) for each in stops),
    )


def _choice(page: CarriedPage) -> Choice:
    risen_to: Severity | None = page.severity if page.has_risen else None
    return Choice(code="", title=text.one_line(page.title), incident_id=page.incident_id, risen_to=risen_to)


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
