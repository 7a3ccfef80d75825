"""Finds work: notifications to send or to ring for, and due timers.

Each search walks an index of unfinished rows, so its cost does not grow with the finished ones.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from peewee import SQL, EnclosedNodeList, Expression, Field, IntegerField, NodeList, Select, fn

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Severity
from notifyflow.core.limits import fair_queue
from notifyflow.storage.delivery.fair_queue import FairQueue
from notifyflow.storage.delivery.timers import EARLIEST, ESCALATIONS_DUE, INCIDENTS_DUE, ROUNDS_DUE, ROUNDS_DUE_OF
from notifyflow.storage.session.conditions import (
    IS_ANY,
    IS_CALM,
    IS_URGENT,
    QUEUED,
    URGENCY,
    is_free,
)
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import select
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.tables import NotificationRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A notification that may be sent now, as a ring names it."""

    notification_id: str
    channel: str
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Notifications of a channel that may be sent now.

    Attributes:
        rows: They are locked, in the order in which they leave.
        locked: Requested ones that are due and that another transaction has locked, if fewer than wanted were found.
        are_all: Whether nothing else is due on the channel that is not locked.
    """

    rows: tuple[NotificationFacts, ...]
    locked: frozenset[str]
    are_all: bool


Row = dict[str, Any]

_DEFERRED, _REQUESTED, _ANY = "deferred", "requested", "any"
_DUE, _FRESH, _STALE = "due", "fresh", "stale"
_IS_FREE = is_free(NotificationRow)
_IS_DEFERRED = NotificationRow.deferred_by.is_null(is_null=False)
_STALE_AFTER = timedelta(minutes=5)
"""A notification that is due for longer is stale, by our own fault. Fresh ones go first, then the newest stale ones."""
CLOCKS_APART = timedelta(seconds=1)
"""How far the ringing process's clock may be ahead: otherwise a ring that arrives before its notification is due would be
lost.
"""


class Work(Repository):
    """The searches of the claim and of the sweeper."""

    def __init__(self, unit: UnitOfWork) -> None:
        super().__init__(unit)
        self._fair_queue = FairQueue(unit)

    def claim(self, channel: str, requested_ids: Sequence[str], *, now: datetime, limit: int) -> Found:
        """Lock and read notifications of a channel that may be sent now, skipping those that another transaction has locked.

        Args:
            channel: The channel's name.
            requested_ids: Notifications to prefer. More urgent ones still go first. Those that are not due are left out,
                unless they were due by the ringing process's clock, which may be a little ahead.
            now: Notifications due by then are claimed.
            limit: How many at most.

        Returns:
            The notifications with their attempts: CRITICAL first, then the deferred, the requested and the others, each by
            ``due_at``. Stale ones come last among equally urgent ones, the newest first. Several namespaces take turns, each in
            this order.
        """
        locked: frozenset[str] = frozenset()
        rows = self._claim_all(channel, requested_ids, now=now, limit=limit)
        are_all = bool(rows)
        for is_urgent in (True, False) if not rows else ():
            if len(rows) < limit:
                rows += self._claim_fairly(channel, requested_ids, is_urgent=is_urgent, now=now, limit=limit - len(rows))
        if len(rows) < limit and (missing := sorted(set(requested_ids).difference(row["id"] for row in rows))):
            due = [row["id"] for row in self._unit.rows(_DUE_OF(missing, channel, now, now + CLOCKS_APART, limit - len(rows)))]
            free = self._unit.rows(self._unit.locked(_THESE(due, now + CLOCKS_APART), skips_locked=True)) if due else []
            rows += free
            locked = frozenset(due).difference(row["id"] for row in free)
        facts = self._unit.remember(self._unit.with_attempts(rows), is_locked=True)
        return Found(rows=tuple(facts), locked=locked, are_all=are_all)

    def claim_these(self, ids: Sequence[str], *, now: datetime) -> tuple[NotificationFacts, ...]:
        """Lock and read those of some notifications that are due or wait, in their order; as ``claim``, it skips locked ones."""
        found = {row["id"]: row for row in self._unit.rows(self._unit.locked(_THESE(ids, now + CLOCKS_APART), skips_locked=True))}
        rows = [found[each] for each in ids if each in found]
        return tuple(self._unit.remember(self._unit.with_attempts(rows), is_locked=True))

    def claim_lanes(
        self, lanes: Collection[str], known: Collection[str], *, now: datetime, limit: int
    ) -> tuple[NotificationFacts, ...]:
        """Lock and read the notifications of some lanes that are due or wait, except those in ``known``, CRITICAL first.

        As ``claim``, it skips those that another transaction has locked.
        """
        found = self._unit.rows(self._unit.locked(_LANES(sorted(lanes), now, limit), skips_locked=True))
        others = [row for row in found if row["id"] not in known]
        return tuple(self._unit.remember(self._unit.with_attempts(others), is_locked=True))

    def released(self, lanes: Collection[str], *, now: datetime) -> Mapping[str, tuple[str, bool]]:
        """Find the due notifications of some lanes that silences have held; not locked.

        Returns:
            By id, the lane of each, and whether this transaction has locked it.
        """
        found = self._unit.rows(_RELEASED(sorted(lanes), now))
        return {row["id"]: (row["lane"], self._is_locked(row["id"])) for row in found}

    def _is_locked(self, row_id: str) -> bool:
        return self._unit.known(NotificationFacts, row_id, is_locked=True) is not None

    def wait_for(self, ids: Collection[str], *, now: datetime) -> tuple[NotificationFacts, ...]:
        """Lock and read those of some notifications that are due or wait, by id, once no other transaction has locked them."""
        rows = self._unit.rows(self._unit.locked(_THESE(sorted(ids), now)))
        return tuple(self._unit.remember(self._unit.with_attempts(rows), is_locked=True))

    def ring(self, *, now: datetime, again_after: timedelta, limit: int, is_marking: bool = True) -> tuple[Due, ...]:
        """Mark due notifications as rung for, so that no other process rings for them meanwhile.

        Args:
            now: Notifications due by then are rung for.
            again_after: How long after its last ring a due notification is rung for again.
            limit: How many at most.
            is_marking: Whether to mark them now; otherwise ``mark_rung`` does it later.

        Returns:
            CRITICAL first, and stale ones last among equally urgent ones.
        """
        stale_at = now - _STALE_AFTER
        kinds = (_RING_FRESH(stale_at, now, limit), _RING_AGAIN(now - again_after, limit), _RING_STALE(stale_at, limit))
        found = [Due(**row) for kind in kinds for row in self._unit.rows(self._unit.locked(kind, skips_locked=True))]
        rung = sorted(found, key=lambda due: due.severity is not Severity.CRITICAL)[:limit]
        if rung and is_marking:
            self.mark_rung(rung, now=now)
        return tuple(rung)

    def mark_rung(self, due: Sequence[Due], *, now: datetime) -> None:
        """Mark notifications as rung for."""
        self._unit.mark_rung([each.notification_id for each in due], now)

    def unring(self, ids: Sequence[str]) -> frozenset[str]:
        """Mark notifications as not rung for, so that the next sweep rings; return those that another transaction has locked."""
        free = {row["id"] for row in self._unit.rows(self._unit.locked(_QUEUED_OF(ids), skips_locked=True))}
        if free:
            self._unit.mark_rung(sorted(free), None)
        others = [each for each in ids if each not in free]
        return frozenset(row["id"] for row in self._unit.rows(_QUEUED_OF(others))) if others else frozenset()

    def escalations_due(self, *, now: datetime, limit: int) -> tuple[tuple[str, str], ...]:
        """Find current escalations that are due for a decision, as (incident id, escalation id), the oldest first; not locked."""
        return tuple((row["incident_id"], row["id"]) for row in self._unit.rows(ESCALATIONS_DUE(now, limit)))

    def rounds_due(self, *, now: datetime, limit: int) -> tuple[str, ...]:
        """Find incidents in which a recipient's next round is due, the oldest first; not locked."""
        return tuple(row["incident_id"] for row in self._unit.rows(ROUNDS_DUE(now, limit)))

    def rounds_due_of(self, incident_id: str, *, now: datetime) -> tuple[str, ...]:
        """Find the escalations of an incident whose next round is due, by id; not locked."""
        return tuple(row["id"] for row in self._unit.rows(ROUNDS_DUE_OF(incident_id, now)))

    def incidents_due(self, *, now: datetime, limit: int) -> tuple[tuple[str, ...], bool]:
        """Find incidents whose ``round_at`` has come, and those whose next step is due; not locked.

        Returns:
            Their ids, and whether there is a silence whose end was not carried out.
        """
        rows = self._unit.rows(INCIDENTS_DUE(now, limit, now, limit))
        incidents = tuple(row["id"] for row in rows if not row["is_silence"])
        return incidents, len(incidents) < len(rows)

    def next_wake_at(self) -> datetime | None:
        """Return when the sweeper's next work is due, which may be in the past; None while no timer runs.

        Notifications that were rung for do not count: if no worker claims them, a later sweep rings again.
        """
        return min((row["due_at"] for row in self._unit.rows(EARLIEST())), default=None)

    def _claim_all(self, channel: str, requested_ids: Sequence[str], *, now: datetime, limit: int) -> list[Row]:
        """Lock everything due on a channel, if it is one namespace's and not too much, so that no queue is needed."""
        all_due = _ALL_DUE(channel, now, limit + 1, channel, now, limit + 1, limit, now)
        found = self._unit.rows(self._unit.locked(all_due, skips_locked=True))
        return sorted(found, key=partial(_order, requested=frozenset(requested_ids), stale_at=now - _STALE_AFTER))

    def _claim_fairly(
        self, channel: str, requested_ids: Sequence[str], *, is_urgent: bool, now: datetime, limit: int
    ) -> list[Row]:
        """Lock due, equally urgent notifications, in the order of the fair queue."""
        pick = partial(self._pick_in_order, channel, requested_ids, is_urgent=is_urgent, now=now)
        names = self._fair_queue.due(channel, is_urgent=is_urgent, now=now)
        if len(names) < 2:
            return pick([], limit=limit) if names else []
        begun = fair_queue.starts(self._fair_queue.served(channel, names, is_urgent=is_urgent), names)
        claimed: dict[str, list[Row]] = {name: [] for name in names}
        waiting = set(names)
        while waiting and (left := limit - sum(map(len, claimed.values()))) > 0:
            next_starts = {name: begun[name] + len(claimed[name]) for name in waiting}
            for name, slots in fair_queue.slots_of_each(next_starts, left).items():
                found = pick(claimed[name], limit=slots, namespace=name)
                claimed[name] += found
                if len(found) < slots:
                    waiting.discard(name)
        self._fair_queue.count(channel, begun, {name: len(some) for name, some in claimed.items()}, is_urgent=is_urgent)
        return fair_queue.in_order(begun, claimed)

    def _pick_in_order(
        self,
        channel: str,
        requested_ids: Sequence[str],
        known: Sequence[Row],
        *,
        is_urgent: bool,
        now: datetime,
        limit: int,
        namespace: str | None = None,
    ) -> list[Row]:
        """Lock rows of the first group, then of the next, up to the limit; rows in ``known`` are left out."""
        found: list[Row] = []
        where = [channel] if namespace is None else [channel, namespace]
        for group in (_ANY,) if is_urgent else (_DEFERRED, _REQUESTED, _ANY):
            pick = partial(self._pick, is_urgent=is_urgent, has_namespace=namespace is not None, group=group)
            left, others = limit - len(found), [row["id"] for row in (*known, *found)]
            if left and (group is not _REQUESTED or requested_ids):
                values = [*where, *([requested_ids] if group is _REQUESTED else []), others]
                found += pick(values, now=now, limit=left)
        return found

    def _pick(
        self, values: Sequence[Any], *, now: datetime, limit: int, is_urgent: bool, has_namespace: bool, group: str
    ) -> list[Row]:
        """Lock fresh notifications, the oldest first; in the group of all also stale ones, the newest first."""

        def lock(age: str, *ages: datetime, limit: int) -> list[Row]:
            picking = _picking(is_urgent=is_urgent, has_namespace=has_namespace, group=group, age=age)
            return self._unit.rows(self._unit.locked(picking(*values, *ages, limit), skips_locked=True))

        stale_at = now - _STALE_AFTER
        if group is not _ANY:
            return lock(_FRESH, now, stale_at, limit=limit)
        found = lock(_DUE, now, limit=limit)
        if found and found[0]["due_at"] <= stale_at:  # otherwise nothing is stale
            found = lock(_FRESH, now, stale_at, limit=limit)
            found += lock(_STALE, stale_at, limit=limit - len(found))
        return found


