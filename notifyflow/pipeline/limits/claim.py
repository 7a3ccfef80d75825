"""Claims notifications to send: stores each attempt with its lease and token before its provider is called."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.core.delivery.model import DeferralReason, Ended
from notifyflow.core.limits import quiet
from notifyflow.core.limits.provider_health import Obstacle
from notifyflow.core.limits.slots import Wanted
from notifyflow.errors import CommitUnknown, StorageUnavailable
from notifyflow.pipeline.delivery import eligibility, endings, incident_events
from notifyflow.pipeline.delivery.provider_health import SlotAllocation, defer, defer_one, wanted
from notifyflow.pipeline.delivery.silences import holds
from notifyflow.pipeline.delivery.silences.holds import Covered
from notifyflow.pipeline.limits import lanes, numbers
from notifyflow.pipeline.limits.attempts import BrokenRow, Candidate, begin_all, blaming
from notifyflow.pipeline.transaction import set_aside, use_case
from notifyflow.pipeline.transaction.halving import SetPart, SetParts
from notifyflow.pipeline.transaction.journal import is_looked_up
from notifyflow.pipeline.transaction.ports import NOTHING, Claimed, Claims, Dependencies, FollowUps
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.delivery.work import CLOCKS_APART


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
        The attempts to make, and the follow-ups of ending rows that can no longer be sent. Rows without a slot are deferred.
        Damaged rows are postponed, so that they do not block others. All notifications that waited in a recipient's quiet hours
        are one message, regardless of ``requested_ids`` and ``limit``.

    Raises:
        StorageUnavailable: When the database did not answer in time, and nothing was stored.
    """
    search = _Search(channel=channel, requested_ids=requested_ids, providers=providers, reporting=reporting)
    claimed: list[Claimed] = []
    locked: set[str] = set()
    put_off: set[str] = set()
    noted: list[FollowUps] = []
    interruption: BaseException | None = None

    def claim_and_put_off() -> set[bool]:
        obstacles: set[bool] = set()
        for claiming in _run(deps, search, noted, most=limit):
            claimed.extend(claiming.claimed)
            locked.update(claiming.locked)
            put_off.update(claiming.put_off)
            obstacles |= {each.is_urgent for each in claiming.obstacles}
            _put_off(deps, channel, claiming, noted)
        return obstacles

    try:
        if claim_and_put_off() == {True} and not claimed:  # CRITICAL rows alone went first, without success
            with suppress(StorageUnavailable):
                claim_and_put_off()
    except BaseException as error:
        if not noted or is_looked_up(error):
            raise
        interruption = error
    return Claims(
        claimed=tuple(claimed),
        follow_ups=sum(noted, NOTHING),
        put_off=frozenset(put_off),
        locked=frozenset(locked),
        interruption=interruption,
    )


@dataclass(slots=True)
class _Claiming:
    """The findings of a claim: attempts to make, rows that can no longer be sent, and obstacles to the other rows.

    A row that only some providers may carry is deferred by itself, since its obstacle does not apply to the others.

    Attributes:
        found: How many rows this transaction locked, not counting others of their lanes.
        are_all: Whether nothing else was due.
        waiting: How many wait for others from now on.
        locked: Requested rows that another transaction has locked, and pages that leave with others in a moment.
        overtaken: Rows that were set aside when their round ended.
        unheld: Incidents that a silence covers, and does not hold yet.
    """

    at: datetime
    found: int
    are_all: bool = False
    waiting: int = 0
    locked: frozenset[str] = frozenset()
    overtaken: list[NotificationFacts] = field(default_factory=list)
    unheld: set[str] = field(default_factory=set)
    claimed: list[Claimed] = field(default_factory=list)
    unsendable: list[tuple[NotificationFacts, Ended]] = field(default_factory=list)
    obstacles: dict[Wanted, Obstacle] = field(default_factory=dict)
    deferred: list[tuple[NotificationFacts, Obstacle]] = field(default_factory=list)

    @property
    def put_off(self) -> set[str]:
        """The ids of the rows that are deferred each by itself, or can no longer be sent."""
        return {row.id for row, _ in (*self.unsendable, *self.deferred)} | {row.id for row in self.overtaken}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """The arguments of ``claim``."""

    channel: str
    requested_ids: Sequence[str]
    providers: Sequence[str]
    reporting: Collection[str]

    def claim(self, tx: Transaction, *, part: SetPart[str], only: Sequence[str], most: int) -> _Claiming:
        """Claim due notifications, or the ones in ``only``; the part then lists the locked rows, in their order.

        Those that are found after the first ``most`` leave with one of them, wait for others, or stay due.
        """
        slots = SlotAllocation(tx, self.channel, self.providers)
        locked, are_all = frozenset[str](), False
        if only:
            rows = tx.ledger.work.claim_these(only, now=tx.now)
        else:
            found = tx.ledger.work.claim(self.channel, self.requested_ids, now=tx.now, limit=part.wanted)
            rows, locked, are_all = found.rows, found.locked, found.are_all
        ahead = (row.due_at for row in rows if row.due_at and row.due_at <= tx.now + CLOCKS_APART)  # others wait for a beat
        tx.now = max([tx.now, *ahead])  # by the ringing process's clock they are due
        claiming = _Claiming(at=tx.now, found=len(rows), are_all=are_all, locked=locked)
        part.items[:] = only or [row.id for row in rows]
        with suppress(*use_case.DAMAGE):  # a damaged row is blamed when it is claimed
            tx.ledger.escalations.load_pages(rows)
        covered = Covered(tx, rows, may_be_any=bool(rows) and slots.may_be_silenced)
        claiming.unheld = covered.unheld
        judge = partial(_candidate, tx, claiming=claiming, covered=covered, providers=self.providers)
        candidates = []
        for row in rows:
            with blaming(row):
                if candidate := judge(row):
                    candidates.append(candidate)
        if tx.deps.capabilities(self.channel).is_call:
            leaving = numbers.leave(tx, self.channel, candidates, judge, slots.lock, takes_others=not only)
        else:
            leaving = lanes.leave(tx, self.channel, candidates, judge, room=len(rows) if only else most, takes_others=not only)
        part.items[:] = only or [row.id for row in (*rows, *leaving.others)]
        claiming.waiting = leaving.waiting
        claiming.locked |= leaving.given_way
        for call in leaving.calls:
            _claim_call(tx, slots, call, claiming, self.providers, self.reporting)
        slots.save()
        return claiming


