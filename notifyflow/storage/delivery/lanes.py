"""Stores the lanes in which there is or was a storm; counts the pages that came to a lane within a minute."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from peewee import JOIN, SQL, Case, Select, fn

from notifyflow.core.delivery.model import Severity
from notifyflow.core.limits.lanes import BEGINS_WITH, WITHIN, Arrivals, Class, Lane, Start, severities_of
from notifyflow.storage.session import sets
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import first
from notifyflow.storage.session.statements import PAIR_VALUES, Parameters, Statement
from notifyflow.storage.tables import AttemptRow, LaneRow, NotificationRow

_COLUMNS = tuple(getattr(LaneRow, name) for name in Lane.__dataclass_fields__)
_STATE = tuple(Lane.__dataclass_fields__)[2:]
_URGENT = tuple(SQL(f"'{each}'") for each in severities_of(Class.URGENT))
_KEY = (*_COLUMNS, NotificationRow.namespace, NotificationRow.severity)
_CRITICAL = SQL(f"'{Severity.CRITICAL}'")
_COUNTED: tuple[Any, ...] = (
    fn.COUNT(NotificationRow.incident_id.distinct()).alias("incidents"),
    fn.MIN(NotificationRow.id).alias("first_id"),
)


class Lanes(Repository):
    """The lanes of messages; only storms have rows."""

    def read(
        self, wanted: Collection[tuple[str, Severity]], *, now: datetime
    ) -> tuple[Mapping[str, Lane], Mapping[str, Sequence[Arrivals]]]:
        """Read the rows of lanes, and the pages that came to them within a minute, each by lane; not locked.

        Args:
            wanted: Lanes, each with the severity of a page that is to leave, the most severe of its class: those of this class
                are counted. In a storm of the class they matter to a CRITICAL page only, and are not read for others.
            now: The current instant.
        """
        lanes: dict[str, Lane] = {}
        arrivals: dict[str, list[Arrivals]] = defaultdict(list)
        for row in self._unit.rows(_READ(*zip(*sorted(wanted), strict=True), now, now - WITHIN)):
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

    def save(self, moved: Iterable[tuple[Lane, Lane]]) -> None:
        """Write locked lanes, given as they are stored and as they are now."""
        changed = [after for before, after in moved if before != after]
        if changed:
            rows = [(*(getattr(each, name) for name in _STATE), each.id) for each in changed]
            sets.update(self._unit.db, LaneRow, _STATE, ("id",), rows)

    def _locked(self, ids: Collection[str]) -> dict[str, Lane]:
        return {row["id"]: Lane(**row) for row in self._unit.rows(self._unit.locked(_LANES(sorted(ids))))}


def _read(param: Parameters) -> Select:
    """Count by lane, namespace and severity; a lane without recent pages has one row, too.

    In a storm only CRITICAL pages are looked at; where none is wanted, they are looked up under no lane, which costs nothing.
    """
    lane_id, severity = PAIR_VALUES
    pages, at = param.pairs_table(NotificationRow.lane, NotificationRow.severity), param(LaneRow.urgent_until)
    is_urgent = severity.in_(_URGENT)
    is_storm = Case(None, [(is_urgent, LaneRow.urgent_until)], LaneRow.calm_until) > at
    is_its = NotificationRow.lane == Case(None, [(is_storm & (severity != _CRITICAL), SQL("NULL"))], lane_id)
    is_counted = Case(
        None, [(is_storm, NotificationRow.severity == _CRITICAL)], NotificationRow.severity.in_(_URGENT) == is_urgent
    )
    is_recent = NotificationRow.created_at > param(NotificationRow.created_at)
    return (
        Select((pages,), (lane_id.alias("lane"), *_KEY, *_COUNTED))
        .join(LaneRow, JOIN.LEFT_OUTER, on=(LaneRow.id == lane_id))
        .join(NotificationRow, JOIN.LEFT_OUTER, on=is_its & is_recent & (NotificationRow.kind == SQL("'page'")) & is_counted)
        .group_by(lane_id, severity, *_KEY)
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