def _order(row: Row, *, requested: Collection[str], stale_at: datetime) -> tuple[Any, ...]:
    """Return a due notification's place in the order of ``Work.claim``."""
    is_calm, is_stale = row["severity"] is not Severity.CRITICAL, row["due_at"] <= stale_at
    group = 0 if is_stale or not is_calm or row["deferred_by"] else 1 if row["id"] in requested else 2
    age = row["due_at"].timestamp()
    return is_calm, is_stale, group, -age if is_stale else age, row["id"]


@lru_cache(maxsize=64)
def _picking(*, is_urgent: bool, has_namespace: bool, group: str, age: str) -> Statement:
    """Build the search for due rows of a channel; its values are the places in this order, then the limit."""

    def build(param: Parameters) -> Select:
        is_its = NotificationRow.channel == param(NotificationRow.channel)
        wanted: list[Any] = [QUEUED, is_its, _IS_FREE, IS_URGENT if is_urgent else IS_CALM]
        if has_namespace:
            wanted.append(NotificationRow.namespace == param(NotificationRow.namespace))
        if group is _REQUESTED:
            wanted.append(param.any_of(NotificationRow.id))
        elif group is _DEFERRED:
            wanted.append(_IS_DEFERRED)
        wanted.append(NodeList((SQL("NOT"), EnclosedNodeList((param.any_of(NotificationRow.id),)))))
        wanted.append(NotificationRow.due_at <= param(NotificationRow.due_at))
        if age is _FRESH:
            wanted.append(NotificationRow.due_at > param(NotificationRow.due_at))
        newest = (NotificationRow.due_at.desc(), NotificationRow.id.desc())
        order = newest if age is _STALE else (NotificationRow.due_at, NotificationRow.id)
        return select(NotificationFacts).where(*wanted).order_by(*order).limit(param(IntegerField()))

    return Statement(build)


