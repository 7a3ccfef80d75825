"""Stores the lanes in which there is or was a storm; counts the pages that came to a lane within a minute."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from peewee import JOIN, SQL, Select, fn

from notifyflow.core.limits.lanes import BEGINS_WITH, WITHIN, Arrivals, Class, Lane, Start, severities_of
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import first
from notifyflow.storage.session.statements import LIST_VALUE, Parameters, Statement
from notifyflow.storage.tables import AttemptRow, LaneRow, NotificationRow

_COLUMNS = tuple(getattr(LaneRow, name) for name in Lane.__dataclass_fields__)
_STATE = _COLUMNS[2:]
_KEY = (*_COLUMNS, NotificationRow.namespace, NotificationRow.severity)
_COUNTED: tuple[Any, ...] = (
    fn.COUNT(NotificationRow.incident_id.distinct()).alias("incidents"),
    fn.MIN(NotificationRow.id).alias("first_id"),
)


class Lanes(Repository):
    """The lanes of messages; only storms have rows."""

    def read(self, ids: Collection[str], *, now: datetime) -> tuple[Mapping[str, Lane], Mapping[str, Sequence[Arrivals]]]:
        """Read the rows of lanes, and the pages that came to them within a minute, each by lane; not locked."""
        lanes: dict[str, Lane] = {}
        arrivals: dict[str, list[Arrivals]] = defaultdict(list)
        for row in self._unit.rows(_READ(sorted(ids), now - WITHIN)):
            lane_id = row["lane"]
            if row["id"] is not None:
                lanes[lane_id] = Lane(**{field.name: row[field.name] for field in _COLUMNS})
            if row["severity"] is not None:
                arrivals[lane_id].append(Arrivals(**{name: row[name] for name in Arrivals.__dataclass_fields__}))
        return lanes, arrivals

    def start(self, lane_id: str, severities: Class, *, now: datetime) -> Start | None:
        """Return the beginning of a lane's storm, or None if fewer than three incidents have come within a minute."""
        found = first(self._unit.rows(_THIRD(lane_id, list(severities_of(severities)), now - WITHIN)))
        if found is None:
            return None
        return Start(third_at=found["at"], left_at=self._unit.scalar(_LEFT(lane_id, now - WITHIN)))

    def lock(self, ids: Collection[str], channel: str) -> Mapping[str, Lane]:
        """Lock and read lanes of a channel, by id; create missing rows."""
        found = self._locked(ids)
        if missing := sorted(set(ids) - set(found)):
            for lane_id in missing:
                self._unit.insert_once(LaneRow, asdict(Lane(id=lane_id, channel=channel)))
            found = self._locked(ids)
        return found

    def save(self, before: Lane, after: Lane) -> None:
        """Write a locked lane."""
        if before != after:
            self._unit.execute(_SAVE(*(getattr(after, field.name) for field in _STATE), after.id))

    def _locked(self, ids: Collection[str]) -> dict[str, Lane]:
        return {row["id"]: Lane(**row) for row in self._unit.rows(self._unit.locked(_LANES(sorted(ids))))}


def _read(param: Parameters) -> Select:
    """Count by lane, namespace and severity; a lane without recent pages has one row, too."""
    lanes = param.values_table(NotificationRow.lane)
    came = (NotificationRow.lane == LIST_VALUE) & (NotificationRow.created_at > param(NotificationRow.created_at))
    return (
        Select((lanes,), (LIST_VALUE, *_KEY, *_COUNTED))
        .join(LaneRow, JOIN.LEFT_OUTER, on=(LaneRow.id == LIST_VALUE))
        .join(NotificationRow, JOIN.LEFT_OUTER, on=(came & (NotificationRow.kind == SQL("'page'"))))
        .group_by(LIST_VALUE, *_KEY)
    )


def _third(param: Parameters) -> Select:
    came_at = fn.MIN(NotificationRow.created_at)
    return (
        NotificationRow.select(came_at.alias("at"))
        .where(
            NotificationRow.lane == param(NotificationRow.lane),
            param.any_of(NotificationRow.severity),
            NotificationRow.created_at > param(NotificationRow.created_at),
            NotificationRow.kind == SQL("'page'"),
        )
        .group_by(NotificationRow.incident_id)
        .order_by(came_at)
        .limit(1)
        .offset(BEGINS_WITH - 1)
    )


def _left(param: Parameters) -> Select:
    is_its = (AttemptRow.notification_id == NotificationRow.id) & (NotificationRow.lane == param(NotificationRow.lane))
    is_recent = NotificationRow.created_at > param(NotificationRow.created_at)
    return AttemptRow.select(fn.MAX(AttemptRow.started_at)).join(NotificationRow, on=is_its & is_recent)


_LEFT = Statement(_left, columns=(AttemptRow.started_at,))
_READ = Statement(_read, columns=(NotificationRow.lane, *_KEY, *_COUNTED))
_THIRD = Statement(_third)
_LANES = Statement(lambda param: LaneRow.select().where(param.any_of(LaneRow.id)).order_by(LaneRow.id))
_SAVE = Statement(lambda param: LaneRow.update({field: param(field) for field in _STATE}).where(LaneRow.id == param(LaneRow.id)))
