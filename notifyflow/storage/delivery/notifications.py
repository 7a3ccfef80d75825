"""Stores notifications with their attempts; finds those that are due or deferred."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from peewee import SQL, Expression, IntegerField, Select

from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.core.delivery.model import DeferralReason
from notifyflow.core.delivery.set_aside import placeholder
from notifyflow.core.limits.lanes import LEAD
from notifyflow.storage.session.conditions import IS_CALM, IS_URGENT, QUEUED, URGENCY, is_free
from notifyflow.storage.session.repositories import MachineRepository
from notifyflow.storage.session.rows import NOTIFICATIONS_OF, select
from notifyflow.storage.session.statements import Parameters, Run, Statement, finds
from notifyflow.storage.tables import AttemptRow, EscalationRow, LaneRow, NotificationRow, SilencedIncidentRow


def _earlier(param: Parameters) -> Select:
    """Select the escalations of earlier rounds of the same recipients, each with its later one."""
    earlier = EscalationRow.alias()
    is_earlier = (
        (earlier.incident_id == EscalationRow.incident_id)
        & (earlier.recipient_id == EscalationRow.recipient_id)
        & (earlier.round < EscalationRow.round)
    )
    columns = (earlier.id.alias("earlier_id"), EscalationRow.id.alias("later_id"))
    return EscalationRow.select(*columns).join(earlier, on=is_earlier).where(param.any_of(EscalationRow.id))


_EARLIER = Statement(_earlier)


def _due(*, is_urgent: bool) -> Statement:
    def build(param: Parameters) -> Select:
        query = select(
            NotificationFacts,
            QUEUED,
            NotificationRow.channel == param(NotificationRow.channel),
            NotificationRow.namespace == param(NotificationRow.namespace),
            NotificationRow.due_at <= param(NotificationRow.due_at),
            IS_URGENT if is_urgent else IS_CALM,
            is_free(NotificationRow),
        )
        return query.order_by(NotificationRow.due_at, NotificationRow.id).limit(param(IntegerField()))

    return Statement(build)


_DUE = {each: _due(is_urgent=each) for each in (True, False)}


def _silenced(is_meant: Callable[[Parameters], Expression]) -> Statement:
    """Build the search for notifications that a silence has deferred until after an instant."""

    def build(param: Parameters) -> Select:
        is_later = NotificationRow.due_at > param(NotificationRow.due_at)
        is_silenced = NotificationRow.deferred_by == SQL("'silence'")
        return select(NotificationFacts, QUEUED, is_later, is_silenced, is_meant(param)).order_by(NotificationRow.id)

    return Statement(build)


def _is_of_silence(param: Parameters) -> Expression:
    """Return the condition that a silence holds, or held, the notification's incident."""
    held = SilencedIncidentRow.select(SilencedIncidentRow.incident_id)
    return NotificationRow.incident_id.in_(held.where(SilencedIncidentRow.silence_id == param(SilencedIncidentRow.silence_id)))


def _unclaimed(param: Parameters) -> Select:
    """Search for pages that are due and came before an instant, of incidents that a silence has held until then.

    Those that a silence has deferred leave together anyway.
    """
    held = SilencedIncidentRow.select(SilencedIncidentRow.incident_id).where(
        SilencedIncidentRow.silence_id == param(SilencedIncidentRow.silence_id),
        SilencedIncidentRow.ended_at >= param(SilencedIncidentRow.ended_at),
    )
    is_left_out = (NotificationRow.has_been_silenced == SQL("FALSE")) | NotificationRow.deferred_by.is_null()
    is_due = (
        NotificationRow.incident_id.in_(held),
        NotificationRow.created_at < param(NotificationRow.created_at),
        NotificationRow.due_at <= param(NotificationRow.due_at),
    )
    is_page = (QUEUED, NotificationRow.kind == SQL("'page'"), is_free(NotificationRow))
    return select(NotificationFacts, *is_due, *is_page, is_left_out).order_by(NotificationRow.id)


def _waiting_in_vain(param: Parameters) -> Select:
    """Search for what waits for a call that is over, and for no beat."""
    called = NotificationRow.alias()
    is_its = NotificationRow.channel == param(NotificationRow.channel)
    waits = (NotificationRow.waits_until > param(NotificationRow.waits_until)) & (
        NotificationRow.due_at > param(NotificationRow.due_at)
    )
    under_way = (
        AttemptRow.select(SQL("1"))
        .join(called, on=(called.id == AttemptRow.notification_id))
        .where(called.lane == NotificationRow.lane, AttemptRow.over_at > param(AttemptRow.over_at))
    )
    for_beat = LaneRow.select(SQL("1")).where(LaneRow.id == NotificationRow.lane, LaneRow.beat_at > param(LaneRow.beat_at))
    query = select(NotificationFacts, QUEUED, is_its, waits, ~finds(under_way), ~finds(for_beat), is_free(NotificationRow))
    return query.order_by(URGENCY, NotificationRow.due_at, NotificationRow.id).limit(param(IntegerField()))


