"""The rows of the providers' health, and the notifications that are deferred."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from peewee import IntegerField, Select

from notifyflow.core.facts import NotificationFacts
from notifyflow.core.model import DeferralReason
from notifyflow.core.policy import Policy
from notifyflow.core.provider_health import ProviderHealth
from notifyflow.errors import StaleRow
from notifyflow.storage.models import EscalationRow, NotificationRow, ProviderHealthRow
from notifyflow.storage.moves import Moves
from notifyflow.storage.rows import batches, changes, first, select
from notifyflow.storage.statements import Places, Statement
from notifyflow.storage.turns import IS_CALM, IS_URGENT, QUEUED, URGENCY
from notifyflow.storage.work import is_free


class ProviderHealthRows(Moves):
    """The health of providers, and the notifications that are deferred."""

    def lock_provider_health(self, channel: str, providers: Collection[str]) -> Mapping[str, ProviderHealth]:
        """Lock and read the health of a channel's providers, by name; create missing rows."""
        found = self._provider_health(channel, providers)
        if missing := sorted(set(providers) - set(found)):
            new = [ProviderHealth(channel=channel, provider=provider) for provider in missing]
            rows = [{name: getattr(each, name) for name in ProviderHealth.__dataclass_fields__} for each in new]
            ProviderHealthRow.insert_many(rows).on_conflict_ignore().execute(self._db)
            found = self._provider_health(channel, providers)
        return found

    def provider_health(self, channel: str, provider: str) -> ProviderHealth | None:
        """Return a provider's health, or None if it was never used; not locked."""
        return first([ProviderHealth(**row) for row in self._rows(_health_of(1)(channel, provider))])

    def save_provider_health(self, before: ProviderHealth, after: ProviderHealth) -> None:
        """Write the changed columns of a provider's health.

        Raises:
            StaleRow: When another transaction changed it first.
        """
        old = asdict(before)
        changed: dict[str, Any] = {name: getattr(after, name) for name, value in asdict(after).items() if value != old[name]}
        if not changed:
            return
        changed["version"] = before.version + 1
        query = _saving(tuple(changed))(*changed.values(), before.channel, before.provider, before.version)
        if query.execute(self._db) == 0:
            raise StaleRow("provider health", f"{before.channel}/{before.provider}")

    def due(self, channel: str, *, is_urgent: bool, now: datetime, limit: int) -> tuple[NotificationFacts, ...]:
        """Read a channel's due notifications, CRITICAL or others, the oldest first; not locked."""
        return tuple(NotificationFacts(**row) for row in self._rows(_DUE[is_urgent](channel, now, limit)))

    def lock_due(self, ids: Sequence[str], *, now: datetime) -> tuple[NotificationFacts, ...]:
        """Lock and read those of some notifications that are due, skipping those that another transaction has locked."""
        return self._notifications(self._locked(_due_of(len(ids))(*ids, now), skips_locked=True))

    def defer(
        self, before: Sequence[NotificationFacts], after: Sequence[NotificationFacts], *, at: datetime, detail: Mapping[str, str]
    ) -> None:
        """Defer locked rows; a row is logged only when its reason changes.

        Args:
            before: As they were read under their lock.
            after: The rows, deferred, in the same order.
            at: When.
            detail: The detail of their lines in the log.
        """
        alike: dict[tuple[tuple[str, Any], ...], list[str]] = {}
        for row, old in zip(after, before, strict=True):
            alike.setdefault(tuple(changes(old, row).items()), []).append(row.id)
        for changed, ids in alike.items():
            query = NotificationRow.update(dict(changed) | {"rung_at": None, "version": NotificationRow.version + 1})
            query.where(NotificationRow.id.in_(ids)).execute(self._db)
        new = [
            replace(row, version=row.version + 1)
            for row, old in zip(after, before, strict=True)
            if row.deferred_by != old.deferred_by
        ]
        self._log(new, event="deferred", at=at, detail=detail, source="QUEUED")

    def bring_forward(
        self, why: Collection[DeferralReason], *, now: datetime, channel: str | None = None, limit: int | None = None
    ) -> None:
        """Make notifications due now whose reasons for deferral are gone.

        Args:
            why: The reasons.
            now: When.
            channel: Their channel; None for all.
            limit: How many at most, the most urgent first; None for all.
        """
        is_deferred = QUEUED & (NotificationRow.due_at > now) & NotificationRow.deferred_by.in_(list(why))
        if channel is not None:
            is_deferred &= NotificationRow.channel == channel
        urgent_first = (URGENCY, NotificationRow.due_at, NotificationRow.id)
        deferred = NotificationRow.select(NotificationRow.id).where(is_deferred).order_by(*urgent_first).limit(limit)
        for batch in batches([row["id"] for row in self._rows(self._locked(deferred, skips_locked=True))]):
            changed = {"due_at": now, "rung_at": None, "version": NotificationRow.version + 1}
            if DeferralReason.PAUSE in why:
                changed["paused_until"] = now
            NotificationRow.update(changed).where(NotificationRow.id.in_(batch)).execute(self._db)

    def lock_policies(self, escalation_ids: Collection[str]) -> Mapping[str, Policy]:
        """Lock escalations, and read their policies, by id."""
        columns = (EscalationRow.id, EscalationRow.policy)
        query = EscalationRow.select(*columns).where(EscalationRow.id.in_(sorted(escalation_ids))).order_by(EscalationRow.id)
        return {row["id"]: row["policy"] for row in self._with_policies(self._rows(self._locked(query)))}

    def decide_by(self, escalation_ids: Sequence[str], at: datetime) -> None:
        """Bring ``next_decision_at`` of locked, current escalations forward to an instant."""
        is_later = EscalationRow.next_decision_at.is_null() | (EscalationRow.next_decision_at > at)
        query = EscalationRow.update(next_decision_at=at, version=EscalationRow.version + 1)
        query.where(EscalationRow.id.in_(escalation_ids), EscalationRow.is_current, is_later).execute(self._db)

    def decide_again(self, *, now: datetime) -> None:
        """Decide every current escalation with a running timer anew, since its deadlines may have changed."""
        has_timer = (EscalationRow.next_decision_at > now) | (EscalationRow.next_round_at > now)
        waiting = EscalationRow.select(EscalationRow.id).where(EscalationRow.is_current, has_timer).order_by(EscalationRow.id)
        for batch in batches([row["id"] for row in self._rows(self._locked(waiting))]):
            query = EscalationRow.update(next_decision_at=now, version=EscalationRow.version + 1)
            query.where(EscalationRow.id.in_(batch)).execute(self._db)

    def _provider_health(self, channel: str, providers: Collection[str]) -> dict[str, ProviderHealth]:
        query = _health_of(len(providers))(channel, *sorted(providers))
        return {row["provider"]: ProviderHealth(**row) for row in self._rows(self._locked(query))}