def _all_due(param: Parameters) -> Any:
    """Search for everything due on a channel, CRITICAL or not, each by its index; empty if it is too much."""

    def some(urgency: Expression) -> Select:
        is_its = NotificationRow.channel == param(NotificationRow.channel)
        wanted = (QUEUED, is_its, _IS_FREE, urgency, NotificationRow.due_at <= param(NotificationRow.due_at))
        return NotificationRow.select(NotificationRow.id, NotificationRow.namespace).where(*wanted).limit(param(IntegerField()))

    urgent, calm = (Select(from_list=[some(each).alias("due")], columns=[SQL("*")]) for each in (IS_URGENT, IS_CALM))
    due = urgent.union_all(calm).cte("due", columns=("id", "namespace"))
    are_few_of_one = (fn.COUNT(due.c.id) <= param(IntegerField())) & (fn.MIN(due.c.namespace) == fn.MAX(due.c.namespace))
    is_due = param.any_found_by(NotificationRow.id, Select(from_list=[due], columns=[due.c.id]))
    still = (QUEUED, _IS_FREE, NotificationRow.due_at <= param(NotificationRow.due_at))
    return select(NotificationFacts, is_due, *still).where(Select(from_list=[due], columns=[are_few_of_one])).with_cte(due)


def _to_ring(where: Callable[[Parameters], Expression], order: Field) -> Statement:
    """Build the search for notifications to ring for; its last value is the limit."""
    columns = (NotificationRow.id.alias("notification_id"), NotificationRow.channel, NotificationRow.severity)

    def build(param: Parameters) -> Select:
        query = NotificationRow.select(*columns).where(QUEUED & where(param), IS_ANY, _IS_FREE)
        return query.order_by(URGENCY, order).limit(param(IntegerField()))

    return Statement(build)


