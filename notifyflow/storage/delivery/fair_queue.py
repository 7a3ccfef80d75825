"""Stores the fair queue: how many rows each namespace was served. Finds the namespaces with due notifications."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from peewee import SQL, Case, Select

from notifyflow.storage.session.conditions import IS_CALM, IS_URGENT, QUEUED
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.tables import FairQueueRow, NotificationRow


class FairQueue(Repository):
    """Reads and counts what namespaces were served. Only the count locks; a claim counts last, before it writes its rows."""

    def due(self, channel: str, *, is_urgent: bool, now: datetime) -> list[str]:
        """List by name the namespaces with due notifications on a channel; each costs one step along an index."""
        first, following = _WALKS[is_urgent]
        found, row = [], self._unit.rows(first(channel))
        while row:
            name = row[0]["namespace"]
            if row[0]["due_at"] <= now:
                found.append(name)
            row = self._unit.rows(following(channel, name))
        return found

    def served(self, channel: str, namespaces: Sequence[str], *, is_urgent: bool) -> Mapping[str, int]:
        """Read how many rows namespaces were served; those without any are left out."""
        is_its = (
            (FairQueueRow.channel == channel) & (FairQueueRow.is_urgent == is_urgent) & FairQueueRow.namespace.in_(namespaces)
        )
        query = FairQueueRow.select(FairQueueRow.namespace, FairQueueRow.served).where(is_its)
        return {row["namespace"]: row["served"] for row in self._unit.rows(query)}

    def count(self, channel: str, virtual_starts: Mapping[str, int], counts: Mapping[str, int], *, is_urgent: bool) -> None:
        """Add to what namespaces were served, from their virtual starts; what others have added meanwhile stays."""
        for name in sorted(each for each in counts if counts[each]):
            start = virtual_starts[name]
            before = Case(None, [(FairQueueRow.served < start, start)], FairQueueRow.served)
            is_its = (FairQueueRow.channel == channel) & (FairQueueRow.is_urgent == is_urgent) & (FairQueueRow.namespace == name)
            if not self._unit.execute(FairQueueRow.update(served=before + counts[name]).where(is_its)):
                row = {"channel": channel, "is_urgent": is_urgent, "namespace": name, "served": start + counts[name]}
                self._unit.insert_once(FairQueueRow, row)


def _walk(is_urgent: bool, *, follows: bool) -> Statement:
    def build(param: Parameters) -> Select:
        wanted = QUEUED & (NotificationRow.channel == param(NotificationRow.channel)) & (IS_URGENT if is_urgent else IS_CALM)
        wanted &= NotificationRow.is_quarantined == SQL("FALSE")
        if follows:
            wanted &= NotificationRow.namespace > param(NotificationRow.namespace)
        query = NotificationRow.select(NotificationRow.namespace, NotificationRow.due_at).where(wanted)
        return query.order_by(NotificationRow.namespace, NotificationRow.due_at).limit(1)

    return Statement(build)


_WALKS = {each: (_walk(each, follows=False), _walk(each, follows=True)) for each in (True, False)}
