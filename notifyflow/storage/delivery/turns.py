"""Stores how many turns each namespace has had, and finds the namespaces with due notifications."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from peewee import SQL, Case, Select

from notifyflow.storage.session.conditions import IS_CALM, IS_URGENT, QUEUED
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.tables import NotificationRow, TurnRow


class Turns(Repository):
    """Reads and counts turns. Only the count takes a lock; a claim counts last, just before it writes its rows."""

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

    def had(self, channel: str, namespaces: Sequence[str], *, is_urgent: bool) -> Mapping[str, int]:
        """Read how many turns namespaces have had; those without a turn are left out."""
        is_its = (TurnRow.channel == channel) & (TurnRow.is_urgent == is_urgent) & TurnRow.namespace.in_(namespaces)
        query = TurnRow.select(TurnRow.namespace, TurnRow.served).where(is_its)
        return {row["namespace"]: row["served"] for row in self._unit.rows(query)}

    def count(self, channel: str, virtual_starts: Mapping[str, int], counts: Mapping[str, int], *, is_urgent: bool) -> None:
        """Add turns to namespaces from their virtual starts; turns that others have added meanwhile are kept."""
        for name in sorted(each for each in counts if counts[each]):
            start = virtual_starts[name]
            had = Case(None, [(TurnRow.served < start, start)], TurnRow.served)
            is_its = (TurnRow.channel == channel) & (TurnRow.is_urgent == is_urgent) & (TurnRow.namespace == name)
            if not self._unit.execute(TurnRow.update(served=had + counts[name]).where(is_its)):
                row = {"channel": channel, "is_urgent": is_urgent, "namespace": name, "served": start + counts[name]}
                self._unit.insert_once(TurnRow, row)


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
