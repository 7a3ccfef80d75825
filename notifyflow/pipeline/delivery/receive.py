"""Applies receipts, a set at a time: stores them in the inbox, moves notifications, acknowledges when key 1 was pressed.

It also finds the attempts whose status is to be polled now; the polling itself is done outside any transaction.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from notifyflow.core import namespaces
from notifyflow.core.copies import replace
from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.model import EscalationState, IncidentState, Receipt, Via
from notifyflow.core.messages.keys import for_title
from notifyflow.core.messages.replies import Choice, Effect, HandledReply
from notifyflow.pipeline.delivery import acknowledge, decisions, outages, provider_health, status_updates
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Committed, Dependencies, ReceiptMatch
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetResult, SetUseCase, keep_apart
from notifyflow.storage.ledger import AttemptRef, AttemptToPoll

Carried = Mapping[str, Sequence[AttemptRef]]
"""The attempts that a call carried, by the attempt that made the call."""

AHEAD = timedelta(seconds=15)
"""How long before its receipt is overdue an attempt is first polled, so that the response comes in time."""

WAITS = (timedelta(minutes=5), timedelta(minutes=30))
"""How long after its start an attempt is polled again; the index relies on three polls in all."""


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """A receipt as it came; a repetition is another.

    Attributes:
        receipt: The provider's report; the signature of its callback was checked.
        raw: The body it was read from; personal.
    """

    receipt: Receipt
    raw: str


def receive(deps: Dependencies, receipt: Receipt, *, raw: str) -> Committed[ReceiptMatch]:
    """Store and apply one receipt; see ``receive_all``."""
    return receive_all(deps, [Received(receipt, raw)]).only()


def receive_all(deps: Dependencies, received: Sequence[Received]) -> SetResult[ReceiptMatch]:
    """Store and apply receipts, in one transaction.

    Returns:
        For each, whether it matched an attempt, was repeated, waits for its send to be recorded, or is foreign; or its own error.

    Raises:
        CommitUnknown: When it is unknown whether they are stored.
        StorageUnavailable: When the database does not answer in time; nothing was stored.
    """
    return _RECEIVE.run(deps, received)


def describe_current_state(deps: Dependencies, receipt: Receipt) -> HandledReply:
    """Return the response to a pressed key: the state of the incident now, however often the callback is repeated."""

    def body(tx: Transaction) -> HandledReply:
        (ref,) = _attempt_refs(tx, [receipt])
        if ref is None:
            return HandledReply(effect=Effect.UNKNOWN)
        incident, escalation = tx.ledger.incidents.get(ref.incident_id), tx.ledger.escalations.get(ref.escalation_id)
        if incident.state is IncidentState.OPEN and incident.severity.is_above(escalation.severity):
            risen = Choice(code="", title="", incident_id=incident.id, risen_to=incident.severity)
            return HandledReply(effect=Effect.RISEN, still_open=[risen])
        is_own = escalation.is_current and escalation.state is EscalationState.ACKNOWLEDGED
        if incident.state is IncidentState.OPEN:
            return HandledReply(effect=Effect.ACKNOWLEDGED if is_own else Effect.EXPLAINED)
        if incident.state is IncidentState.ACKNOWLEDGED and incident.acknowledged_by == escalation.recipient_id:
            return HandledReply(effect=Effect.ACKNOWLEDGED)
        return HandledReply(effect=Effect.LATE, by=status_updates.late_reply(tx, incident, escalation.recipient_id))

    return use_case.run(deps, body)[0]


def match_waiting(tx: Transaction, told: Sequence[tuple[AttemptRef, str | None]]) -> dict[str, list[Receipt]]:
    """Match receipts that waited for an attempt's provider id, before any lock is taken; return them by attempt."""
    new = {(ref.provider, provider_ref): ref for ref, provider_ref in told if provider_ref and not ref.provider_ref}
    waiting = tx.ledger.inbox.waiting(*zip(*new, strict=True)) if new else ()
    matched: dict[str, list[Receipt]] = defaultdict(list)
    for receipt, ref in _match(tx, [(each, new.get((each.provider, each.provider_ref or ""))) for each in waiting]):
        matched[ref.attempt_id].append(receipt)
    return matched


def _match(tx: Transaction, found: Iterable[tuple[Receipt, AttemptRef | None]]) -> list[tuple[Receipt, AttemptRef]]:
    """Match waiting receipts with their attempts; return those that no other process has matched."""
    known = [(receipt, ref) for receipt, ref in found if ref is not None]
    is_ours = tx.ledger.inbox.match([(receipt, ref.attempt_id) for receipt, ref in known])
    return [each for each, is_it in zip(known, is_ours, strict=True) if is_it]


