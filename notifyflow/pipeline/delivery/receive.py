"""Applies receipts, a set at a time: stores them in the inbox, moves notifications, acknowledges when key 1 was pressed.

A receipt of a call that carried several attempts waits in the inbox until each of them has it, so that a crash or a damaged row
in between costs no other row its receipt.

It also finds the attempts whose status is to be polled now; the polling itself is done outside any transaction.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from notifyflow.core import namespaces
from notifyflow.core.copies import replace
from notifyflow.core.delivery import lifecycle
from notifyflow.core.delivery.attempts import attempt_of, counted
from notifyflow.core.delivery.model import EscalationState, IncidentState, Receipt, Via
from notifyflow.core.messages import bundle
from notifyflow.core.messages.keys import for_title
from notifyflow.core.messages.replies import Choice, Effect, HandledReply
from notifyflow.errors import CommitUnknown, UnreadableRow
from notifyflow.pipeline.delivery import acknowledge, decisions, outages, provider_health, status_updates
from notifyflow.pipeline.transaction import set_aside, use_case
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps, ReceiptMatch
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetResult, SetUseCase, keep_apart
from notifyflow.storage.ledger import Arrived, AttemptRef, AttemptToPoll

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


@dataclass(frozen=True, slots=True)
class _Part:
    """A receipt of a call, for one of the attempts that it carried.

    Attributes:
        half: The first attempt of its half of the call, if the receipt refuses the content.
    """

    ref: AttemptRef
    receipt: Receipt
    half: str | None


@dataclass(frozen=True, slots=True)
class Bundled:
    """A stored receipt of a call that carried several attempts: ``apply_to_all`` applies it to each of them.

    Attributes:
        refs: The attempts.
    """

    receipt: Receipt
    refs: tuple[AttemptRef, ...]

    @property
    def ref(self) -> AttemptRef:
        """The attempt that made the call."""
        return next(each for each in self.refs if not each.is_sent_with_another)

    @property
    def parts(self) -> Sequence[_Part]:
        """The receipt for each of them."""
        halves = bundle.halves(sorted(self.refs, key=lambda each: each.position or 0)) if self.receipt.is_about_content else ()
        half_of = {each.attempt_id: half[0].attempt_id for half in halves for each in half}
        return [_Part(each, self.receipt, half_of.get(each.attempt_id)) for each in self.refs]


def receive(deps: Dependencies, receipt: Receipt, *, raw: str) -> SetResult[ReceiptMatch]:
    """Store and apply one receipt; see ``receive_all`` and ``apply_to_all``."""
    stored, follow_ups = receive_all(deps, [Received(receipt, raw)]).only()
    if not isinstance(stored, Bundled):
        return SetResult((stored,), follow_ups)
    applied = apply_to_all(deps, stored)
    return replace(applied, follow_ups=follow_ups + applied.follow_ups)


def receive_all(deps: Dependencies, received: Sequence[Received]) -> SetResult[ReceiptMatch | Bundled]:
    """Store and apply receipts, in one transaction; one of a call that carried several is only stored.

    Returns:
        For each, whether it matched an attempt, was repeated, waits for its send to be recorded, or is foreign; what is to be
            applied next; or its own error.

    Raises:
        CommitUnknown: When it is unknown whether they are stored.
        StorageUnavailable: When the database does not answer in time; nothing was stored.
    """
    return _RECEIVE.run(deps, received)


def apply_to_all(deps: Dependencies, bundled: Bundled) -> SetResult[ReceiptMatch]:
    """Apply a stored receipt to all attempts of its call, in sets; only after the last one it ceases to wait in the inbox.

    Returns:
        Whether all have it; otherwise a later sweep applies it again, which changes nothing for those that have it.
    """
    noted: list[FollowUps] = []
    try:
        match = _apply_to_all(deps, bundled, noted)
    except BaseException as interruption:  # noqa: BLE001 - the caller raises it, after it has reported what is stored
        return SetResult((ReceiptMatch.WAITING,), sum(noted, NOTHING), interruption)
    return SetResult((match,), sum(noted, NOTHING))


def _apply_to_all(deps: Dependencies, bundled: Bundled, noted: list[FollowUps]) -> ReceiptMatch:
    errors: list[Exception] = []
    try:
        applied = _PARTS.run(deps, bundled.parts)
        noted.append(applied.follow_ups)
        if applied.interruption is not None:
            raise applied.interruption
        errors += [each for each in applied.results if isinstance(each, Exception)]
        if not errors:
            noted.append(use_case.run(deps, lambda tx: _match(tx, [(bundled.receipt, bundled.ref)])).follow_ups)
            return ReceiptMatch.MATCHED
    except use_case.DAMAGE as error:
        errors.append(error)
    noted += [use_case.follow_ups_of(each) for each in errors if isinstance(each, CommitUnknown)]
    if damage := next(filter(set_aside.is_damage, errors), None):  # the others have it, and need not get it again at once
        noted.append(use_case.put_aside(deps, set_aside.blamed(("receipt", bundled.receipt.event_id), damage)))
    return ReceiptMatch.WAITING


def apply_missed(deps: Dependencies, missed: Sequence[Receipt]) -> SetResult[None]:
    """Apply waiting receipts of known attempts, unless another process does; returns and raises as ``receive_all``."""
    done = _MISSED.run(deps, missed)
    follow_ups = done.follow_ups
    interruption = done.interruption
    for each in done.results:
        if isinstance(each, Bundled) and interruption is None:
            applied = apply_to_all(deps, each)
            follow_ups, interruption = follow_ups + applied.follow_ups, applied.interruption
    return SetResult(tuple(each if isinstance(each, Exception) else None for each in done.results), follow_ups, interruption)


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

    try:
        return use_case.run(deps, body)[0]
    except UnreadableRow:
        return HandledReply(effect=Effect.UNREADABLE)


def match_waiting(tx: Transaction, told: Sequence[tuple[AttemptRef, str | None]]) -> dict[str, list[Receipt]]:
    """Match receipts that waited for an attempt's provider id, before any lock is taken; return them by attempt.

    Those of a call that carried several are left to the next sweep.
    """
    new = {
        (ref.provider, provider_ref): ref
        for ref, provider_ref in told
        if provider_ref and not ref.provider_ref and ref.sent_with is None
    }
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


def _find_bundled(tx: Transaction, found: Iterable[tuple[Receipt, AttemptRef | None]]) -> dict[Receipt, Bundled]:
    """Find the receipts of calls that carried several attempts, with all attempts of these calls."""
    calls = {receipt: ref.attempt_id for receipt, ref in found if ref is not None and ref.sent_with == ref.attempt_id}
    carried: dict[str | None, list[AttemptRef]] = defaultdict(list)
    for each in tx.ledger.attempts.carried(sorted(set(calls.values()))) if calls else ():
        carried[each.sent_with].append(each)
    return {receipt: Bundled(receipt, tuple(carried[call])) for receipt, call in calls.items()}


def lock_all(
    tx: Transaction, found: Sequence[tuple[AttemptRef, Sequence[Receipt]]], *, others: Collection[AttemptRef] = ()
) -> None:
    """Lock and load the rows for receipts and other attempts; the incidents that the receipts acknowledge come first."""
    tx.ledger.incidents.lock_many({ref.incident_id for ref, receipts in found if has_acknowledgement(receipts)})
    decisions.load(tx, [*others, *(ref for ref, _ in found)])


def apply_receipts(tx: Transaction, ref: AttemptRef, receipts: Sequence[Receipt]) -> None:
    """Apply matched receipts to an attempt; acknowledgements first, so that no other opens a tier."""
    for receipt in sorted(receipts, key=lambda each: not each.is_acknowledgement):
        _apply(tx, ref, receipt)


def _apply(tx: Transaction, ref: AttemptRef, receipt: Receipt, half: str | None = None) -> None:
    receipt = for_title(receipt, ref.position, is_named=ref.is_named)
    incident = tx.ledger.incidents.lock(ref.incident_id) if receipt.is_acknowledgement else None
    escalation, row = decisions.lock(tx, ref)
    has_to_wait = any(each.retry_after_s for each in counted(row)[-1:])
    moved = lifecycle.receive(
        row,
        ref.attempt_id,
        receipt,
        schedule=decisions.schedule(escalation, row),
        now=tx.now,
        fraction=decisions.fraction(tx, ref),
        half=half,
        intervals=outages.intervals(tx, row) if has_to_wait else (),
    )
    is_halved = attempt_of(moved.after, ref.attempt_id).half != attempt_of(row, ref.attempt_id).half
    mark = {"half": half} if half and is_halved else {}
    tx.write(row, moved, attempt=ref.attempt_id, code=receipt.code, reason=receipt.reason, **mark)
    if incident is None:  # an acknowledgement opens no tier
        decisions.decide_page(tx, escalation, row, cause="received")
    if receipt.is_our_fault and not ref.is_sent_with_another and moved.after != row:
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
        bundled: The receipts of calls that carried several attempts; nothing is locked for them.
        waited: The receipts that waited for the provider's id of an attempt; they are applied with its first receipt.
    """

    new: Mapping[Received, AttemptRef | None]
    bundled: Mapping[Receipt, Bundled]
    waited: dict[str, list[Receipt]]


