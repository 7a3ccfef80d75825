"""Claims notifications to send: stores each attempt with its lease and token before its provider is called."""

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from notifyflow.core import earlier_pages, gathered, lifecycle, proof, quiet, tier_rules
from notifyflow.core.copies import replace
from notifyflow.core.facts import AttemptFacts, EscalationFacts, NotificationFacts
from notifyflow.core.lifecycle import Moved
from notifyflow.core.messages import OutboundMessage
from notifyflow.core.model import NO_ADDRESS, Contact, DeferralReason, Ended, Kind, NotificationState
from notifyflow.core.provider_health import Obstacle
from notifyflow.core.slots import Wanted
from notifyflow.core.wording.gathered import gather
from notifyflow.errors import CommitUnknown, StaleRow, StorageUnavailable
from notifyflow.pipeline import contents, decisions, eligibility, incident_events, outages, status_updates, use_case
from notifyflow.pipeline.journal import is_looked_up
from notifyflow.pipeline.ports import NOTHING, Claimed, Claims, Consequences, Dependencies, Doubt
from notifyflow.pipeline.provider_health import SlotAllocation, defer, defer_one, wanted
from notifyflow.pipeline.transaction import Transaction

_SET_ASIDE_FOR = timedelta(minutes=5)
_NO_ADDRESS = "the recipient has no address for {channel} any more"
_REASONS = {
    Ended.EXPIRED: "its round started too long ago",
    Ended.NO_PROVIDER: "no provider is configured for {channel}",
    Ended.CAPPED: "the hourly limit of {channel} is used up",
    Ended.OPTED_OUT: "the recipient has said STOP to every number that could text them",
}


def claim(
    deps: Dependencies,
    channel: str,
    requested_ids: Sequence[str],
    *,
    limit: int,
    providers: Sequence[str],
    reporting: Collection[str],
) -> Claims:
    """Claim a channel's due notifications: CRITICAL first, then the requested ones, then those that have waited longest.

    Args:
        deps: The dependencies of the use cases.
        channel: The channel's registered name.
        requested_ids: The notifications that the ring named.
        limit: How many at most.
        providers: The channel's providers, the preferred one first; without any, due notifications end as FAILED.
        reporting: The providers that send receipts.

    Returns:
        The attempts to make, and the consequences of ending rows that can no longer be sent. Rows without a slot are deferred;
        damaged rows are postponed, so that they do not block others. What waited in the quiet hours of one recipient is one
        message, whatever ``requested_ids`` and ``limit`` say.

    Raises:
        StorageUnavailable: When the database did not answer in time, and nothing was stored.
    """

    def body(tx: Transaction) -> _Claiming:
        slots = SlotAllocation(tx, channel, providers)
        rows = tx.ledger.work.claim(channel, requested_ids, now=tx.now, limit=limit)
        tx.now = max([tx.now, *(row.due_at for row in rows if row.due_at)])  # the clock of the process that rang may be ahead
        claiming = _Claiming(at=tx.now)
        others: Sequence[NotificationFacts] = ()
        if tx.deps.traits(channel).is_gathered and (waiting := [row for row in rows if gathered.waits_together(row)]):
            others = tx.ledger.work.claim_with(waiting, channel, now=tx.now, limit=len(waiting) * gathered.MOST)
        with suppress(*use_case.DAMAGE):  # a damaged row is blamed when it is claimed
            tx.ledger.escalations.load_pages((*rows, *others))
        for group in _groups(tx, rows, others, claiming, providers):
            _claim_group(tx, slots, group, claiming, providers, reporting)
        slots.save()
        return claiming

    claimed: list[Claimed] = []
    led_to: list[Consequences] = []
    interruption: BaseException | None = None

    def claim_and_put_off() -> _Claiming:
        claiming = _run(deps, body, led_to)
        claimed.extend(claiming.claimed)
        _put_off(deps, channel, claiming, led_to)
        return claiming

    try:
        claiming = claim_and_put_off()
        if not claimed and {each.is_urgent for each in claiming.obstacles} == {True}:  # CRITICAL rows alone went first, in vain
            with suppress(StorageUnavailable):
                claim_and_put_off()
    except BaseException as error:
        if not led_to or is_looked_up(error):
            raise
        interruption = error
    return Claims(claimed=tuple(claimed), consequences=sum(led_to, NOTHING), interruption=interruption)