def has_acknowledgement(receipts: Iterable[Receipt]) -> bool:
    """Return whether one of some receipts is a person's acknowledgement."""
    return any(each.is_acknowledgement for each in receipts)


def find_carried(tx: Transaction, refs: Iterable[AttemptRef]) -> Carried:
    """Find the other attempts that the calls of some attempts carried; their receipts apply to these, too."""
    found: dict[str, list[AttemptRef]] = defaultdict(list)
    if calls := [ref.attempt_id for ref in refs if ref.sent_with == ref.attempt_id]:
        for each in tx.ledger.attempts.sent_with(calls):
            found[each.sent_with or ""].append(each)
    return found


def lock_all(
    tx: Transaction,
    found: Sequence[tuple[AttemptRef, Sequence[Receipt]]],
    carried: Carried,
    *,
    others: Collection[AttemptRef] = (),
) -> None:
    """Lock and load the rows for receipts and other attempts; the incidents that the receipts acknowledge come first."""
    all_found = [(each, receipts) for ref, receipts in found for each in (ref, *carried.get(ref.attempt_id, ()))]
    tx.ledger.incidents.lock_many({ref.incident_id for ref, receipts in all_found if has_acknowledgement(receipts)})
    decisions.load(tx, [*others, *(ref for ref, _ in all_found)])


def apply_receipts(tx: Transaction, ref: AttemptRef, receipts: Sequence[Receipt], carried: Carried) -> None:
    """Apply matched receipts to an attempt and the others of its call; acknowledgements first, so that no other opens a tier."""
    in_order = sorted(receipts, key=lambda each: not each.is_acknowledgement)
    for each in (ref, *carried.get(ref.attempt_id, ())):
        for receipt in in_order:
            _apply(tx, each, replace(receipt, provider_ref=None) if each.is_sent_with_another else receipt)


def _apply(tx: Transaction, ref: AttemptRef, receipt: Receipt) -> None:
    receipt = for_title(receipt, ref.position, is_named=ref.is_named)
    incident = tx.ledger.incidents.lock(ref.incident_id) if receipt.is_acknowledgement else None
    escalation, row = decisions.lock(tx, ref)
    has_to_wait = any(each.retry_after_s for each in lifecycle.counted(row)[-1:])
    moved = lifecycle.receive(
        row,
        ref.attempt_id,
        receipt,
        schedule=decisions.schedule(escalation, row),
        now=tx.now,
        fraction=decisions.fraction(tx, ref),
        intervals=outages.intervals(tx, row) if has_to_wait else (),
    )
    tx.write(row, moved, attempt=ref.attempt_id, code=receipt.code, reason=receipt.reason)
    if incident is None:  # an acknowledgement opens no tier
        decisions.decide_page(tx, escalation, row, cause="received")
    if receipt.is_our_fault and not ref.is_sent_with_another:
        _report_our_fault(tx, ref, row.channel, receipt)
    if incident is not None:
        recipient_id = tx.ledger.escalations.get(ref.escalation_id).recipient_id
        if not acknowledge.acknowledge_locked(tx, incident, by=recipient_id, via=Via.KEY, shown=row.severity):
            decisions.decide(tx, tx.ledger.escalations.lock(ref.escalation_id), cause="received")


def _report_our_fault(tx: Transaction, ref: AttemptRef, channel: str, receipt: Receipt) -> None:
    """Tell operations about a fault of ours, and suspend the provider if it would refuse every message."""
    if receipt.is_general:
        provider_health.suspend(tx, channel, ref.provider)
    if tx.ledger.incidents.get(ref.incident_id).namespace != namespaces.OPERATIONS:
        tx.notices.append((receipt.reason or receipt.code, ref.provider))


def _attempt_refs(tx: Transaction, receipts: Sequence[Receipt]) -> list[AttemptRef | None]:
    """Find the attempts of receipts: by our ids if the callbacks named them, otherwise by the providers' ids.

    A signature proves which provider calls back, but not the id in the address: another provider's attempt does not match.
    """
    named = {each.attempt_id for each in receipts if each.attempt_id is not None}
    others = [(each.provider, each.provider_ref or "") for each in receipts if each.attempt_id is None]
    found = tx.ledger.attempts.refs(sorted(named)).values() if named else ()
    by_id = {(ref.provider, ref.attempt_id): ref for ref in found}
    by_provider_ref = dict(zip(others, tx.ledger.attempts.refs_by_provider_refs(others), strict=True))
    return [
        by_provider_ref[each.provider, each.provider_ref or ""]
        if each.attempt_id is None
        else by_id.get((each.provider, each.attempt_id))
        for each in receipts
    ]


