"""Reads what the page Health shows, each from an index and a limited number of rows."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL, IntegerField, Select, fn

from notifyflow.core.model import AttemptState
from notifyflow.core.pauses import Pause
from notifyflow.core.provider_health import ProviderHealth
from notifyflow.core.vitals import CALLS, COUNTED, Calls, Queue, quantile
from notifyflow.storage.conditions import QUEUED, URGENCY, is_free
from notifyflow.storage.fields import read_instant
from notifyflow.storage.models import AttemptRow, NotificationRow, PauseRow, ProviderHealthRow
from notifyflow.storage.rows import Reader
from notifyflow.storage.statements import Statement

_CALLS = Statement(
    lambda param: (
        AttemptRow.select(
            NotificationRow.channel,
            AttemptRow.provider,
            AttemptRow.started_at,
            AttemptRow.ended_at,
            AttemptRow.evidence,
            AttemptRow.is_our_fault,
            AttemptRow.is_doubted,
        )
        .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
        .where(AttemptRow.state == SQL(f"'{AttemptState.RECORDED.value}'"))
        .order_by(AttemptRow.id.desc())
        .limit(param(IntegerField()))
    )
)


class Signs(Reader):
    """The signs of health."""

    def queues(self, now: datetime) -> tuple[tuple[Queue, ...], bool]:
        """Count what is due, by channel and urgency; return whether more is due than was counted, too."""
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
                oldest_due_at=read_instant(row["oldest_due_at"]),
            )
            for row in rows
        )
        return found, sum(each.count for each in found) >= COUNTED

    def pauses(self, now: datetime) -> tuple[Pause, ...]:
        """Read the pauses in force, the oldest first."""
        query = PauseRow.select().where(PauseRow.ends_at > now).order_by(PauseRow.paused_at)
        return tuple(Pause(**row) for row in self._source.rows(query))

    def providers(self) -> tuple[ProviderHealth, ...]:
        """Read the health of all providers that were ever used, by channel."""
        query = ProviderHealthRow.select().order_by(ProviderHealthRow.channel, ProviderHealthRow.provider)
        return tuple(ProviderHealth(**row) for row in self._source.rows(query))

    def calls(self) -> tuple[dict[tuple[str, str], Calls], datetime | None]:
        """Summarise the newest calls by channel and provider; return when the oldest of them began, too."""
        rows = self._source.rows(_CALLS(CALLS))
        of: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            of[row["channel"], row["provider"]].append(row)
        found = {place: _summary(*place, mine) for place, mine in of.items()}
        return found, min((row["started_at"] for row in rows), default=None)


def _summary(channel: str, provider: str, rows: list[dict[str, Any]]) -> Calls:
    spans = sorted(max(row["ended_at"] - row["started_at"], timedelta()) for row in rows)
    return Calls(
        channel=channel,
        provider=provider,
        count=len(rows),
        accepted=sum(row["evidence"] is not None for row in rows),
        refused_us=sum(row["is_our_fault"] for row in rows),
        doubted=sum(row["is_doubted"] for row in rows),
        median=quantile(spans, 0.5),
        slow=quantile(spans, 0.95),
    )