def _load(tx: Transaction, received: Sequence[Received]) -> _LoadedReceipts:
    """Store all receipts, and lock and load the rows for decisions about their attempts; receipts first, then incidents."""
    refs = dict(zip(received, _attempt_refs(tx, [each.receipt for each in received]), strict=True))
    keep_apart([bool(ref and ref.is_operations) for ref in refs.values()])
    bundled = _find_bundled(tx, [(each.receipt, ref) for each, ref in refs.items()])
    stored = [
        Arrived(each.receipt, each.raw, None if ref is None else ref.attempt_id, is_applied=each.receipt not in bundled)
        for each, ref in refs.items()
    ]
    is_new = dict(zip(refs, tx.ledger.inbox.add_many(stored, at=tx.now), strict=True))
    tx.ledger.inbox.note_called_back([each.receipt for each in refs if not is_new[each] and not each.receipt.is_fetched])
    new = {each: ref for each, ref in refs.items() if is_new[each]}
    alone = [(ref, each.receipt) for each, ref in new.items() if ref is not None and each.receipt not in bundled]
    waited = match_waiting(tx, [(ref, receipt.provider_ref) for ref, receipt in alone])
    lock_all(tx, [(ref, [receipt, *waited.get(ref.attempt_id, ())]) for ref, receipt in alone])
    return _LoadedReceipts(new, bundled, waited)


