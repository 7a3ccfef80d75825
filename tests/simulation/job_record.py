"""What became of the pings of a world, what was told of the jobs, and whether it was true: ``tests/watched_job_oracle.py`` says.

It knows pings and tellings from the committed rows, and outages from the processes and the database themselves.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from notifyflow.core.delivery.model import IncidentState
from notifyflow.core.oncall.timetables import Timetable
from notifyflow.storage.reads import Reads
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.world import START, Process, World, require
from tests.watched_job_oracle import CATCH_UP, Silence, Span, Stored, silences

_TABLE = "notifyflow_watched_job"
_NAMES = ("name", "declared_at", "removed_at", "pings", "miss", "missed_at", "misses", "incident_id", "succeeded_at", "runs")
_ROWS = f"SELECT {', '.join(_NAMES)} FROM {_TABLE} ORDER BY name"
_RESOLVED = "SELECT key, resolved_by FROM notifyflow_incident WHERE id = ?"
_ABSENCES = "SELECT began_at, ended_at FROM notifyflow_absence WHERE is_over ORDER BY began_at"
_TIMES = "SELECT COALESCE(SUM(times_seen), 0) FROM notifyflow_incident WHERE key = ?"
_OPEN = "SELECT id, key FROM notifyflow_incident WHERE state <> 'RESOLVED' AND key LIKE 'heartbeat/%'"
_PINGS = {"on": "success", "la": "success", "st": "start", "fa": "fail"}
_SURELY_NOTED_S = 17.0
"""An outage of this length is always noted; the notes come every five seconds, and fifteen without one are an outage."""
_JUDGED_AFTER = timedelta(seconds=5)
_COMMITTED_WITHIN_S = 4.5
_CLOCK_WITHIN = timedelta(seconds=0.1)
"""How far the clock of a process may be from the database's."""
_CALM_S = 90


@dataclass
class Era:
    """A job under one timetable.

    Attributes:
        is_smeared: Whether a ping took longer to its commit than the product allows for.
    """

    timetable: Timetable
    began_at: datetime
    ended_at: datetime | None = None
    is_removed: bool = False
    is_smeared: bool = False
    stored: list[Stored] = field(default_factory=list)


@dataclass(frozen=True)
class Told:
    """What was told of a job."""

    at: datetime
    miss: str
    missed_at: datetime