def _candidate(
    tx: Transaction, row: NotificationFacts, claiming: _Claiming, covered: Covered, providers: Sequence[str]
) -> Candidate | None:
    escalation = tx.ledger.escalations.get(row.escalation_id)
    if endings.is_overtaken(row, escalation):
        claiming.overtaken.append(row)
        return None
    if until := covered.until(row):
        claiming.deferred.append((row, Obstacle(why=DeferralReason.SILENCE, until=until, provider="")))
        return None
    if covered.is_leaving(row):
        claiming.locked |= {row.id}
        return None
    contact = incident_events.receiver(tx, row, escalation)
    if row.channel not in contact.addresses:  # it was removed, for example from the operations recipients in the settings
        claiming.unsendable.append((row, Ended.NO_PROVIDER))
        return None
    allowed = eligibility.allowed_providers(tx, row, escalation, providers)
    if why := _reason_unsendable(tx, row, escalation, providers, allowed):
        claiming.unsendable.append((row, why))
        return None
    if until := quiet.quiet_until(contact, escalation.severity, tx.now):
        claiming.deferred.append((row, Obstacle(why=DeferralReason.QUIET, until=until, provider="")))
        return None
    return Candidate(row, escalation, contact, allowed, tx.deps.lane_of(row.channel, contact.addresses[row.channel]))


def _claim_call(
    tx: Transaction,
    slots: SlotAllocation,
    group: Sequence[Candidate],
    claiming: _Claiming,
    providers: Sequence[str],
    reporting: Collection[str],
) -> None:
    """Claim the notifications of one call: it takes one slot, and counts once for the caps."""
    first = group[0]
    with blaming(first.row):
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
            going = [each for each in group if not _is_paused(slots, each.row, chosen, claiming)]
            claiming.claimed.append(begin_all(tx, going, chosen, has_receipts=chosen in reporting))


def _is_paused(slots: SlotAllocation, row: NotificationFacts, provider: str, claiming: _Claiming) -> bool:
    """Return whether a pause covers a row, although it does not cover a more severe one of the same call; note it as deferred."""
    until = slots.paused_until(row, provider)
    if until is not None:
        claiming.deferred.append((row, Obstacle(why=DeferralReason.PAUSE, until=until, provider=provider)))
    return until is not None


def _put_off(deps: Dependencies, channel: str, claiming: _Claiming, noted: list[FollowUps]) -> None:
    """Defer the rows without a slot, and end those that can no longer be sent; if the database is away, they are still due.

    Each transaction adds to ``noted``, so that an interruption does not lose the follow-ups of those before it.
    """
    with suppress(StorageUnavailable):
        if claiming.unheld:
            noted.append(_hold(deps, claiming.unheld))
        if claiming.obstacles:
            noted.append(defer(deps, channel, claiming.obstacles, at=claiming.at))
        for row, obstacle in claiming.deferred:
            noted.append(_defer_one(deps, row, obstacle, at=claiming.at))
        for row, why in claiming.unsendable:
            _end(deps, row, why, noted)
        for row in claiming.overtaken:
            noted.append(_stop(deps, row))


def _hold(deps: Dependencies, incident_ids: Collection[str]) -> FollowUps:
    """Hold the incidents that silences cover, and do not hold yet; a damaged one is left out."""

    def body(tx: Transaction) -> None:
        tx.ledger.incidents.lock_many(incident_ids)
        locked = [tx.ledger.incidents.find(each, is_locked=True) for each in sorted(incident_ids)]
        holds.hold_all(tx, [each for each in locked if each is not None], tx.ledger.silences.in_force(now=tx.now))

    return use_case.run(deps, body).follow_ups


