"""Watched jobs: what a ping changes, and when a missing one is a miss; pure.

A deadline moves by success only. A run that says that it starts adds an earlier deadline. Whether a deadline that has passed is a
miss is judged by the sweep: while no ping could be committed, a job may have pinged in vain, so that its state is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from notifyflow.core.copies import replace
from notifyflow.core.delivery.intervals import Interval
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.intake.validation import HEARTBEAT_KEYS
from notifyflow.core.oncall.pings import SHOWN, Mark, Ping, Signal, entry
from notifyflow.core.oncall.timetables import Timetable

UNKNOWN_KEY = HEARTBEAT_KEYS + "unknown/{route}"
"""The key of the incident for all jobs of a route that are unknown."""
CATCH_UP = timedelta(minutes=15)
"""How long after a time in which no ping could be committed a job may still ping before people are told."""
ABSENT_AFTER = timedelta(seconds=15)
"""A longer time without a note of the web service is one in which no ping could be committed."""
IN_FLIGHT = timedelta(seconds=5)
"""How long a ping may take from its arrival to its commit: so much later a deadline is judged."""
_LOOK_AGAIN = timedelta(minutes=1)
_NEXT_NOTE = timedelta(seconds=1)
_MOST_RUNS = 20
_MOST_PASSED = 100


class Miss(StrEnum):
    """Why a job is not well."""

    MISSED = "missed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class JobState(StrEnum):
    """How a job is."""

    NEW = "new"
    UP = "up"
    RUNNING = "running"
    LATE = "late"
    MISSED = "missed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class WatchedJob:
    """A watched job as stored.

    Attributes:
        methods: The HTTP methods with which it pings; empty for any.
        declared_at: When its present timetable was loaded.
        expected_at: When its next success is expected.
        succeeded_at: When it last succeeded; None if it never has.
        runs: The runs under way: id → when they started.
        miss: Why it is not well; None while it is.
        missed_at: When that began: the deadline, or the ping that said so.
        passed: The deadlines that have passed and are to be judged, each with the time in which its success was awaited.
        silent_since: Its last success before that, or else its declaration.
        exit_status: The exit status that the last failure said, or None.
        is_untold: Whether the sweep has still to open the incident of its failure.
        back_at: When it succeeded after its miss; None if it has not, or if that is told.
        incident_id: The incident that was opened for its miss; None without one.
        wake_at: When the sweep has to look at it.
        misses: How often it was missed or has failed.
        pings: The last pings, as ``entry`` writes them.
        output: The beginning of the last body.
        removed_at: When it was removed from the directory; None if it was not.
    """

    name: str
    namespace: str
    timetable: Timetable
    methods: tuple[str, ...] = ()
    declared_at: datetime
    expected_at: datetime
    wake_at: datetime
    version: int = 1
    succeeded_at: datetime | None = None
    runs: Mapping[str, str] = FrozenDict()
    miss: Miss | None = None
    missed_at: datetime | None = None
    passed: tuple[str, ...] = ()
    silent_since: datetime | None = None
    exit_status: int | None = None
    is_untold: bool = False
    back_at: datetime | None = None
    incident_id: str | None = None
    misses: int = 0
    pings: tuple[str, ...] = ()
    output: str = ""
    removed_at: datetime | None = None

    @property
    def key(self) -> str:
        """The key of its incident."""
        return HEARTBEAT_KEYS + self.name

    @property
    def due_at(self) -> datetime:
        """Its deadline."""
        return _deadline(self).ended_at

    @property
    def unheard_from(self) -> datetime:
        """From when on absences matter to it."""
        return min(each.began_at for each in (_deadline(self), *_windows(self)))

    @property
    def judged_from(self) -> datetime:
        """When the first deadline has passed that is to be judged; one has."""
        return min(each.ended_at for each in _windows(self))

    def takes(self, method: str) -> bool:
        """Return whether it pings with an HTTP method."""
        return not self.methods or method in self.methods


class LookEffect(StrEnum):
    """What the sweep has to do for a job."""

    TELL = "tell"
    RESOLVE = "resolve"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobVerdict:
    """The result of a look at a job.

    Attributes:
        after: The job.
        effect: What has to be done; None for nothing.
        absence: The time in which no ping could be committed, if its state is unknown.
    """

    after: WatchedJob
    effect: LookEffect | None = None
    absence: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """When pings could be committed.

    Attributes:
        noted_at: When the web service last noted that it listens; None if it never has.
        absences: The past times in which it did not.
    """

    noted_at: datetime | None
    absences: Sequence[Interval] = ()

    def absence(self, window: Interval, now: datetime) -> Interval | None:
        """Return the last absence that overlaps a window; one that lasts ends now."""
        lasting = Interval(began_at=self.noted_at or window.began_at, ended_at=now)
        known = (*self.absences, lasting) if self.is_absent(now) else self.absences
        found = [each for each in known if each.began_at <= window.ended_at and window.began_at <= each.ended_at]
        return max(found, key=lambda each: each.ended_at, default=None)

    def is_known(self, at: datetime, now: datetime) -> bool:
        """Return whether a note after an instant, or a long time without one, says if pings could be committed at it."""
        return self.is_absent(now) or (self.noted_at is not None and self.noted_at >= at)

    def is_absent(self, now: datetime) -> bool:
        """Return whether no ping can be committed now."""
        return self.noted_at is None or now - self.noted_at > ABSENT_AFTER


def declare(
    known: WatchedJob | None, name: str, *, namespace: str, timetable: Timetable, methods: tuple[str, ...], now: datetime
) -> WatchedJob:
    """Return a job as the directory declares it; a new or changed timetable counts from now."""
    if known is None:
        expected_at = timetable.after(now)
        new = WatchedJob(
            name=name,
            namespace=namespace,
            timetable=timetable,
            methods=methods,
            declared_at=now,
            expected_at=expected_at,
            wake_at=now,
        )
        return _awaited(new, now)
    same = replace(known, namespace=namespace, methods=methods, removed_at=None)
    if same.timetable == timetable and known.removed_at is None:
        return same
    passed = _passed(same, now)
    runs = dict.fromkeys(passed.runs, now.isoformat())
    return _awaited(replace(passed, timetable=timetable, declared_at=now, expected_at=timetable.after(now), runs=runs), now)


def remove(job: WatchedJob, *, now: datetime) -> WatchedJob:
    """Return a job that the directory no longer declares; the sweep resolves its incident and deletes it."""
    return replace(job, removed_at=now, wake_at=now)


def receive(job: WatchedJob, ping: Ping) -> WatchedJob:
    """Return a job after a ping."""
    now = ping.at
    job = _passed(replace(job, output=ping.output or job.output), now)
    match ping.signal:
        case Signal.SUCCESS:
            mark = Mark.LATE if _is_down(job) else Mark.ON_TIME
            runs = {} if not ping.run_id else {run: at for run, at in job.runs.items() if run != ping.run_id}
            back_at = (job.back_at or now) if _is_to_tell(job) else None
            succeeded_at = max(now, job.succeeded_at or now)
            expected_at = job.timetable.after_success(succeeded_at)
            after = replace(job, succeeded_at=succeeded_at, runs=runs, back_at=back_at, expected_at=expected_at)
        case Signal.START:
            mark = Mark.STARTED
            is_new = ping.run_id not in job.runs and len(job.runs) < _MOST_RUNS
            after = replace(job, runs={**job.runs, ping.run_id: now.isoformat()}) if is_new else job
        case Signal.FAIL:
            mark = Mark.FAILED
            since = job.missed_at if job.miss is not None and _is_down(job) else now
            after = replace(
                _silent(job),
                miss=Miss.FAILED,
                missed_at=since,
                exit_status=ping.exit_status,
                is_untold=True,
                passed=(),
                back_at=None,
                runs={},
            )
        case Signal.LOG:
            mark, after = Mark.LOGGED, job
        case _:
            assert_never(ping.signal)
    return _awaited(_marked(after, now, mark), now)


def look(job: WatchedJob, listening: Listening, *, now: datetime) -> JobVerdict:
    """Return what the sweep has to do for a job, and the job after it."""
    if job.removed_at is not None:
        return JobVerdict(after=job, effect=LookEffect.REMOVE)
    job = _passed(job, now - IN_FLIGHT)
    if job.is_untold:
        return _tell(job)
    if job.passed:
        return _judge(job, listening, now)
    if job.miss is not None and job.back_at is not None:
        return JobVerdict(after=_awaited(_well(job), now), effect=LookEffect.RESOLVE)
    return JobVerdict(after=_awaited(job, now))


def state(job: WatchedJob, now: datetime) -> JobState:
    """Return how a job is at an instant."""
    return state_of(
        miss=job.miss,
        is_back=job.back_at is not None,
        is_awaited=job.expected_at <= now,
        has_passed=bool(job.passed),
        is_running=bool(job.runs),
        has_succeeded=job.succeeded_at is not None,
    )


def state_of(
    *, miss: Miss | None, is_back: bool, is_awaited: bool, has_passed: bool, is_running: bool, has_succeeded: bool
) -> JobState:
    """Return how a job is, by what decides it; ``WatchedJob`` has the meanings."""
    if miss is not None and not is_back:
        return JobState(miss.value)
    if is_awaited or (has_passed and not is_back):
        return JobState.LATE
    if is_running:
        return JobState.RUNNING
    return JobState.UP if has_succeeded else JobState.NEW


def _judge(job: WatchedJob, listening: Listening, now: datetime) -> JobVerdict:
    """Judge the deadlines that have passed: the first that nothing excuses is a miss."""
    if not listening.is_known(_windows(job)[-1].ended_at, now):
        return JobVerdict(after=replace(job, wake_at=now + _NEXT_NOTE))
    absence, excused_until = None, None
    judged = [(window, listening.absence(window, now)) for window in _windows(job)]
    for window, found in judged:
        if found is None and (excused_until is None or window.ended_at > excused_until):
            excuses = [each.ended_at + CATCH_UP for _, each in judged if each is not None]
            expected_at = job.timetable.not_over(job.expected_at, max(excuses)) if excuses else job.expected_at
            told = replace(job, miss=Miss.MISSED, missed_at=window.ended_at, exit_status=None, expected_at=expected_at)
            return _tell(told if job.back_at is not None else _marked(told, window.ended_at, Mark.MISSED))
        if found is not None:
            absence, excused_until = found, found.ended_at + CATCH_UP
    assert absence is not None and excused_until is not None  # noqa: S101, PT018 - the first one is excused by an absence
    if listening.is_absent(now):
        return JobVerdict(after=replace(job, wake_at=now + _LOOK_AGAIN))
    if job.back_at is not None:  # it has pinged as soon as it could
        return JobVerdict(after=_awaited(_well(job) if job.miss is None else replace(job, passed=()), now))
    if now < excused_until:
        return JobVerdict(after=replace(job, wake_at=excused_until))
    missed_at = _windows(job)[0].ended_at
    told = replace(job, miss=Miss.UNKNOWN, missed_at=missed_at, exit_status=None)
    return _tell(_marked(told, missed_at, Mark.UNKNOWN), absence=absence)


def _tell(job: WatchedJob, *, absence: Interval | None = None) -> JobVerdict:
    """Return that a miss is to be told; the sweep looks again at once if it is over."""
    misses = job.misses + (job.miss is not Miss.UNKNOWN)
    told = replace(job, is_untold=False, passed=(), misses=misses)
    return JobVerdict(after=replace(told, wake_at=_wake_at(told)), effect=LookEffect.TELL, absence=absence)


def _well(job: WatchedJob) -> WatchedJob:
    return replace(
        job,
        miss=None,
        missed_at=None,
        passed=(),
        silent_since=None,
        exit_status=None,
        is_untold=False,
        back_at=None,
        incident_id=None,
    )


def _passed(job: WatchedJob, now: datetime) -> WatchedJob:
    """Return a job with the deadlines that have passed, which are to be judged."""
    if job.due_at > now:
        return job
    job = replace(_silent(job), back_at=None)
    while (window := _deadline(job)).ended_at <= now:
        if len(job.passed) >= _MOST_PASSED:
            return replace(job, runs={}, expected_at=job.timetable.not_over(job.expected_at, now))
        runs = {run: at for run, at in job.runs.items() if datetime.fromisoformat(at) + job.timetable.grace > window.ended_at}
        is_planned = job.expected_at + job.timetable.grace <= window.ended_at
        expected_at = job.timetable.after(job.expected_at) if is_planned else job.expected_at
        written = f"{window.began_at.isoformat()} {window.ended_at.isoformat()}"
        job = replace(job, runs=runs, expected_at=expected_at, passed=(*job.passed, written))
    return job


def _windows(job: WatchedJob) -> list[Interval]:
    """Return the times in which successes were awaited, up to deadlines that have passed."""
    pairs = (each.split(" ") for each in job.passed)
    return [Interval(began_at=datetime.fromisoformat(begin), ended_at=datetime.fromisoformat(end)) for begin, end in pairs]


def _is_to_tell(job: WatchedJob) -> bool:
    """Return whether a success ends something: a miss, a failure, or deadlines that are to be judged."""
    return job.miss is not None or bool(job.passed)


def _is_down(job: WatchedJob) -> bool:
    return _is_to_tell(job) and job.back_at is None


def _silent(job: WatchedJob) -> WatchedJob:
    """Return a job with the beginning of its silence, unless that is known."""
    return job if _is_down(job) else replace(job, silent_since=job.succeeded_at or job.declared_at)


def _deadline(job: WatchedJob) -> Interval:
    """Return the time in which its next success is awaited; it ends with the deadline."""
    grace = job.timetable.grace
    planned = Interval(began_at=job.expected_at - job.timetable.early, ended_at=job.expected_at + grace)
    starts = (datetime.fromisoformat(at) for at in job.runs.values())
    return min([planned, *(Interval(began_at=at, ended_at=at + grace) for at in starts)], key=lambda each: each.ended_at)


def _awaited(job: WatchedJob, now: datetime) -> WatchedJob:
    """Return a job with the time at which the sweep has to look at it: now if something is to be told."""
    is_to_tell = job.is_untold or job.passed or job.back_at is not None
    return replace(job, wake_at=now if is_to_tell else _wake_at(job))


def _wake_at(job: WatchedJob) -> datetime:
    return job.back_at or job.due_at + IN_FLIGHT


def _marked(job: WatchedJob, at: datetime, mark: Mark) -> WatchedJob:
    return replace(job, pings=(*job.pings, entry(at, mark))[-SHOWN:])