@dataclass(slots=True)
class _Claiming:
    """The findings of a claim: attempts to make, rows that can no longer be sent, and what blocks the others.

    A row that only some of the providers may carry is deferred by itself, since its obstacle does not apply to the others.

    Attributes:
        at: The instant of the claim.
    """

    at: datetime
    claimed: list[Claimed] = field(default_factory=list)
    unsendable: list[tuple[NotificationFacts, Ended]] = field(default_factory=list)
    obstacles: dict[Wanted, Obstacle] = field(default_factory=dict)
    deferred: list[tuple[NotificationFacts, Obstacle]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A notification that may be sent now, by some of the providers."""

    row: NotificationFacts
    escalation: EscalationFacts
    contact: Contact
    allowed: Sequence[str]


def _groups(
    tx: Transaction,
    rows: Sequence[NotificationFacts],
    others: Sequence[NotificationFacts],
    claiming: _Claiming,
    providers: Sequence[str],
) -> Iterator[Sequence[_Candidate]]:
    """Return what may be sent now, call by call: what waited for one recipient at one address together, anything else alone.

    The others make no call of their own, since nobody has room for it: what fits into no call stays due.
    """
    groups: dict[Hashable, list[_Candidate]] = {}
    for row in rows:
        with _blaming(row):
            if candidate := _candidate(tx, row, claiming, providers):
                groups.setdefault(_call(tx, candidate), []).append(candidate)
    for row in others:
        with _blaming(row):
            candidate = _candidate(tx, row, claiming, providers)
            group = groups.get(_call(tx, candidate), []) if candidate else []
            if candidate and 0 < len(group) < gathered.MOST:
                group.append(candidate)
    for group in groups.values():
        group.sort(key=lambda each: gathered.order(each.row))
        yield from (group[part] for part in gathered.split(len(group)))


def _call(tx: Transaction, candidate: _Candidate) -> Hashable:
    """Return what the notifications have in common that one call carries."""
    row, contact = candidate.row, candidate.contact
    if tx.deps.traits(row.channel).is_gathered and gathered.waits_together(row):
        return row.namespace, contact.recipient_id, contact.addresses[row.channel]
    return row.id


def _candidate(tx: Transaction, row: NotificationFacts, claiming: _Claiming, providers: Sequence[str]) -> _Candidate | None:
    escalation = tx.ledger.escalations.get(row.escalation_id)
    contact = incident_events.receiver(tx, row, escalation)
    if row.channel not in contact.addresses:  # it was removed, by an operations recipient's settings, say
        claiming.unsendable.append((row, Ended.NO_PROVIDER))
        return None
    allowed = eligibility.allowed_providers(tx, row, escalation, providers)
    if why := _reason_unsendable(tx, row, escalation, providers, allowed):
        claiming.unsendable.append((row, why))
        return None
    if until := quiet.quiet_until(contact, escalation.severity, tx.now):
        claiming.deferred.append((row, Obstacle(why=DeferralReason.QUIET, until=until, provider="")))
        return None
    return _Candidate(row, escalation, contact, allowed)


def _claim_group(
    tx: Transaction,
    slots: SlotAllocation,
    group: Sequence[_Candidate],
    claiming: _Claiming,
    providers: Sequence[str],
    reporting: Collection[str],
) -> None:
    """Claim what one call carries: it takes one slot, and counts once for the caps."""
    first = group[0]
    with _blaming(first.row):
        slots.lock()  # the cap on calls and texts is counted under this lock
        if eligibility.is_capped(tx, first.row, first.escalation):
            claiming.unsendable += [(each.row, Ended.CAPPED) for each in group]
            return
        chosen = slots.choose(first.row, first.allowed)
        if isinstance(chosen, Obstacle) and len(first.allowed) < len(providers):
            claiming.deferred += [(each.row, chosen) for each in group]
        elif isinstance(chosen, Obstacle):
            claiming.obstacles.setdefault(wanted(first.row), chosen)
        else:
            eligibility.spend(tx, first.row, first.escalation)
            claiming.claimed.append(_begin_all(tx, group, chosen, has_receipts=chosen in reporting))


def _put_off(deps: Dependencies, channel: str, claiming: _Claiming, led_to: list[Consequences]) -> None:
    """Defer the rows that got no slot, and end those that can no longer be sent; if the database is away, they are still due.

    ``led_to`` grows with each transaction, so that no interruption loses what those before it have led to.
    """
    with suppress(StorageUnavailable):
        if claiming.obstacles:
            led_to.append(defer(deps, channel, claiming.obstacles, at=claiming.at))
        for row, obstacle in claiming.deferred:
            led_to.append(defer_one(deps, row, obstacle, at=claiming.at))
        for row, why in claiming.unsendable:
            _end(deps, row, why, led_to)


class _BrokenRow(Exception):
    """Raised when a notification or its incident is damaged."""

    def __init__(self, row_id: str, error: Exception) -> None:
        super().__init__(row_id)
        self.row_id = row_id
        self.error = error


@contextmanager
def _blaming(row: NotificationFacts) -> Iterator[None]:
    """Raise ``_BrokenRow`` for the row if handling it raises an error of ``use_case.DAMAGE``."""
    try:
        yield
    except (StaleRow, StorageUnavailable):
        raise
    except use_case.DAMAGE as error:
        raise _BrokenRow(row.id, error) from error


def _run(deps: Dependencies, body: Callable[[Transaction], _Claiming], led_to: list[Consequences]) -> _Claiming:
    """Claim; postpone a damaged row and claim again, until none is left."""
    while True:
        try:
            claiming, consequences = use_case.run(deps, body)
        except _BrokenRow as broken:
            led_to.append(_set_aside(deps, broken))
        else:
            led_to.append(consequences)
            return claiming


def _end(deps: Dependencies, row: NotificationFacts, why: Ended, led_to: list[Consequences]) -> None:
    try:
        with _blaming(row):
            led_to.append(end_queued(deps, row.escalation_id, row.id, why))
    except _BrokenRow as broken:
        led_to.append(_set_aside(deps, broken))
    except CommitUnknown as unknown:  # it cannot be sent, whether that is stored or not: better said twice than never
        led_to.append(use_case.led_to(unknown))
        raise


def _set_aside(deps: Dependencies, broken: _BrokenRow) -> Consequences:
    """Postpone a damaged row, in a transaction of its own."""

    def body(tx: Transaction) -> None:
        row = tx.ledger.notifications.lock(broken.row_id)
        if row.state is NotificationState.QUEUED:
            tx.ledger.save(row, replace(row, due_at=tx.now + _SET_ASIDE_FOR))

    return use_case.run(deps, body)[1] + Consequences(broken=(broken.error,))


def _reason_unsendable(
    tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, providers: Sequence[str], allowed: Sequence[str]
) -> Ended | None:
    """Return why a row can no longer be sent, or None."""
    if is_expired(tx, row, escalation):
        return Ended.EXPIRED
    if not providers:
        return Ended.NO_PROVIDER
    return None if allowed else Ended.OPTED_OUT


def is_expired(tx: Transaction, row: NotificationFacts, escalation: EscalationFacts) -> bool:
    """Return whether a notification is too old to send."""
    if tx.now < tier_rules.row_expires_at(escalation, row, ()):  # true for most rows, which saves reading the stops
        return False
    idle, stops = outages.idle_times(tx, escalation, incident_events.receiver(tx, row, escalation))
    return tx.now >= tier_rules.row_expires_at(escalation, row, (*idle, *stops))


def end(tx: Transaction, row: NotificationFacts, why: Ended) -> Moved:
    """End a queued notification that can no longer be sent."""
    return lifecycle.end(row, why, reason=_REASONS[why].format(channel=row.channel), now=tx.now)


def write_end(tx: Transaction, row: NotificationFacts, why: Ended) -> None:
    """End a queued notification that can no longer be sent, and log why: also that its recipient has no address any more."""
    contact = incident_events.receiver(tx, row, tx.ledger.escalations.get(row.escalation_id))
    moved = end(tx, row, why)
    if why is Ended.NO_PROVIDER and row.channel not in contact.addresses:
        gone = replace(moved.after, reason=_NO_ADDRESS.format(channel=row.channel))
        tx.write(row, replace(moved, after=gone), reason=NO_ADDRESS)
    else:
        tx.write(row, moved, reason=why.value)


def _begin_all(tx: Transaction, group: Sequence[_Candidate], provider: str, *, has_receipts: bool) -> Claimed:
    """Begin an attempt of each notification that one call carries; return that of the first, whose message is sent."""
    others = len(group) - 1
    first_id = tx.deps.ids.new()
    begun: list[Claimed] = []
    for each in group:
        attempt_id = tx.deps.ids.new() if begun else first_id
        with _blaming(each.row):
            begun.append(_begin(tx, each, provider, attempt_id, first_id, others=others, has_receipts=has_receipts))
    first = begun[0]
    if not others:
        return first
    said = [each.message.content for each in begun]
    oldest = min(range(len(group)), key=lambda number: group[number].row.created_at)
    message = replace(first.message, content=gather(said, oldest=said[oldest]))
    return replace(first, message=message, carried=tuple(begun[1:]))


def _begin(
    tx: Transaction,
    candidate: _Candidate,
    provider: str,
    attempt_id: str,
    first_id: str,
    *,
    others: int,
    has_receipts: bool,
) -> Claimed:
    row, escalation, contact = candidate.row, candidate.escalation, candidate.contact
    policy, traits = escalation.policy, tx.deps.traits(row.channel)
    is_silent = row.kind is Kind.PAGE and not has_receipts
    wait = earlier_pages.receipt_wait(escalation, row.channel)
    unproven_after = proof.unproven_after(policy, row.channel, row.severity, traits) if is_silent else None
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
        carried_by=first_id if others else None,
    )
    doubted = lifecycle.doubt_of(row)
    mark = {"after_doubt": doubted.id} if doubted else {}
    mark |= {"together": str(others)} if others else {}
    tx.write(row, lifecycle.claim(row, attempt, now=tx.now), attempt=attempt.id, provider=provider, **mark)
    message = replace(
        _message(tx, row, escalation, contact, attempt),
        valid_for_s=int(policy.retries.schedule(row.channel, row.severity).window.total_seconds()),
        replaces=_replaced(tx, row, escalation, provider) if row.kind is Kind.STATUS_UPDATE else "",
    )
    return Claimed(
        token=attempt.token,
        channel=row.channel,
        provider=provider,
        message=message,
        lease_until=attempt.lease_until,
        severity=row.severity,
        doubt=Doubt(provider=doubted.provider, message=_message(tx, row, escalation, contact, doubted)) if doubted else None,
    )


def _message(
    tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, contact: Contact, attempt: AttemptFacts
) -> OutboundMessage:
    """Return the message of an attempt, as of the attempt's start.

    For an attempt in doubt this is the message as it was sent; a provider that does not store our id is searched for the text.
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


def end_queued(deps: Dependencies, escalation_id: str, notification_id: str, why: Ended) -> Consequences:
    """End a row if it is still queued, in a transaction of its own, which locks the escalation first."""

    def body(tx: Transaction) -> None:
        escalation, row = tx.ledger.escalations.lock(escalation_id), tx.ledger.notifications.lock(notification_id)
        if row.state is NotificationState.QUEUED:
            write_end(tx, row, why)
            decisions.decide_page(tx, escalation, row, cause="recorded")
        if why is Ended.CAPPED and not tx.ledger.incidents.get(row.incident_id).is_operations:
            tx.notices.append((eligibility.USED_UP, row.channel))

    return use_case.run(deps, body)[1]
