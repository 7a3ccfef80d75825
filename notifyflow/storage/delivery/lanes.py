"""Stores the lanes in which there is or was a storm; counts the pages that came to a lane within a minute."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from peewee import JOIN, SQL, Case, ModelCompoundSelectQuery, Select, fn

from notifyflow.core.delivery.model import Severity
from notifyflow.core.limits.lanes import BEGINS_WITH, WITHIN, Arrivals, Class, Lane, Start, severities_of
from notifyflow.storage.session import sets
from notifyflow.storage.session.conditions import QUEUED
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import first
from notifyflow.storage.session.statements import PAIR_VALUES, Parameters, Statement
from notifyflow.storage.tables import AttemptRow, LaneRow, NotificationRow

_COLUMNS = tuple(getattr(LaneRow, name) for name in Lane.__dataclass_fields__)
_STATE = tuple(Lane.__dataclass_fields__)[2:]
_URGENT = tuple(SQL(f"'{each}'") for each in severities_of(Class.URGENT))
_LANE = (NotificationRow.lane, NotificationRow.namespace, NotificationRow.severity)
_CRITICAL = SQL(f"'{Severity.CRITICAL}'")
_ARRIVALS: tuple[Any, ...] = (
    *_LANE,
    fn.COUNT(NotificationRow.incident_id.distinct()).alias("incidents"),
    fn.MIN(NotificationRow.id).alias("first_id"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStates:
    """What was read of some lanes, each by lane.

    Attributes:
        arrivals: The pages that came within a minute.
        queued: The number of queued notifications, due or not, where there are any; empty unless they were counted.
    """

    lanes: Mapping[str, Lane]
    arrivals: Mapping[str, Sequence[Arrivals]]
    queued: Mapping[str, int]


class Lanes(Repository):
    """The lanes of messages; only storms have rows."""

    def read(self, wanted: Collection[tuple[str, Severity]], *, now: datetime, counts_queued: bool = False) -> LaneStates:
        """Read the rows of lanes, and the pages that came to them within a minute; not locked.

        Args:
            wanted: Lanes, each with the severity of a page that is to leave, the most severe of its class. In a storm of the
                class, other pages matter to a CRITICAL one only, and are not counted for others.
            now: The current instant.
            counts_queued: Whether to count what is queued in them, too.
        """
        lanes: dict[str, Lane] = {}
        arrivals: dict[str, list[Arrivals]] = defaultdict(list)
        queued: dict[str, int] = {}
        read = _READ_QUEUED if counts_queued else _READ
        for row in self._unit.rows(read(*zip(*sorted(wanted), strict=True), now, now - WITHIN)):
            if row["lane"] is None:
                lanes[row["id"]] = Lane(**{field.name: row[field.name] for field in _COLUMNS})
            elif row["severity"] is None:
                queued[row["lane"]] = row["incidents"]
            else:
                arrivals[row["lane"]].append(Arrivals(**{name: row[name] for name in Arrivals.__dataclass_fields__}))
        return LaneStates(lanes=lanes, arrivals=arrivals, queued=queued)

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


def _read(param: Parameters, *, counts_queued: bool = False) -> ModelCompoundSelectQuery:
    """Select the rows of lanes, and after them the recent pages of those that are counted, by lane, namespace and severity.

    Where the queued are counted, a row without a severity has their number in each lane.

    It joins no pages: PostgreSQL, whose statistics know of no page of the last minute, would read those of all lanes.
    """
    lane_id, severity = PAIR_VALUES
    pages, at = param.pairs_table(NotificationRow.lane, NotificationRow.severity), param(LaneRow.urgent_until)
    until = Case(None, [(severity.in_(_URGENT), LaneRow.urgent_until)], LaneRow.calm_until)
    is_calm = until.is_null() | (until <= at)
    counted = Select((pages,), (lane_id,)).join(LaneRow, JOIN.LEFT_OUTER, on=(LaneRow.id == lane_id))
    counted = counted.where((severity == _CRITICAL) | is_calm)
    states = LaneRow.select(*_COLUMNS, *[SQL("NULL")] * len(_ARRIVALS))
    states = states.where(param.any_found_by(LaneRow.id, Select((pages,), (lane_id,))))
    is_recent = NotificationRow.created_at > param(NotificationRow.created_at)
    came = NotificationRow.select(*[SQL("NULL")] * len(_COLUMNS), *_ARRIVALS)
    came = came.where(
        param.any_found_by(NotificationRow.lane, counted), is_recent, NotificationRow.kind == SQL("'page'")
    ).group_by(*_LANE)
    if not counts_queued:
        return states.union_all(came)
    count = (NotificationRow.lane, SQL("NULL"), SQL("NULL"), fn.COUNT(NotificationRow.id), SQL("NULL"))
    queued = NotificationRow.select(*[SQL("NULL")] * len(_COLUMNS), *count)
    are_there = (QUEUED, NotificationRow.lane != SQL("''"))  # as the index has it
    queued = queued.where(param.any_found_by(NotificationRow.lane, Select((pages,), (lane_id,))), *are_there)
    return states.union_all(came).union_all(queued.group_by(NotificationRow.lane))


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
_READ = Statement(_read, columns=(*_COLUMNS, *_ARRIVALS))
_READ_QUEUED = Statement(partial(_read, counts_queued=True), columns=(*_COLUMNS, *_ARRIVALS))
_THIRD = Statement(_third)
_LANES = Statement(lambda param: LaneRow.select().where(param.any_of(LaneRow.id)).order_by(LaneRow.id))
