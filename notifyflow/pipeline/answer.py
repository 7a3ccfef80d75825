"""Hears what people answer where a message reached them: a text message, a button that was pressed."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import timedelta

from notifyflow.core import links
from notifyflow.core.model import Ended, Receipt
from notifyflow.core.replies import DOING, Choice, Effect, Heard, Said, Verb, answer
from notifyflow.core.wording import text
from notifyflow.errors import InvalidLink
from notifyflow.pipeline import acknowledge, status_updates, use_case
from notifyflow.pipeline.claim import end_queued
from notifyflow.pipeline.ports import NOTHING, Answered, Consequences, Dependencies
from notifyflow.pipeline.replies import TEXTS
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import Code

_ANSWERS_AN_HOUR = 3
_AN_HOUR = timedelta(hours=1)
_OPTED_OUT = "{who} has said STOP and gets no texts from it any more: reach them another way, or ask them to text START"
"""What operations is told."""


def hear(deps: Dependencies, said: Said, *, raw: str, on_routes: Collection[str] = ()) -> Answered:
    """Do what somebody answered, once for each event of the provider.

    Who is not known is not heard: nothing of it is kept, and nothing is said to it. Whoever is heard is answered three times an
    hour at most.

    Args:
        deps: The dependencies of the use cases.
        said: What was answered; its callback's signature was checked.
        raw: The body it was read from; personal.
        on_routes: The ids of those at the end of a route whose number it comes from.
    """
    who = {*on_routes, *(each.recipient_id for each in deps.operations if said.theirs in each.addresses.values())}

    def body(tx: Transaction) -> Heard:
        if not _is_heard(tx, said, who):
            return Heard(effect=Effect.IGNORED)
        receipt = Receipt(provider=said.provider, event_id=said.event_id, result=None, code=said.verb, reason="somebody answered")
        if not tx.ledger.add_receipt(receipt, raw=raw, at=tx.now):
            return Heard(effect=Effect.REPEATED)
        tx.ledger.settle_answer(receipt, is_done=said.verb in DOING)
        heard = _do(tx, said, who)
        return replace(heard, is_withheld=bool(said.theirs) and not _may_answer(tx, said, heard))

    heard, consequences = use_case.run(deps, body)
    if heard.effect is Effect.BLOCKED:
        consequences += _end_texts(deps, said.theirs)
    return Answered(heard=heard, consequences=consequences)


def _is_heard(tx: Transaction, said: Said, who: Collection[str]) -> bool:
    """Return whether somebody is heard: by a button of ours, or from a number that is known and not our own."""
    if not said.theirs:
        return True
    is_echo = said.verb is Verb.ECHO or said.theirs in tx.deps.senders.values()
    return not is_echo and (bool(who) or tx.ledger.is_known(said.theirs))


def _may_answer(tx: Transaction, said: Said, heard: Heard) -> bool:
    if not answer(heard) or tx.ledger.opt_outs(said.theirs, (said.ours,)):
        return False
    return tx.ledger.take_answer(said.theirs, at_most=_ANSWERS_AN_HOUR, within=_AN_HOUR, now=tx.now)


def _do(tx: Transaction, said: Said, who: Collection[str]) -> Heard:
    match said.verb:
        case Verb.ACKNOWLEDGE:
            return _take_by_token(tx, said) if said.token else _take_by_text(tx, said)
        case Verb.YES:
            is_out = tx.ledger.opt_outs(said.theirs, (said.ours,))
            return _let_in(tx, said) if is_out else _take_by_text(tx, said)
        case Verb.STOP:
            if tx.ledger.opt_out(said.ours, said.theirs, at=tx.now):
                tx.notices += [(_OPTED_OUT.format(who=each), said.provider) for each in sorted(who)]
            return Heard(effect=Effect.BLOCKED)
        case Verb.START:
            return _let_in(tx, said)
        case Verb.HELP | Verb.UNCLEAR | Verb.ECHO:
            return Heard(effect=Effect.EXPLAINED)


def _let_in(tx: Transaction, said: Said) -> Heard:
    tx.ledger.opt_in(said.ours, said.theirs)
    return Heard(effect=Effect.UNBLOCKED)


def _take_by_token(tx: Transaction, said: Said) -> Heard:
    try:
        claim = links.check(tx.deps.secret_keys, said.token, tx.now)
    except InvalidLink:
        return Heard(effect=Effect.UNKNOWN)
    code = Code(code="", incident_id=claim.incident_id, recipient_id=claim.recipient_id, is_shown=False)
    return _take(tx, [code], via=said.provider, who=said.who)


def _take_by_text(tx: Transaction, said: Said) -> Heard:
    """Take what a code means; without one the only incident that is open for the number, or say what became of the last."""
    if said.code:
        codes: Sequence[Code] = [found] if (found := tx.ledger.code(said.theirs, said.code, now=tx.now)) else []
    else:
        codes = tx.ledger.open_codes(said.theirs, now=tx.now)
        if not codes and (last := tx.ledger.last_code(said.theirs, now=tx.now)):
            codes = [last]
    if len({each.incident_id for each in codes}) > 1:
        choices = [_choice(tx, each) for each in codes]
        return Heard(effect=Effect.AMBIGUOUS, choices=choices)
    return _take(tx, codes, via=TEXTS)


def _take(tx: Transaction, codes: Sequence[Code], *, via: str, **detail: str) -> Heard:
    """Take one incident, for everybody who shares the number."""
    incident = tx.ledger.lock_incident_if_kept(codes[0].incident_id) if codes else None
    if incident is None:
        return Heard(effect=Effect.UNKNOWN)
    choices = [_choice(tx, codes[0])]
    cancelled = on_their_way = 0
    has_changed = False
    for code in codes:
        stopped = acknowledge.take(tx, incident, by=code.recipient_id, via=via, **detail)
        has_changed = has_changed or bool(stopped)
        cancelled, on_their_way = cancelled + len(stopped.cancelled), on_their_way + len(stopped.on_their_way)
        incident = tx.ledger.incident(incident.id)
    if not has_changed:
        return Heard(effect=Effect.LATE, choices=choices, by=status_updates.late_reply(tx, incident, codes[0].recipient_id))
    return Heard(effect=Effect.TAKEN, choices=choices, cancelled=cancelled, on_their_way=on_their_way)


def _choice(tx: Transaction, code: Code) -> Choice:
    return Choice(code=code.code, title=text.one_line(tx.ledger.content(code.incident_id).title), incident_id=code.incident_id)


def _end_texts(deps: Dependencies, theirs: str) -> Consequences:
    """End what is queued for a number that nobody may text any more, so that its tier moves on at once."""

    def find(tx: Transaction) -> tuple[tuple[str, str], ...]:
        ours = frozenset(tx.deps.senders.values())
        return tx.ledger.queued_for(theirs, TEXTS, now=tx.now) if tx.ledger.opt_outs(theirs, ours) == ours else ()

    consequences = NOTHING
    for escalation_id, notification_id in use_case.run(deps, find)[0]:
        consequences += end_queued(deps, escalation_id, notification_id, Ended.OPTED_OUT)
    return consequences