@dataclass(frozen=True, slots=True)
class _LoadedReceipts:
    """The locked and loaded values of a set.

    Attributes:
        new: The receipts of new events, with their attempts, if known.
        waited: The receipts that waited for the provider's id of an attempt; they are applied with its first receipt.
        carried: The attempts that the calls carried.
    """

    new: Mapping[Received, AttemptRef | None]
    waited: dict[str, list[Receipt]]
    carried: Carried


def _load(tx: Transaction, received: Sequence[Received]) -> _LoadedReceipts:
    """Store all receipts, and lock and load the rows for decisions about their attempts; receipts first, then incidents."""
    refs = dict(zip(received, _attempt_refs(tx, [each.receipt for each in received]), strict=True))
    keep_apart([bool(ref and ref.is_operations) for ref in refs.values()])
    stored = [(each.receipt, each.raw, None if ref is None else ref.attempt_id) for each, ref in refs.items()]
    is_new = dict(zip(refs, tx.ledger.inbox.add_many(stored, at=tx.now), strict=True))
    tx.ledger.inbox.note_called_back([each.receipt for each in refs if not is_new[each] and not each.receipt.is_fetched])
    new = {each: ref for each, ref in refs.items() if is_new[each]}
    matched = [(ref, each.receipt) for each, ref in new.items() if ref is not None]
    waited = match_waiting(tx, [(ref, receipt.provider_ref) for ref, receipt in matched])
    carried = find_carried(tx, [ref for ref, _ in matched])
    lock_all(tx, [(ref, [receipt, *waited.get(ref.attempt_id, ())]) for ref, receipt in matched], carried)
    return _LoadedReceipts(new, waited, carried)


def _receive(tx: Transaction, loaded: _LoadedReceipts, received: Received) -> ReceiptMatch:
    if received not in loaded.new:
        return ReceiptMatch.REPEATED
    ref = loaded.new[received]
    if ref is None:
        return ReceiptMatch.WAITING if received.receipt.attempt_id is None else ReceiptMatch.FOREIGN
    apply_receipts(tx, ref, [received.receipt, *loaded.waited.pop(ref.attempt_id, ())], loaded.carried)
    return ReceiptMatch.MATCHED


def _load_missed(tx: Transaction, missed: Sequence[Receipt]) -> tuple[Mapping[Receipt, AttemptRef], Carried]:
    refs = _attempt_refs(tx, missed)
    keep_apart([bool(ref and ref.is_operations) for ref in refs])
    matched = dict(_match(tx, zip(missed, refs, strict=True)))
    carried = find_carried(tx, matched.values())
    lock_all(tx, [(ref, [receipt]) for receipt, ref in matched.items()], carried)
    return matched, carried


def _apply_missed(tx: Transaction, loaded: tuple[Mapping[Receipt, AttemptRef], Carried], receipt: Receipt) -> None:
    matched, carried = loaded
    if receipt in matched:
        apply_receipts(tx, matched[receipt], [receipt], carried)


def _blames(received: Received) -> tuple[str, ...] | None:
    attempt_id = received.receipt.attempt_id
    return None if attempt_id is None else ("attempt", attempt_id)


_RECEIVE = SetUseCase(
    "receive", _load, _receive, blames=_blames, counts_most=lambda received: received.receipt.is_acknowledgement
)
MISSED = SetUseCase(
    "match",
    _load_missed,
    _apply_missed,
    blames=lambda receipt: ("receipt", receipt.event_id),
    counts_most=lambda receipt: receipt.is_acknowledgement,
)
"""Applies waiting receipts of known attempts, unless another process does."""


def find_attempts_to_poll(deps: Dependencies, providers: Collection[str], *, limit: int) -> tuple[AttemptToPoll, ...]:
    """Find accepted attempts of some providers that still lack a decisive receipt."""
    now = deps.clock.now()
    return deps.transactions.run(
        lambda ledger: ledger.attempts.to_poll(providers, ahead=AHEAD, waits=WAITS, now=now, limit=limit)
    )


def claim_poll(deps: Dependencies, attempt: AttemptToPoll) -> bool:
    """Count a poll of an attempt before it is made; return True in only one of the processes that found the attempt.

    Whatever its result, the attempt is polled again only after the next wait; waits that have passed count as polled.
    """
    now = deps.clock.now()
    polls_at = (attempt.receipt_due_at - AHEAD, *(attempt.started_at + wait for wait in WAITS))
    times = sum(at <= now for at in polls_at)
    return deps.transactions.run(lambda ledger: ledger.attempts.record_poll(attempt, times=times))
