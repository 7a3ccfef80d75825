"""The rows of the providers' health, and the notifications that are deferred."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from peewee import IntegerField, Select

from notifyflow.core.facts import EscalationFacts, NotificationFacts
from notifyflow.core.model import DeferralReason
from notifyflow.core.provider_health import ProviderHealth
from notifyflow.errors import StaleRow
from notifyflow.storage.models import EscalationRow, NotificationRow, ProviderHealthRow
from notifyflow.storage.rows import first, select
from notifyflow.storage.statements import Places, Statement
from notifyflow.storage.turns import IS_CALM, IS_URGENT, QUEUED, URGENCY
from notifyflow.storage.unit import Unit
from notifyflow.storage.work import is_free


class ProviderHealthRows(Unit):
    """The health of providers, and the notifications that are deferred."""

    def lock_provider_health(self, channel: str, providers: Collection[str]) -> Mapping[str, ProviderHealth]:
        """Lock and read the health of a channel's providers, by name; create missing rows."""
        found = self._provider_health(channel, providers)
        if missing := sorted(set(providers) - set(found)):
            for provider in missing:
                new = ProviderHealth(channel=channel, provider=provider)
                self._insert_once(ProviderHealthRow, {name: getattr(new, name) for name in ProviderHealth.__dataclass_fields__})
            found = self._provider_health(channel, providers)
        return found

    def provider_health(self, channel: str, provider: str) -> ProviderHealth | None:
        """Return a provider's health, or None if it was never used; not locked."""
        key = ("health", channel, provider)
        if key not in self._unlocked:
            self._unlocked[key] = first([ProviderHealth(**row) for row in self._rows(_HEALTH(channel, [provider]))])
        found: ProviderHealth | None = self._unlocked[key]
        return found

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
        self._unlocked["health", before.channel, before.provider] = replace(after, version=before.version + 1)
        query = _saving(tuple(changed))(*changed.values(), before.channel, before.provider, before.version)
        if self._execute(query) == 0:
            raise StaleRow("provider health", f"{before.channel}/{before.provider}")

    def due(self, channel: str, *, is_urgent: bool, now: datetime, limit: int) -> tuple[NotificationFacts, ...]:
        """Read a channel's due notifications, CRITICAL or others, the oldest first; not locked."""
        return tuple(NotificationFacts(**row) for row in self._rows(_DUE[is_urgent](channel, now, limit)))

    def lock_due(self, ids: Sequence[str], *, now: datetime) -> tuple[NotificationFacts, ...]:
        """Lock and read those of some notifications that are due, skipping those that another transaction has locked."""
        return self._notifications(self._locked(_DUE_OF(ids, now), skips_locked=True))

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
        deferred = select(NotificationFacts, is_deferred).order_by(*urgent_first).limit(limit)
        for row in self._notifications(self._locked(deferred, skips_locked=True)):
            paused_until = now if DeferralReason.PAUSE in why else row.paused_until
            self.save(row, replace(row, due_at=now, rung_at=None, paused_until=paused_until))

    def decide_again(self, *, now: datetime) -> None:
        """Decide every current escalation with a running timer anew, since its deadlines may have changed."""
        has_timer = (EscalationRow.next_decision_at > now) | (EscalationRow.next_round_at > now)
        waiting = select(EscalationFacts, has_timer).where(EscalationRow.is_current).order_by(EscalationRow.id)
        for each in self._escalations(self._locked(waiting)):
            self.save(each, replace(each, next_decision_at=now))

    def _provider_health(self, channel: str, providers: Collection[str]) -> dict[str, ProviderHealth]:
        query = _HEALTH(channel, sorted(providers))
        return {row["provider"]: ProviderHealth(**row) for row in self._rows(self._locked(query))}


_HEALTH = Statement(
    lambda param: (
        ProviderHealthRow.select()
        .where(ProviderHealthRow.channel == param(ProviderHealthRow.channel), param.among(ProviderHealthRow.provider))
        .order_by(ProviderHealthRow.provider)
    )
)


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


_DUE_OF = Statement(
    lambda param: select(
        NotificationFacts, param.among(NotificationRow.id), QUEUED, NotificationRow.due_at <= param(NotificationRow.due_at)
    ).order_by(NotificationRow.id)
)


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
