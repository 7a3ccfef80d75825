"""Finding work: what may be sent, what is to be rung for, what time alone has made due.

Each search walks an index of the rows that are still to be worked on, so that it costs the same however many are done. A
partial index is found only where the query repeats its condition literally, not as a parameter: hence the SQL below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL, Expression, Field, Select, fn

from notifyflow.core import fairness
from notifyflow.core.facts import NotificationFacts
from notifyflow.core.model import IncidentState, Severity
from notifyflow.storage.models import AttemptRow, EscalationRow, HeldRow, IncidentRow, NotificationRow
from notifyflow.storage.rows import first, select
from notifyflow.storage.statements import Statement
from notifyflow.storage.turns import IS_CALM, IS_URGENT, QUEUED, URGENCY, Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRef:
    """The ids of an attempt and of the rows to lock for it, in lock order; its provider, and the provider's id if known."""

    incident_id: str
    escalation_id: str
    notification_id: str
    attempt_id: str
    provider: str
    provider_ref: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A notification that may be sent now: what a ring says."""

    notification_id: str
    channel: str
    severity: Severity


_RUNNING = AttemptRow.state == SQL("'RUNNING'")
_IS_HELD = NotificationRow.held_by.is_null(is_null=False)
_STALE_AFTER = timedelta(minutes=5)
"""What was due so long ago was held up by ourselves: what can still be in time goes first, and then the newest."""


def is_free(incident_id: Field) -> Expression:
    """Tell that an incident is not held since its database was adopted."""
    free: Expression = ~fn.EXISTS(HeldRow.select(SQL("1")).where(HeldRow.incident_id == incident_id))
    return free


_IS_FREE = is_free(NotificationRow.incident_id)


class Work(Turns):
    """Searches of the claim and of the sweeper; what they hand out is locked where it says so."""

    def claim_due(
        self, channel: str, requested_ids: Sequence[str], *, now: datetime, limit: int
    ) -> tuple[NotificationFacts, ...]:
        """Lock and read notifications of a channel that may be sent now, skipping those that another transaction has locked.

        Args:
            channel: The channel's name.
            requested_ids: Notifications to prefer; more urgent ones still go first, and those that are not due are left out.
            now: What is due by then may be sent.
            limit: How many at most.

        Returns:
            CRITICAL first; then those that were held back, those requested, and the others, each by ``due_at``, then age. What
            was due minutes ago comes after all that is as urgent, the newest first. Where several namespaces have as urgent ones,
            they take turns, and that is the order of each. With their attempts.
        """
        found: list[str] = []
        for is_urgent in (True, False):
            if len(found) < limit:
                found += self._claim_by_turns(channel, requested_ids, is_urgent=is_urgent, now=now, limit=limit - len(found))
        rows = self._notifications(select(NotificationFacts, NotificationRow.id.in_(found))) if found else ()
        return tuple(sorted(rows, key=lambda row: found.index(row.id)))

    def ring_due(self, *, now: datetime, again_after: timedelta, limit: int) -> tuple[Due, ...]:
        """Mark notifications that are due as rung for, so that nobody else rings for them meanwhile.

        Args:
            now: What is due by then.
            again_after: One that is still due so long after its last ring is rung for again.
            limit: How many at most.

        Returns:
            CRITICAL first, and among those that are as urgent, what was due minutes ago last.
        """
        never = QUEUED & NotificationRow.rung_at.is_null()
        fresh = never & (NotificationRow.due_at > now - _STALE_AFTER) & (NotificationRow.due_at <= now)
        stale = never & (NotificationRow.due_at <= now - _STALE_AFTER)
        again = QUEUED & NotificationRow.rung_at.is_null(is_null=False) & (NotificationRow.rung_at <= now - again_after)
        kinds = ((fresh, NotificationRow.due_at), (again, NotificationRow.rung_at), (stale, NotificationRow.due_at))
        found = [due for is_wanted, order in kinds for due in self._to_ring(is_wanted, order, limit)]
        rung = sorted(found, key=lambda due: due.severity is not Severity.CRITICAL)[:limit]
        if rung:
            self._mark_rung([due.notification_id for due in rung], now)
        return tuple(rung)

    def unring(self, ids: Sequence[str]) -> None:
        """Take back that somebody was rung for these: nobody was, so that the next sweep rings."""
        self._mark_rung(ids, None)

    def expired_leases(self, *, now: datetime, limit: int) -> tuple[AttemptRef, ...]:
        """Find running attempts whose lease is over, the oldest first; not locked."""
        is_over = _RUNNING & (AttemptRow.lease_until <= now) & _IS_FREE
        return self._attempt_refs(is_over, order=AttemptRow.lease_until, limit=limit)

    def escalations_to_look_at(self, *, now: datetime, limit: int) -> tuple[tuple[str, str], ...]:
        """Find current escalations whose ``look_at`` has come, as (incident id, escalation id), the oldest first; not locked."""
        query = (
            EscalationRow.select(EscalationRow.incident_id, EscalationRow.id)
            .where(EscalationRow.look_at <= now, EscalationRow.is_current, is_free(EscalationRow.incident_id))
            .order_by(EscalationRow.look_at)
            .limit(limit)
        )
        return tuple((row["incident_id"], row["id"]) for row in self._rows(query))

    def rounds_due(self, *, now: datetime, limit: int) -> tuple[str, ...]:
        """Find incidents in which a recipient's ``next_round_at`` has come, the oldest first; not locked."""
        first_at = fn.MIN(EscalationRow.next_round_at)
        query = (
            EscalationRow.select(EscalationRow.incident_id, first_at)
            .where(EscalationRow.next_round_at <= now, EscalationRow.is_current, is_free(EscalationRow.incident_id))
            .group_by(EscalationRow.incident_id)
            .order_by(first_at)
            .limit(limit)
        )
        return tuple(row["incident_id"] for row in self._rows(query))

    def incident_rounds_due(self, *, now: datetime, limit: int) -> tuple[str, ...]:
        """Find incidents, not resolved, whose own ``round_at`` has come, the oldest first; not locked."""
        query = (
            IncidentRow.select(IncidentRow.id)
            .where(IncidentRow.round_at <= now, IncidentRow.state != IncidentState.RESOLVED, is_free(IncidentRow.id))
            .order_by(IncidentRow.round_at)
            .limit(limit)
        )
        return tuple(row["id"] for row in self._rows(query))

    def next_wake_at(self) -> datetime | None:
        """Tell when there is work for the sweeper next, which may be in the past; None while nothing waits for time.

        What was rung for already does not count: whoever was rung takes it, and if nobody does, a later sweep sees it.
        """
        earliest = (
            NotificationRow.select(fn.MIN(NotificationRow.due_at)).where(QUEUED, NotificationRow.rung_at.is_null(), _IS_FREE),
            AttemptRow.select(fn.MIN(AttemptRow.lease_until))
            .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
            .where(_RUNNING, _IS_FREE),
            EscalationRow.select(fn.MIN(EscalationRow.look_at)).where(
                EscalationRow.look_at.is_null(is_null=False), EscalationRow.is_current, is_free(EscalationRow.incident_id)
            ),
            EscalationRow.select(fn.MIN(EscalationRow.next_round_at)).where(
                EscalationRow.next_round_at.is_null(is_null=False), EscalationRow.is_current, is_free(EscalationRow.incident_id)
            ),
            IncidentRow.select(fn.MIN(IncidentRow.round_at)).where(
                IncidentRow.round_at.is_null(is_null=False), IncidentRow.state != IncidentState.RESOLVED, is_free(IncidentRow.id)
            ),
        )
        instants = [instant for query in earliest if (instant := self._scalar(query)) is not None]
        return min(instants, default=None)

    def attempt_ref(self, attempt_id: str) -> AttemptRef | None:
        """Find an attempt by its id; not locked."""
        return first([AttemptRef(**row) for row in self._rows(_ATTEMPT_REF(attempt_id))])

    def attempt_ref_by_provider_ref(self, provider: str, provider_ref: str) -> AttemptRef | None:
        """Find an attempt by its provider's id; not locked."""
        is_it = (
            (AttemptRow.provider == provider) & (AttemptRow.provider_ref == provider_ref) & (AttemptRow.provider_ref != SQL("''"))
        )
        return first(self._attempt_refs(is_it, limit=1))

    def _claim_by_turns(
        self, channel: str, requested_ids: Sequence[str], *, is_urgent: bool, now: datetime, limit: int
    ) -> list[str]:
        """Lock what is due and equally urgent, one namespace after the other in turns."""
        names = self.namespaces_due(channel, is_urgent=is_urgent, now=now)
        selections = _selections(channel, requested_ids, is_urgent=is_urgent)
        if len(names) < 2:
            return self._pick_in_order(selections, [], now=now, limit=limit) if names else []
        begun = fairness.starts(self.turns(channel, names, is_urgent=is_urgent), names)
        claimed: dict[str, list[str]] = {name: [] for name in names}
        waiting = set(names)
        while waiting and (left := limit - sum(map(len, claimed.values()))) > 0:
            next_starts = {name: begun[name] + len(claimed[name]) for name in waiting}
            for name, share in fairness.shares(next_starts, left).items():
                is_its = NotificationRow.namespace == name
                own = tuple((selection & is_its, is_whole) for selection, is_whole in selections)
                found = self._pick_in_order(own, claimed[name], now=now, limit=share)
                claimed[name] += found
                if len(found) < share:
                    waiting.discard(name)
        self.count_turns(channel, begun, {name: len(some) for name, some in claimed.items()}, is_urgent=is_urgent)
        return fairness.in_turn(begun, claimed)

    def _pick_in_order(
        self, selections: Sequence[tuple[Expression, bool]], known: Sequence[str], *, now: datetime, limit: int
    ) -> list[str]:
        """Lock rows of the first selection, then of the next, up to the limit; leave out the rows in ``known``."""
        found: list[str] = []
        for selection, is_whole in selections:
            if len(found) < limit:
                others = (*known, *found)
                wanted = selection & NotificationRow.id.not_in(others) if others else selection
                found += self._pick(wanted, now=now, limit=limit - len(found), is_whole=is_whole)
        return found

    def _pick(self, wanted: Expression, *, now: datetime, limit: int, is_whole: bool) -> list[str]:
        """Lock what is fresh, the oldest first, and where all is asked for also what is stale, the newest first."""
        stale_at = now - _STALE_AFTER
        oldest = (NotificationRow.due_at, NotificationRow.id)
        fresh = wanted & (NotificationRow.due_at > stale_at) & (NotificationRow.due_at <= now)
        if not is_whole:
            return [each for each, _ in self._lock_due(fresh, oldest, limit)]
        found = self._lock_due(wanted & (NotificationRow.due_at <= now), oldest, limit)
        if found and found[0][1] <= stale_at:  # else nothing is stale, and this is the order
            newest = (NotificationRow.due_at.desc(), NotificationRow.id.desc())
            found = self._lock_due(fresh, oldest, limit)
            found += self._lock_due(wanted & (NotificationRow.due_at <= stale_at), newest, limit - len(found))
        return [each for each, _ in found]

    def _lock_due(self, wanted: Expression, order: Sequence[Any], limit: int) -> list[tuple[str, datetime]]:
        query = NotificationRow.select(NotificationRow.id, NotificationRow.due_at).where(wanted).order_by(*order).limit(limit)
        return [(row["id"], row["due_at"]) for row in self._rows(self._locked(query, skips_locked=True))]

    def _mark_rung(self, ids: Sequence[str], at: datetime | None) -> None:
        NotificationRow.update(rung_at=at).where(NotificationRow.id.in_(ids), QUEUED).execute(self._db)

    def _to_ring(self, is_wanted: Expression, order: Field, limit: int) -> list[Due]:
        columns = (NotificationRow.id.alias("notification_id"), NotificationRow.channel, NotificationRow.severity)
        query = NotificationRow.select(*columns).where(is_wanted, _IS_FREE).order_by(URGENCY, order).limit(limit)
        return [Due(**row) for row in self._rows(self._locked(query, skips_locked=True))]

    def _attempt_refs(self, is_wanted: Expression, *, limit: int, order: Field = AttemptRow.started_at) -> tuple[AttemptRef, ...]:
        query = _attempt_refs(is_wanted).order_by(order).limit(limit)
        return tuple(AttemptRef(**row) for row in self._rows(query))


def _selections(channel: str, requested_ids: Sequence[str], *, is_urgent: bool) -> tuple[tuple[Expression, bool], ...]:
    """Return conditions on a channel's due rows in order of preference, each with whether it covers all that is due."""
    wanted = QUEUED & (NotificationRow.channel == channel) & _IS_FREE & (IS_URGENT if is_urgent else IS_CALM)
    if is_urgent:
        return ((wanted, True),)
    return ((wanted & _IS_HELD, False), (wanted & NotificationRow.id.in_(requested_ids), False), (wanted, True))


def _attempt_refs(is_wanted: Expression) -> Select:
    columns = (
        NotificationRow.incident_id,
        NotificationRow.escalation_id,
        AttemptRow.notification_id,
        AttemptRow.id.alias("attempt_id"),
        AttemptRow.provider,
        AttemptRow.provider_ref,
    )
    is_its = NotificationRow.id == AttemptRow.notification_id
    return AttemptRow.select(*columns).join(NotificationRow, on=is_its).where(is_wanted)


_ATTEMPT_REF = Statement(lambda given: _attempt_refs(AttemptRow.id == given(AttemptRow.id)))