def _run(deps: Dependencies, search: _Search, noted: list[FollowUps], *, most: int) -> Iterator[_Claiming]:
    """Claim, and yield the findings, part by part.

    A part that cannot be claimed as a whole is halved (``SetParts``). A damaged row is set aside, and others are claimed in its
    place. Pages that leave in one call are claimed together without it: what is claimed later would wait for the call to end.
    What waits takes no room: after a part of which some wait, the search looks at more at a time.
    """
    parts: SetParts[str] = SetParts(deps, f"claim {search.channel}")
    is_more_due, is_together, waiting = True, deps.capabilities(search.channel).is_call, 0
    widest = most if is_together else max(most, deps.set_size)
    while (
        part := parts.take() or (parts.search(min(most + 2 * waiting, widest)) if is_more_due and most > 0 else None)
    ) is not None:
        only, known = tuple(part.items), len(noted)
        is_more_due &= bool(only)
        try:
            claiming, follow_ups = parts.run(part, partial(search.claim, part=part, only=only, most=most))
        except BrokenRow as broken:
            noted.append(_set_aside(deps, broken))
            parts.put_back(*([part] if only else []))
            is_more_due = True
        except use_case.DAMAGE as error:
            if is_together and len(part.items) > 1 and set_aside.is_damage(error):
                is_together = False
                parts.put_back(SetPart(_sound(deps, search, part.items, noted)))
            elif not parts.halve(part, error):
                noted.append(_blame(deps, part.items, error))
            is_more_due |= not only and part.wanted < most and len(part.items) >= part.wanted
        else:
            noted.append(follow_ups)
            yield claiming
            is_more_due |= _may_more_leave(claiming, part.wanted, most)
            most -= len(claiming.claimed)
            waiting = claiming.waiting
        is_more_due |= any(each.set_aside for each in noted[known:])


def _may_more_leave(claiming: _Claiming, wanted: int, most: int) -> bool:
    """Return whether a search for so many may have left rows for which there is room."""
    may_be_more = claiming.found == wanted and not claiming.are_all
    return (claiming.waiting > 0 and (may_be_more or claiming.found > most)) or (
        may_be_more and wanted < most and bool(claiming.claimed)
    )


def _sound(deps: Dependencies, search: _Search, ids: Sequence[str], noted: list[FollowUps]) -> list[str]:
    """Return the rows that can be claimed, as rehearsals show, and set the others aside."""
    parts, sound = SetParts(deps, f"rehearse {search.channel}", ids), list[str]()
    while (part := parts.take()) is not None:
        try:
            parts.rehearse(part, partial(search.claim, part=part, only=tuple(part.items), most=part.count))
            sound += part.items
        except BrokenRow as broken:
            noted.append(_set_aside(deps, broken))
            parts.put_back(part)
        except use_case.DAMAGE as error:
            if not parts.halve(part, error):
                noted.append(_blame(deps, part.items, error))
    return sound


def _blame(deps: Dependencies, ids: Sequence[str], error: Exception) -> FollowUps:
    if not (ids and set_aside.is_damage(error)):
        raise error
    return use_case.put_aside(deps, set_aside.blamed(("notification", *ids), error))


def _end(deps: Dependencies, row: NotificationFacts, why: Ended, noted: list[FollowUps]) -> None:
    try:
        with blaming(row):
            noted.append(endings.end_queued(deps, row.escalation_id, row.id, why))
    except BrokenRow as broken:
        noted.append(_set_aside(deps, broken))
    except CommitUnknown as unknown:  # it cannot be sent, stored or not: two reports are better than none
        noted.append(use_case.follow_ups_of(unknown))
        raise


def _defer_one(deps: Dependencies, row: NotificationFacts, obstacle: Obstacle, *, at: datetime) -> FollowUps:
    try:
        with blaming(row):
            return defer_one(deps, row, obstacle, at=at)
    except BrokenRow as broken:
        return _set_aside(deps, broken)


def _stop(deps: Dependencies, row: NotificationFacts) -> FollowUps:
    """Cancel a page that was set aside when its round ended."""

    def body(tx: Transaction) -> None:
        escalation, page = tx.ledger.escalations.lock(row.escalation_id), tx.ledger.notifications.lock(row.id)
        endings.stop_overtaken(tx, page, escalation)

    try:
        with blaming(row):
            return use_case.run(deps, body, tries=use_case.ALONE).follow_ups
    except BrokenRow as broken:
        return _set_aside(deps, broken)


def _set_aside(deps: Dependencies, broken: BrokenRow) -> FollowUps:
    return use_case.put_aside(deps, set_aside.blamed(("notification", broken.row_id), broken.error))


def _reason_unsendable(
    tx: Transaction, row: NotificationFacts, escalation: EscalationFacts, providers: Sequence[str], allowed: Sequence[str]
) -> Ended | None:
    """Return why a row can no longer be sent, or None."""
    if endings.is_expired(tx, row, escalation):
        return Ended.EXPIRED
    if not providers:
        return Ended.NO_PROVIDER
    return None if allowed else Ended.OPTED_OUT
