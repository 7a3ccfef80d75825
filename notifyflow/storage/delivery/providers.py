"""The health of providers, and the hourly counts of calls and texts by recipient and by prefix of numbers."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from notifyflow.core.copies import replace
from notifyflow.core.limits.provider_health import ProviderHealth
from notifyflow.errors import StaleRow
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import first
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.tables import ProviderHealthRow, SpentRow

_KEPT_FOR = timedelta(days=1)
_COLUMNS = tuple(ProviderHealth.__dataclass_fields__)


class Providers(Repository):
    """The health of providers, and the counts of calls and texts."""

    def lock(self, channel: str, providers: Collection[str]) -> Mapping[str, ProviderHealth]:
        """Lock and read the health of a channel's providers, by name; create missing rows, and damaged ones anew."""
        found = self._locked(channel, providers)
        if missing := sorted(set(providers) - set(found)):
            if damaged := [each.row_id for each in self._to_write_anew("provider_health")]:
                is_it = (ProviderHealthRow.channel == channel) & ProviderHealthRow.provider.in_(damaged)
                self._unit.execute(ProviderHealthRow.delete().where(is_it))
            for provider in missing:
                new = ProviderHealth(channel=channel, provider=provider)
                self._unit.insert_once(ProviderHealthRow, asdict(new))
            found = self._locked(channel, providers)
        return found

    def get(self, channel: str, provider: str) -> ProviderHealth | None:
        """Return a provider's health, or None if it was never used; not locked."""
        key = ("health", channel, provider)
        if key not in self._unit.unlocked:
            self._unit.unlocked[key] = first([ProviderHealth(**row) for row in self._unit.rows(_HEALTH(channel, [provider]))])
        found: ProviderHealth | None = self._unit.unlocked[key]
        return found

    def save(self, before: ProviderHealth, after: ProviderHealth) -> None:
        """Write the changed columns of a provider's health.

        Raises:
            StaleRow: When another transaction changed it first.
        """
        changed: dict[str, Any] = {name: value for name in _COLUMNS if (value := getattr(after, name)) != getattr(before, name)}
        if not changed:
            return
        changed["version"] = before.version + 1
        self._unit.unlocked["health", before.channel, before.provider] = replace(after, version=before.version + 1)
        query = _saving(tuple(changed))(*changed.values(), before.channel, before.provider, before.version)
        if self._unit.execute(query) == 0:
            raise StaleRow("provider health", f"{before.channel}/{before.provider}")

    def spent(self, channel: str, scopes: Collection[str], *, hour: datetime) -> Mapping[str, int]:
        """Return the counts of an hour by scope, without zeros; the caller holds the locks of the channel's providers."""
        query = SpentRow.select(SpentRow.scope, SpentRow.count).where(
            SpentRow.channel == channel, SpentRow.scope.in_(sorted(scopes)), SpentRow.hour == hour
        )
        return {row["scope"]: row["count"] for row in self._unit.rows(query)}

    def spend(self, channel: str, scopes: Collection[str], *, hour: datetime) -> None:
        """Add one to the count of each scope in an hour; delete counts older than a day when an hour begins."""
        for scope in sorted(scopes):
            is_it = (SpentRow.channel == channel) & (SpentRow.scope == scope)
            if self._unit.execute(SpentRow.update(count=SpentRow.count + 1).where(is_it, SpentRow.hour == hour)) == 0:
                self._unit.execute(SpentRow.delete().where(is_it, SpentRow.hour < hour - _KEPT_FOR))
                self._unit.insert(SpentRow, [{"channel": channel, "scope": scope, "hour": hour, "count": 1}])

    def refund(self, channel: str, scopes: Collection[str], *, hour: datetime) -> None:
        """Subtract one from the count of each scope in an hour, if it is counted."""
        for scope in sorted(scopes):
            is_it = (SpentRow.channel == channel) & (SpentRow.scope == scope)
            self._unit.execute(SpentRow.update(count=SpentRow.count - 1).where(is_it, SpentRow.hour == hour, SpentRow.count > 0))

    def _locked(self, channel: str, providers: Collection[str]) -> dict[str, ProviderHealth]:
        query = _HEALTH(channel, sorted(providers))
        return {row["provider"]: ProviderHealth(**row) for row in self._unit.rows(self._unit.locked(query))}


_HEALTH = Statement(
    lambda param: (
        ProviderHealthRow.select()
        .where(ProviderHealthRow.channel == param(ProviderHealthRow.channel), param.any_of(ProviderHealthRow.provider))
        .order_by(ProviderHealthRow.provider)
    )
)


@lru_cache(maxsize=64)
def _saving(changed: tuple[str, ...]) -> Statement:
    def build(param: Parameters) -> Any:
        values = {name: param(getattr(ProviderHealthRow, name)) for name in changed}
        as_read = (
            getattr(ProviderHealthRow, name) == param(getattr(ProviderHealthRow, name))
            for name in ("channel", "provider", "version")
        )
        return ProviderHealthRow.update(values).where(*as_read)

    return Statement(build)
