"""How many calls and texts were given in an hour, to whom, and to which prefix of numbers."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from notifyflow.storage.models import SpentRow
from notifyflow.storage.unit import Unit

_KEPT_FOR = timedelta(days=1)


class Spending(Unit):
    """Counts of calls and texts; the caller holds the locks of the channel's providers, so that no other counts."""

    def spent(self, channel: str, scopes: Collection[str], *, hour: datetime) -> Mapping[str, int]:
        """Return the counts of an hour by scope, without zeros."""
        query = SpentRow.select(SpentRow.scope, SpentRow.count).where(
            SpentRow.channel == channel, SpentRow.scope.in_(sorted(scopes)), SpentRow.hour == hour
        )
        return {row["scope"]: row["count"] for row in self._rows(query)}

    def spend(self, channel: str, scopes: Collection[str], *, hour: datetime) -> None:
        """Add one to the count of each scope in an hour; delete counts older than a day when an hour begins."""
        for scope in sorted(scopes):
            is_it = (SpentRow.channel == channel) & (SpentRow.scope == scope)
            if self._execute(SpentRow.update(count=SpentRow.count + 1).where(is_it, SpentRow.hour == hour)) == 0:
                self._execute(SpentRow.delete().where(is_it, SpentRow.hour < hour - _KEPT_FOR))
                self._insert(SpentRow, [{"channel": channel, "scope": scope, "hour": hour, "count": 1}])