@lru_cache(maxsize=64)
def _health_of(providers: int) -> Statement:
    def build(param: Places) -> Select:
        is_its = ProviderHealthRow.channel == param(ProviderHealthRow.channel)
        names = [param(ProviderHealthRow.provider) for _ in range(providers)]
        return (
            ProviderHealthRow.select().where(is_its, ProviderHealthRow.provider.in_(names)).order_by(ProviderHealthRow.provider)
        )

    return Statement(build)


def _due(*, is_urgent: bool) -> Statement:
    def build(param: Places) -> Select:
        query = select(
            NotificationFacts,
            QUEUED,
            NotificationRow.channel == param(NotificationRow.channel),
            NotificationRow.due_at <= param(NotificationRow.due_at),
            IS_URGENT if is_urgent else IS_CALM,
            is_free(NotificationRow),
        )
        return query.order_by(NotificationRow.due_at, NotificationRow.id).limit(param(IntegerField()))

    return Statement(build)


_DUE = {each: _due(is_urgent=each) for each in (True, False)}


@lru_cache(maxsize=64)
def _due_of(notifications: int) -> Statement:
    def build(param: Places) -> Select:
        ids = [param(NotificationRow.id) for _ in range(notifications)]
        is_due = NotificationRow.due_at <= param(NotificationRow.due_at)
        return select(NotificationFacts, NotificationRow.id.in_(ids), QUEUED, is_due).order_by(NotificationRow.id)

    return Statement(build)


@lru_cache(maxsize=64)
def _saving(changed: tuple[str, ...]) -> Statement:
    def build(param: Places) -> Any:
        values = {name: param(getattr(ProviderHealthRow, name)) for name in changed}
        as_read = (
            getattr(ProviderHealthRow, name) == param(getattr(ProviderHealthRow, name))
            for name in ("channel", "provider", "version")
        )
        return ProviderHealthRow.update(values).where(*as_read)

    return Statement(build)