def _receive(tx: Transaction, loaded: _LoadedReceipts, received: Received) -> ReceiptMatch | Bundled:
    if received not in loaded.new:
        return ReceiptMatch.REPEATED
    ref = loaded.new[received]
    if ref is None:
        return ReceiptMatch.WAITING if received.receipt.attempt_id is None else ReceiptMatch.FOREIGN
    if (bundled := loaded.bundled.get(received.receipt)) is not None:
        return bundled
    apply_receipts(tx, ref, [received.receipt, *loaded.waited.pop(ref.attempt_id, ())])
    return ReceiptMatch.MATCHED


def _load_missed(tx: Transaction, missed: Sequence[Receipt]) -> Mapping[Receipt, AttemptRef | Bundled]:
    found = list(zip(missed, _attempt_refs(tx, missed), strict=True))
    keep_apart([bool(ref and ref.is_operations) for _, ref in found])
    bundled = _find_bundled(tx, found)
    matched = dict(_match(tx, [(receipt, ref) for receipt, ref in found if receipt not in bundled]))
    lock_all(tx, [(ref, [receipt]) for receipt, ref in matched.items()])
    return matched | bundled


def _apply_missed(tx: Transaction, loaded: Mapping[Receipt, AttemptRef | Bundled], receipt: Receipt) -> ReceiptMatch | Bundled:
    match loaded.get(receipt):
        case AttemptRef() as ref:
            apply_receipts(tx, ref, [receipt])
        case Bundled() as bundled:
            return bundled
    return ReceiptMatch.MATCHED


def _load_parts(tx: Transaction, parts: Sequence[_Part]) -> None:
    keep_apart([each.ref.is_operations for each in parts])
    lock_all(tx, [(each.ref, [each.receipt]) for each in parts])


def _apply_part(tx: Transaction, loaded: None, part: _Part) -> None:
    """Apply a receipt to one attempt of its call; the provider's id belongs to the attempt that made it."""
    receipt = replace(part.receipt, provider_ref=None) if part.ref.is_sent_with_another else part.receipt
    _apply(tx, part.ref, receipt, part.half)


def _blames(received: Received) -> tuple[str, ...] | None:
    attempt_id = received.receipt.attempt_id
    return None if attempt_id is None else ("attempt", attempt_id)


_RECEIVE = SetUseCase(
    "receive", _load, _receive, blames=_blames, counts_most=lambda received: received.receipt.is_acknowledgement
)
_MISSED = SetUseCase(
    "match",
    _load_missed,
    _apply_missed,
    blames=lambda receipt: ("receipt", receipt.event_id),
    counts_most=lambda receipt: receipt.is_acknowledgement,
)
_PARTS = SetUseCase(
    "receive parts",
    _load_parts,
    _apply_part,
    blames=lambda part: ("attempt", part.ref.attempt_id),
    counts_most=lambda part: part.receipt.is_acknowledgement,
    is_in_sets=True,
)


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
