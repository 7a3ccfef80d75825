"""Reads the values of the page Health, each from an index and a limited number of rows."""

from contextlib import suppress
from datetime import datetime

from peewee import SQL, Select, fn

from notifyflow.core.limits.pauses import Pause
from notifyflow.core.limits.provider_health import ProviderHealth
from notifyflow.core.metrics.system_health import COUNTED, Queue
from notifyflow.storage.session.conditions import QUEUED, URGENCY, is_free
from notifyflow.storage.session.rows import Reader
from notifyflow.storage.tables import NotificationRow, PauseRow, ProviderHealthRow
from notifyflow.storage.tables.fields import read_instant


class SystemHealthReader(Reader):
    """Reads the health of the system."""

    def queues(self, now: datetime) -> tuple[tuple[Queue, ...], bool]:
        """Count due notifications by channel and urgency; return also whether there are more than were counted."""
        is_due = QUEUED & (NotificationRow.due_at <= now) & is_free(NotificationRow)
        columns = (NotificationRow.channel, URGENCY.alias("urgency"), NotificationRow.due_at)
        due = NotificationRow.select(*columns).where(is_due).limit(COUNTED).alias("due")
        counted = (due.c.channel, due.c.urgency, fn.COUNT(SQL("1")).alias("count"), fn.MIN(due.c.due_at).alias("oldest_due_at"))
        query = Select((due,), counted).group_by(due.c.channel, due.c.urgency).order_by(due.c.channel, due.c.urgency)
        rows = self._source.rows(query)
        found = tuple(
            Queue(
                channel=row["channel"],
                is_urgent=row["urgency"] == 0,
                count=row["count"],
                oldest_due_at=_instant(row["oldest_due_at"]) or now,
            )
            for row in rows
        )
        return found, sum(each.count for each in found) >= COUNTED

    def pauses(self, now: datetime) -> tuple[Pause, ...]:
        """Read the pauses in force, the oldest first."""
        query = PauseRow.select().where(PauseRow.ends_at > now).order_by(PauseRow.paused_at)
        return tuple(Pause(**row) for row in self._source.readable(query, PauseRow.name))

    def providers(self) -> tuple[ProviderHealth, ...]:
        """Read the health of all providers that were ever used, by channel."""
        query = ProviderHealthRow.select().order_by(ProviderHealthRow.channel, ProviderHealthRow.provider)
        return tuple(ProviderHealth(**row) for row in self._source.readable(query, ProviderHealthRow.provider))


def _instant(stored: datetime | str) -> datetime | None:
    """Return an instant; None if a damaged row's value cannot be read."""
    with suppress(ValueError, OverflowError):
        return read_instant(stored)
    return None