_SILENCED_OF = _silenced(lambda param: NotificationRow.incident_id == param(NotificationRow.incident_id))
_SILENCED_BY = _silenced(_is_of_silence)
_UNCLAIMED = Statement(_unclaimed)
_WAITING_IN_VAIN = Statement(_waiting_in_vain)
_DUE_OF = Statement(
    lambda param: select(
        NotificationFacts, param.any_of(NotificationRow.id), QUEUED, NotificationRow.due_at <= param(NotificationRow.due_at)
    ).order_by(NotificationRow.id)
)


class Notifications(MachineRepository[NotificationFacts]):
    """Notifications with their attempts."""

    facts = NotificationFacts

    def of(self, escalation_id: str) -> tuple[NotificationFacts, ...]:
        """Read all notifications of an escalation with their attempts, by id; not locked."""
        self.load([escalation_id])
        return self._loaded([escalation_id])

    def placeholders(self, escalation_id: str) -> tuple[NotificationFacts, ...]:
        """Return stand-ins for an escalation's notifications that could not be read in this transaction."""
        own = {each.row_id: each for each in self._unit.unread if each.table == "notification"}
        return tuple(placeholder(each.values) for each in own.values() if each.values.get("escalation_id") == escalation_id)

    def load(self, escalation_ids: Collection[str]) -> None:
        """Load all notifications of escalations with their attempts; not locked."""
        if new := sorted(each for each in escalation_ids if each not in self._unit.notifications_of):
            self.note(new, self._unit.read(NotificationFacts, NOTIFICATIONS_OF(new)))

    def those(self, ids: Collection[str]) -> tuple[NotificationFacts, ...]:
        """Read notifications by id; those that no longer exist are left out; not locked."""
        unread = [each for each in ids if self._unit.known(NotificationFacts, each, is_locked=False) is None]
        if unread:
            self.read_many(unread)
        found = (self._unit.known(NotificationFacts, each, is_locked=False) for each in sorted(ids))
        return tuple(each for each in found if each is not None)

    def of_earlier_rounds(self, escalations: Collection[EscalationFacts]) -> Mapping[str, Sequence[NotificationFacts]]:
        """Read the notifications of each escalation's recipient in earlier rounds, by id; not locked."""
        found: dict[str, list[NotificationFacts]] = defaultdict(list)
        if ids := sorted(each.id for each in escalations if each.round > 1):
            later = {row["earlier_id"]: row["later_id"] for row in self._unit.rows(_EARLIER(ids))}
            for row in self._unit.read(NotificationFacts, NOTIFICATIONS_OF(sorted(later))):
                found[later[row.escalation_id]].append(row)
        return found

    def lock_of(self, escalation_ids: Sequence[str]) -> tuple[NotificationFacts, ...]:
        """Lock and read all notifications of some escalations with their attempts, by id."""
        if not all(map(self._are_locked, escalation_ids)):
            self.note(escalation_ids, self._unit.read(NotificationFacts, self._unit.locked(NOTIFICATIONS_OF(escalation_ids))))
        return self._loaded(escalation_ids)

    def add(self, facts: Sequence[NotificationFacts], *, event: str) -> tuple[NotificationFacts, ...]:
        """Store new notifications and log their initial states.

        Returns:
            The stored ones. A notification that the escalation already has on the same tier and channel is left out.
        """
        stored = []
        for each in facts:
            if each.tier is None or not self._has_page(each):
                stored.append(each)
                self._unit.add([each])
                if each.escalation_id in self._unit.notifications_of:
                    self._unit.notifications_of[each.escalation_id].add(each.id)
        for created_at in dict.fromkeys(each.created_at for each in stored):
            self._unit.log([each for each in stored if each.created_at == created_at], event=event, at=created_at)
        return tuple(stored)

    def _are_locked(self, escalation_id: str) -> bool:
        ids = self._unit.notifications_of.get(escalation_id)
        return ids is not None and all(self._unit.known(NotificationFacts, each, is_locked=True) for each in ids)

    def _loaded(self, escalation_ids: Collection[str]) -> tuple[NotificationFacts, ...]:
        ids = chain.from_iterable(self._unit.notifications_of[each] for each in escalation_ids)
        return self._unit.loaded(NotificationFacts, ids)

    def _has_page(self, page: NotificationFacts) -> bool:
        return any((row.tier, row.channel) == (page.tier, page.channel) for row in self.of(page.escalation_id))

    def due(self, channel: str, namespace: str, *, is_urgent: bool, now: datetime, limit: int) -> tuple[NotificationFacts, ...]:
        """Read a namespace's due notifications of a channel, CRITICAL or others, the oldest first; not locked."""
        return tuple(NotificationFacts(**row) for row in self._unit.rows(_DUE[is_urgent](channel, namespace, now, limit)))

    def lock_due(self, ids: Sequence[str], *, now: datetime) -> tuple[NotificationFacts, ...]:
        """Lock and read the given notifications that are due, skipping those that another transaction has locked."""
        return tuple(self._unit.read(NotificationFacts, self._unit.locked(_DUE_OF(ids, now), skips_locked=True)))

    def bring_forward(
        self, why: Collection[DeferralReason], *, now: datetime, channel: str | None = None, limit: int | None = None
    ) -> None:
        """Make deferred notifications due now, since the reasons for their deferral are gone.

        Args:
            why: The reasons.
            now: The instant.
            channel: Their channel; None for all.
            limit: How many at most, the most urgent first; None for all.
        """
        is_deferred = QUEUED & (NotificationRow.due_at > now) & NotificationRow.deferred_by.in_(list(why))
        if channel is not None:
            is_deferred &= NotificationRow.channel == channel
        urgent_first = (URGENCY, NotificationRow.due_at, NotificationRow.id)
        found = select(NotificationFacts, is_deferred).order_by(*urgent_first)
        if limit is None:  # a statement leaves out unreadable rows
            deferred = Statement(lambda _: found)()
        else:
            deferred = Statement(lambda param: found.limit(param(IntegerField())))(limit)
        for row in self._unit.read(NotificationFacts, self._unit.locked(deferred, skips_locked=True)):
            paused_until = now if DeferralReason.PAUSE in why else row.paused_until
            self._unit.save(row, replace(row, due_at=now, rung_at=None, paused_until=paused_until))

    def free(self, incident_id: str, *, now: datetime) -> None:
        """Make the notifications of an incident due now that a silence has deferred; wait for those that others have locked."""
        self._free(_SILENCED_OF(now, incident_id), now)

    def free_from(self, silence_id: str, *, now: datetime) -> None:
        """Make the notifications due now that a silence has deferred, at once, so that they leave together; see ``free``."""
        self._free(_SILENCED_BY(now, silence_id), now)

    def lock_unclaimed(self, silence_id: str, *, until: datetime, now: datetime) -> tuple[NotificationFacts, ...]:
        """Lock and read the due pages of a silence's incidents from before its end, except those that a silence has deferred."""
        return tuple(self._unit.read(NotificationFacts, self._unit.locked(_UNCLAIMED(silence_id, until, until, now))))

    def _free(self, silenced: Run, now: datetime) -> None:
        for row in self._unit.read(NotificationFacts, self._unit.locked(silenced)):
            self._unit.save(row, replace(row, due_at=now, rung_at=None))

    def stop_waiting(self, calling: Collection[str], *, is_bundling: bool, now: datetime, limit: int) -> None:
        """Make those due that need not wait any more, since no call to their number is under way, or bundling is off.

        The first for a call is due now, and the others a moment later, since it takes them with it.

        Args:
            calling: The channels that ring a phone, on which only the call under way and the beat after it are waited for.
            is_bundling: Whether others are waited for on the other channels.
            now: The instant.
            limit: How many at most of each kind.
        """
        searches: list[Any] = [_WAITING_IN_VAIN(channel, now, now, now, now, limit) for channel in sorted(calling)]
        if not is_bundling:
            is_waiting = QUEUED & (NotificationRow.due_at > now) & NotificationRow.waits_until.is_null(is_null=False)
            others = select(
                NotificationFacts, is_waiting, NotificationRow.channel.not_in(sorted(calling)), is_free(NotificationRow)
            )
            searches.append(others.order_by(URGENCY, NotificationRow.due_at, NotificationRow.id).limit(limit))
        for search in searches:
            led: set[str] = set()
            for row in self._unit.read(NotificationFacts, self._unit.locked(search, skips_locked=True)):
                is_call = row.channel in calling
                due_at = now + LEAD if is_call and row.lane in led else now
                led.add(row.lane)
                if not is_call or row.due_at is None or row.due_at > now + LEAD:  # otherwise one leads it already
                    self._unit.save(row, replace(row, due_at=due_at, rung_at=None))

    def lock_queued(self, incident_id: str) -> tuple[NotificationFacts, ...]:
        """Lock and read the queued notifications of an incident."""
        query = select(NotificationFacts, NotificationRow.incident_id == incident_id, QUEUED)
        return tuple(self._unit.read(NotificationFacts, self._unit.locked(query.order_by(NotificationRow.id))))

    def note(self, escalation_ids: Sequence[str], found: Sequence[NotificationFacts]) -> None:
        """Note that all notifications of some escalations are loaded."""
        self._unit.notifications_of.update({each: set() for each in escalation_ids})
        for row in found:
            self._unit.notifications_of[row.escalation_id].add(row.id)