def _is_ready(param: Parameters) -> Expression:
    """Return the condition that a notification is due, or waits for others."""
    return (NotificationRow.due_at <= param(NotificationRow.due_at)) | NotificationRow.waits_until.is_null(is_null=False)


def _lanes(param: Parameters) -> Select:
    """Search for the notifications of some lanes that are due, or wait."""
    is_there = param.any_of(NotificationRow.lane) & (NotificationRow.lane != SQL("''"))  # as the index has it
    query = select(NotificationFacts, QUEUED, is_there, _is_ready(param), _IS_FREE)
    return query.order_by(URGENCY, NotificationRow.created_at, NotificationRow.id).limit(param(IntegerField()))


def _due_of(param: Parameters) -> Select:
    """Search for those of some notifications of a channel that are due, or were by the ringing process's clock."""
    is_named = param.any_of(NotificationRow.id) & (NotificationRow.channel == param(NotificationRow.channel))
    is_due = NotificationRow.due_at <= param(NotificationRow.due_at)
    was_due = (NotificationRow.due_at <= NotificationRow.rung_at) & (NotificationRow.due_at <= param(NotificationRow.due_at))
    found = NotificationRow.select(NotificationRow.id).where(QUEUED, is_named, is_due | was_due, _IS_FREE)
    return found.limit(param(IntegerField()))


