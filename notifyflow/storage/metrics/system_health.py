"""Reads the values of the page Health, each from an index and a limited number of rows."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime

from peewee import SQL, IntegerField, Select, fn

from notifyflow.core.limits.pauses import Pause
from notifyflow.core.limits.provider_health import ProviderHealth
from notifyflow.core.metrics.system_health import COUNTED, POSTPONED_FOR, Queue
from notifyflow.storage.session.conditions import IS_ANY, QUEUED, URGENCY, is_free
from notifyflow.storage.session.rows import Reader
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.tables import LaneRow, NotificationRow, PauseRow, ProviderHealthRow
from notifyflow.storage.tables.fields import read_instant

_COUNT = fn.COUNT(SQL("1")).alias("count")


def _storms(param: Parameters) -> Select:
    is_stormy = (LaneRow.urgent_until > param(LaneRow.urgent_until)) | (LaneRow.calm_until > param(LaneRow.calm_until))
    return LaneRow.select(LaneRow.channel, _COUNT).where(is_stormy).group_by(LaneRow.channel)


def _postponed(param: Parameters) -> Select:
    is_postponed = QUEUED & IS_ANY & is_free(NotificationRow) & NotificationRow.waits_until.is_null(is_null=False)
    row = (
        NotificationRow.select(NotificationRow.channel)
        .where(param.any_of(NotificationRow.channel), is_postponed)
        .where(NotificationRow.due_at > param(NotificationRow.due_at), NotificationRow.due_at <= param(NotificationRow.due_at))
        .limit(param(IntegerField()))
        .alias("postponed")
    )
    return Select((row,), (row.c.channel, _COUNT)).group_by(row.c.channel)


_STORMS = Statement(_storms)
_POSTPONED = Statement(_postponed, columns=(NotificationRow.channel, _COUNT))  # type: ignore[arg-type]  # a function is read as it is


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

    def storms(self, now: datetime) -> Mapping[str, int]:
        """Count the addresses that are in a storm, by channel."""
        return {row["channel"]: int(row["count"]) for row in self._source.rows(_STORMS(now, now))}

    def postponed(self, channels: Collection[str], now: datetime) -> Mapping[str, int]:
        """Count the notifications of some channels that wait for others or for a call to end, by channel."""
        found = self._source.rows(_POSTPONED(sorted(channels), now, now + POSTPONED_FOR, COUNTED))
        return {row["channel"]: int(row["count"]) for row in found}

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