class JobRecord:
    """Records the pings of a world, and judges what was told."""

    def __init__(self, world: World, database: SimulatedDatabase, web: Process, workers: Sequence[Process]) -> None:
        self._world, self._database, self._web, self._workers = world, database, web, workers
        self._tried: dict[tuple[str, int], tuple[Stored, float]] = {}
        self._seen: set[tuple[str, str]] = set()
        self._rows: dict[str, dict[str, Any]] = {}
        self._eras: dict[str, list[Era]] = {}
        self._told: dict[str, list[Told]] = {}
        self._deaf: list[float] = []
        self._idle: set[int] = set()

    @property
    def _now(self) -> datetime:
        return START + timedelta(seconds=self._world.now_s)

    def try_(self, name: str, what: str, at: datetime) -> None:
        """Note that a ping is on its way to its commit; those of a job have a second each. It counts from now."""
        require(abs(at - self._now) <= _CLOCK_WITHIN, f"heartbeats: a ping of {name} at {self._now} counts from {at}")
        self._tried[name, int(at.timestamp())] = (Stored(at, what), self._world.now_s)

    def note_failed(self) -> None:
        """Note that the web service could not note that it listens."""
        self._deaf.append(self._world.now_s)

    def sample(self) -> None:
        """Note whether a ping could be committed in this second, and whether anybody could look for those that are missing."""
        now_s = self._world.now_s
        is_up = now_s >= self._database.up_at_s

        def runs(process: Process) -> bool:
            return not process.is_dead and process.paused_until_s <= now_s

        if not (is_up and runs(self._web)):
            self._deaf.append(now_s)
        if not (is_up and runs(self._web) and all(map(runs, self._workers))):
            self._idle.add(int(now_s))

    def after_commit(self, session: Session) -> None:
        """Record what a commit made of the jobs; require that nobody but a person and the job resolves its incident."""
        for line in session.lines:
            if (line["machine"], line["target"]) == ("incident", IncidentState.RESOLVED):
                ((key, by),) = self._database.look(_RESOLVED, line["incident_id"])
                is_theirs = by == "ada" or by in self._eras
                require(not key.startswith("heartbeat/") or is_theirs, f"heartbeats: {by} resolves {key}")
        if any(_TABLE in sql for sql, _ in session.writes):
            self._read()

    def _read(self) -> None:
        rows = {row[0]: dict(zip(_NAMES, row, strict=True)) for row in self._database.look(_ROWS)}
        for name in self._rows.keys() - rows.keys():
            self._end(name, is_removed=True)
        for name, row in rows.items():
            before = self._rows.get(name)
            if before is None or row["declared_at"] != before["declared_at"]:
                self._begin(name, _instant(row["declared_at"]), is_running=row["runs"] != "{}")
            if row["removed_at"]:
                self._end(name, is_removed=True)
            self._note_pings(name, json.loads(row["pings"]))
            is_unknown = row["miss"] == "unknown" and (before is None or before["missed_at"] != row["missed_at"])
            if row["misses"] > (before or {"misses": 0})["misses"] or is_unknown:
                self._told.setdefault(name, []).append(Told(self._now, row["miss"], _instant(row["missed_at"])))
        self._rows = rows

    def _begin(self, name: str, at: datetime, *, is_running: bool) -> None:
        """Begin an era; a run under way counts from then on."""
        self._end(name, is_removed=False, at=at)
        directory = self._database.read(lambda db: Reads(db).roster.current()).directory
        stored = [Stored(at, "start")] if is_running else []
        self._eras.setdefault(name, []).append(Era(directory.heartbeats[name].timetable, at, stored=stored))

    def _end(self, name: str, *, is_removed: bool, at: datetime | None = None) -> None:
        for era in self._eras.get(name, [])[-1:]:
            era.ended_at = era.ended_at or at or self._now
            era.is_removed = era.is_removed or is_removed

    def _note_pings(self, name: str, entries: Sequence[str]) -> None:
        for entry in entries:
            tried = self._tried.get((name, int(entry[2:])))
            if (name, entry) in self._seen or entry[:2] not in _PINGS or tried is None or tried[0].what != _PINGS[entry[:2]]:
                continue
            self._seen.add((name, entry))
            era = self._eras[name][-1]
            era.stored.append(tried[0])
            era.is_smeared = era.is_smeared or self._world.now_s - tried[1] > _COMMITTED_WITHIN_S

    def at_end(self, declared: set[str]) -> None:
        """Judge the whole history."""
        noted = [(_instant(begin), _instant(end)) for begin, end in self._database.look(_ABSENCES)]
        deaf = [START + timedelta(seconds=at_s) for at_s in self._deaf]
        for begin, end in noted:
            is_real = any(begin - timedelta(seconds=1) <= at <= end for at in deaf)
            require(is_real, f"heartbeats: an absence from {begin} to {end} was none")
        surely = list(_spans(deaf))
        for name, eras in self._eras.items():
            told = self._told.get(name, [])
            known = [(each.miss, each.missed_at) for each in told if each.miss != "failed"]
            require(len(known) == len(set(known)), f"heartbeats: {name} is told twice: {known}")
            counted = sum(each.miss != "unknown" for each in told)
            ((times,),) = self._database.look(_TIMES, f"heartbeat/{name}")
            require(times == counted, f"heartbeats: {name} was missed or failed {counted} times, and counted {times} times")
            for era in (era for era in eras if not era.is_smeared):
                self._judge(name, era, told, noted, surely)
        self._check_rows(declared)

    def _judge(self, name: str, era: Era, told: Sequence[Told], noted: Sequence[Span], surely: Sequence[Span]) -> None:
        until = era.ended_at or self._now
        known = silences(era.timetable, era.began_at, era.stored, noted, until)
        sure = silences(era.timetable, era.began_at, era.stored, surely, until)
        for silence, least in zip(known, sure, strict=True):
            of_it = [each for each in told if silence.began_at < each.missed_at <= silence.ended_at and each.miss != "failed"]
            for number, each in enumerate(of_it):
                self._require_true(f"{name}: {each.miss} of {each.missed_at}", each, silence, is_first=number == 0)
                self._require_true(f"{name}: {each.miss}, though deaf, of {each.missed_at}", each, least, is_first=number == 0)
            for due in silence.missed:
                self._require_told(name, due, told, noted)

    def _require_true(self, what: str, told: Told, silence: Silence, *, is_first: bool) -> None:
        """Require that something told is true; a deadline after the first one is counted though it may be excused."""
        is_true = told.missed_at in silence.missed if told.miss == "missed" else told.missed_at not in silence.missed
        is_counted_in = not is_first and told.missed_at in silence.caught_up
        is_unsure = told.miss == "unknown" and "though deaf" in what  # a short outage may be noted
        require(told.at >= told.missed_at - _CLOCK_WITHIN, f"heartbeats: {what} is told at {told.at}")
        require(is_true or is_counted_in or is_unsure, f"heartbeats: {what} was none")

    def _require_told(self, name: str, due: datetime, told: Sequence[Told], noted: Sequence[Span]) -> None:
        """Require that a miss was told as soon as somebody could, or by the end if the web service was away after it."""
        by_s = self._calm_s((due + _JUDGED_AFTER - START).total_seconds())
        if by_s is None:
            return
        by = START + timedelta(seconds=by_s)
        if any(begin <= by and due <= end + CATCH_UP for begin, end in noted):
            by = self._now
        ends = [each.ended_at for each in self._eras[name] if each.is_removed and each.ended_at is not None]
        is_gone = any(due <= at <= by for at in ends)
        require(is_gone or any(due <= each.at <= by for each in told), f"heartbeats: {name} was missed at {due}, and nobody told")

    def _calm_s(self, since_s: float) -> float | None:
        """Return the end of the first calm time since an instant; None if there is none."""
        calm = 0
        for second in range(int(since_s) + 1, int(self._world.now_s)):
            calm = 0 if second in self._idle else calm + 1
            if calm == _CALM_S:
                return float(second)
        return None

    def _check_rows(self, declared: set[str]) -> None:
        """Require that what is left is what the directory declares, and that open incidents have a job that is not well."""
        require(self._rows.keys() == declared, f"heartbeats: {sorted(self._rows)} are watched, and {sorted(declared)} declared")
        held = {row["incident_id"] for row in self._rows.values() if row["miss"]}
        for incident_id, key in self._database.look(_OPEN):
            require(incident_id in held, f"heartbeats: {key} is open, and its job is well or gone")
        for name, row in self._rows.items():
            is_well = row["miss"] is None
            is_back = row["succeeded_at"] is not None and row["missed_at"] is not None and row["succeeded_at"] > row["missed_at"]
            require(is_well or not is_back, f"heartbeats: {name} has succeeded since, and its incident is not resolved")


def _spans(deaf: Sequence[datetime]) -> Iterator[Span]:
    """Yield the outages that are surely noted, from the seconds in which no ping could be committed."""
    run: list[datetime] = []
    for at in [*sorted(deaf), datetime.max.replace(tzinfo=UTC)]:
        if run and (at - run[-1]) > timedelta(seconds=1.5):
            if (run[-1] - run[0]).total_seconds() > _SURELY_NOTED_S:
                yield run[0], run[-1]
            run = []
        run.append(at)


def _instant(at: str) -> datetime:
    return datetime.fromisoformat(at)