_ALL_DUE = Statement(_all_due)
_THESE = Statement(lambda param: select(NotificationFacts, param.any_of(NotificationRow.id), QUEUED, _is_ready(param), _IS_FREE))
_QUEUED_OF = Statement(
    lambda param: (
        NotificationRow.select(NotificationRow.id).where(param.any_of(NotificationRow.id), QUEUED).order_by(NotificationRow.id)
    )
)
_LANES = Statement(_lanes)
_RELEASED = Statement(
    lambda param: NotificationRow.select(NotificationRow.id, NotificationRow.lane).where(
        QUEUED,
        param.any_of(NotificationRow.lane) & (NotificationRow.lane != SQL("''")),
        NotificationRow.has_been_silenced == SQL("TRUE"),
        NotificationRow.deferred_by.is_null(is_null=False),
        NotificationRow.due_at <= param(NotificationRow.due_at),
        _IS_FREE,
    )
)
_DUE_OF = Statement(_due_of)
_IS_RUNG = NotificationRow.rung_at.is_null(is_null=False)
_RING_FRESH = _to_ring(
    lambda param: (
        NotificationRow.rung_at.is_null()
        & (NotificationRow.due_at > param(NotificationRow.due_at))
        & (NotificationRow.due_at <= param(NotificationRow.due_at))
    ),
    NotificationRow.due_at,
)
_RING_STALE = _to_ring(
    lambda param: NotificationRow.rung_at.is_null() & (NotificationRow.due_at <= param(NotificationRow.due_at)),
    NotificationRow.due_at,
)
_RING_AGAIN = _to_ring(
    lambda param: _IS_RUNG & (NotificationRow.rung_at <= param(NotificationRow.rung_at)), NotificationRow.rung_at
)
