"""Watched jobs: stores their pings, judges their deadlines, and opens and resolves their incidents.

A ping changes the row of its job, and once an hour that of its key. The sweep locks the rows of jobs, and then their incidents.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Protocol
from zoneinfo import ZoneInfo

from notifyflow.core.copies import replace
from notifyflow.core.delivery.intervals import Interval
from notifyflow.core.delivery.model import Incident, IncidentState, Via
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.core.oncall import watched_job_words as words
from notifyflow.core.oncall import watched_jobs as rules
from notifyflow.core.oncall.directory import Directory
from notifyflow.core.oncall.pings import Ping
from notifyflow.core.oncall.watched_jobs import JobVerdict, Listening, LookEffect, Miss, WatchedJob
from notifyflow.pipeline.delivery.acknowledge import resolve_locked
from notifyflow.pipeline.delivery.notify import Unresolved
from notifyflow.pipeline.inbound import RoutedRequest
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetResult, SetUseCase
from notifyflow.storage.ledger import Ledger

_ABSENT = "no ping has been stored for a quarter of an hour, since no web service listens"


class Counted(StrEnum):
    """What became of a ping."""

    COUNTED = "counted"
    NOT_DECLARED = "not declared"
    OTHER_METHOD = "other method"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinged:
    """A ping for a job.

    Attributes:
        method: The HTTP method.
        key_id: The key whose use is to be noted; None for none.
    """

    name: str
    ping: Ping
    method: str
    key_id: str | None = None


@dataclass(slots=True)
class _Jobs:
    """The locked jobs of a transaction: as they were, and as they are now.

    Attributes:
        key_ids: The keys whose use is to be noted.
    """

    before: Mapping[str, WatchedJob]
    key_ids: Collection[str] = ()
    now: dict[str, WatchedJob] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = dict(self.before)

    def write(self, ledger: Ledger) -> None:
        """Write those that have changed."""
        pairs = [(self.before[name], job) for name, job in self.now.items() if job != self.before[name]]
        ledger.watched_jobs.put(pairs)


def declare(ledger: Ledger, directory: Directory, *, now: datetime) -> None:
    """Store the watched jobs of a new directory; the sweep resolves the incidents of those it lacks.

    Damaged rows stay as they are.
    """
    jobs, new = _Jobs(ledger.watched_jobs.lock_all()), []
    damaged = ledger.watched_jobs.unreadable()
    for name, declared in directory.heartbeats.items():
        if name in damaged:
            continue
        timetable, methods, namespace = declared.timetable, declared.methods, declared.namespace
        known = jobs.now.get(name)
        job = rules.declare(known, name, namespace=namespace, timetable=timetable, methods=methods, now=now)
        if known is None:
            new.append(job)
        else:
            jobs.now[name] = job
    for name in jobs.before.keys() - directory.heartbeats.keys():
        if jobs.now[name].removed_at is None:
            jobs.now[name] = rules.remove(jobs.now[name], now=now)
    jobs.write(ledger)
    ledger.watched_jobs.add(new)


def note_listening(deps: Dependencies) -> None:
    """Note that this process can store pings; raise ``StorageUnavailable`` if it cannot."""
    deps.transactions.run(lambda ledger: ledger.watched_jobs.note_listening(at=deps.clock.now()))


class NoteUses(Protocol):
    """Notes the use of keys, which stand in a later column."""

    def __call__(self, ledger: Ledger, key_ids: Collection[str], *, now: datetime) -> None:
        """Note it in a transaction."""
        ...


def receive(deps: Dependencies, pinged: Sequence[Pinged], *, note_uses: NoteUses) -> SetResult[Counted]:
    """Store pings, in their order, and note the use of their keys.

    Raises:
        CommitUnknown: When it is unknown whether they are stored.
        StorageUnavailable: When the database does not answer in time; nothing was stored.
    """
    return replace(_RECEIVE, finish=partial(_write_pinged, note_uses=note_uses)).run(deps, pinged)


def _load_pinged(tx: Transaction, pinged: Sequence[Pinged]) -> _Jobs:
    key_ids = {each.key_id for each in pinged if each.key_id is not None}
    return _Jobs(tx.ledger.watched_jobs.lock({each.name for each in pinged}), key_ids)


def _receive(tx: Transaction, jobs: _Jobs, pinged: Pinged) -> Counted:
    if (damaged := tx.ledger.watched_jobs.unreadable().get(pinged.name)) is not None:
        raise damaged.error()
    job = jobs.now.get(pinged.name)
    if job is None or job.removed_at is not None:
        return Counted.NOT_DECLARED
    if not job.takes(pinged.method):
        return Counted.OTHER_METHOD
    jobs.now[pinged.name] = rules.receive(job, pinged.ping)
    return Counted.COUNTED


def _write_pinged(tx: Transaction, jobs: _Jobs, *, note_uses: NoteUses) -> None:
    jobs.write(tx.ledger)
    if jobs.key_ids:
        note_uses(tx.ledger, jobs.key_ids, now=tx.now)


_RECEIVE = SetUseCase("ping", _load_pinged, _receive, blames=lambda pinged: ("watched_job", pinged.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedJob:
    """A job that the sweep looks at.

    Attributes:
        name: Its name.
        routed: Its incident without words, with the recipients; None if the directory no longer declares it.
    """

    name: str
    routed: RoutedRequest | None

    @property
    def unknown_key(self) -> str:
        """The key of the incident for all jobs of its route that are unknown."""
        return rules.UNKNOWN_KEY.format(route=self.routed.route if self.routed else "")


@dataclass(slots=True)
class _Sweeping:
    """A sweep's transaction.

    Attributes:
        jobs: The locked jobs.
        looks: What has to be done for each.
        unresolved: The incidents that are repeated.
        unknown: The jobs that have just become unknown, by the namespace and key of their incident.
        left: The incidents that jobs leave: id → how the last one did.
    """

    jobs: _Jobs
    looks: Mapping[str, JobVerdict]
    unresolved: Unresolved
    unknown: dict[tuple[str, str], list[RoutedJob]] = field(default_factory=lambda: defaultdict(list))
    left: dict[str, tuple[WatchedJob, Via, str]] = field(default_factory=dict)


def sweep(deps: Dependencies, routed: Sequence[RoutedJob]) -> SetResult[None]:
    """Judge the deadlines of jobs; open and resolve their incidents.

    Raises:
        StorageUnavailable: When the database does not answer in time; nothing was stored.
    """
    return _SWEEP.run(deps, routed)


def _load(tx: Transaction, routed: Sequence[RoutedJob]) -> _Sweeping:
    found = tx.ledger.watched_jobs.lock({each.name for each in routed})
    known = {name: job for name, job in found.items() if job.wake_at <= tx.now}
    since = min((job.unheard_from for job in known.values()), default=tx.now)
    listening = tx.ledger.watched_jobs.listening(since=since)
    looks = {name: rules.look(job, listening, now=tx.now) for name, job in known.items()}
    _tell_absence(tx, listening, looks)
    names = set()
    for each in routed:
        if each.name in looks and looks[each.name].effect is LookEffect.TELL:
            after = looks[each.name].after
            names.add((after.namespace, each.unknown_key if after.miss is Miss.UNKNOWN else after.key))
    return _Sweeping(_Jobs(known), looks, Unresolved(tx, names))


def _tell_absence(tx: Transaction, listening: Listening, looks: Mapping[str, JobVerdict]) -> None:
    """Tell operations if jobs wait for a web service that has not listened for long, as far as its note can be read."""
    waiting = [look.after for look in looks.values() if look.after.passed and look.effect is None]
    if waiting and tx.now - (listening.noted_at or min(job.judged_from for job in waiting)) > rules.CATCH_UP:
        tx.notices.append((_ABSENT, "heartbeats"))


def _sweep(tx: Transaction, sweeping: _Sweeping, routed: RoutedJob) -> None:
    """Handle one job, unless another sweeper has."""
    look = sweeping.looks.get(routed.name)
    if look is None:
        return
    before = sweeping.jobs.before[routed.name]
    if look.effect is LookEffect.TELL:
        _tell(tx, sweeping, routed, look.after)
        return
    sweeping.jobs.now[routed.name] = replace(look.after, incident_id=None) if look.effect else look.after
    if look.effect and before.incident_id:
        is_back = look.effect is LookEffect.RESOLVE
        left = (before, Via.HEARTBEAT, words.back(before)) if is_back else (before, Via.DIRECTORY, words.removed(before))
        sweeping.left[before.incident_id] = left


def _tell(tx: Transaction, sweeping: _Sweeping, routed: RoutedJob, job: WatchedJob) -> None:
    """Open the incident of a miss, or count it in the open one; those of unknown jobs are opened together."""
    if routed.routed is None:
        return  # this process has not read the newest directory yet
    if job.miss is Miss.UNKNOWN:
        sweeping.unknown[job.namespace, routed.unknown_key].append(routed)
        return
    content = replace(routed.routed.request.incident, title=words.title(job), body=words.body(job), occurred_at=job.missed_at)
    _note(sweeping, job, _store(tx, sweeping.unresolved, routed.routed, content, job.namespace), content.title)


def _note(sweeping: _Sweeping, job: WatchedJob, incident_id: str, title: str) -> None:
    """Note the incident that was opened for a job; a job that was unknown and is missed now leaves the other one."""
    before = sweeping.jobs.before[job.name]
    sweeping.jobs.now[job.name] = replace(job, incident_id=incident_id)
    if before.incident_id not in (None, incident_id):
        sweeping.left.setdefault(before.incident_id, (before, Via.HEARTBEAT, title))


def _store(tx: Transaction, unresolved: Unresolved, routed: RoutedRequest, incident: Incident, namespace: str) -> str:
    """Open the incident of a miss, or count the miss in the open one; return its id."""
    checked = CheckedIncident(incident=incident, contacts=routed.contacts, faults=(), chain=routed.chain, is_routed=True)
    return unresolved.store(tx, checked, routed.policy, namespace=namespace).notified.incident_id


def _finish(tx: Transaction, sweeping: _Sweeping) -> None:
    """Open the incidents of unknown jobs; write the jobs; resolve the incidents that the last job has left."""
    jobs = sweeping.jobs
    for (namespace, key), some in sweeping.unknown.items():
        _store_unknown(tx, sweeping, namespace, key, some)
    jobs.write(tx.ledger)
    tx.ledger.watched_jobs.delete([name for name, look in sweeping.looks.items() if look.effect is LookEffect.REMOVE])
    held = {job.incident_id for job in tx.ledger.watched_jobs.of_incidents(sweeping.left)}
    for incident_id, (job, via, sentence) in sorted(sweeping.left.items()):
        if incident_id not in held:
            _resolve(tx, incident_id, job, via, sentence)


def _store_unknown(tx: Transaction, sweeping: _Sweeping, namespace: str, key: str, some: Sequence[RoutedJob]) -> None:
    """Open the incident of a route's unknown jobs, or add them to the open one."""
    routed = [each.routed for each in some if each.routed is not None]
    absences = [absence for each in some if (absence := sweeping.looks[each.name].absence) is not None]
    absence = Interval(began_at=min(each.began_at for each in absences), ended_at=max(each.ended_at for each in absences))
    known = sweeping.unresolved.ids.get((namespace, key))
    members = tx.ledger.watched_jobs.of_incidents([known] if known else [])
    names = sorted({*(job.name for job in members), *(each.name for each in some)})
    zone = ZoneInfo(sweeping.looks[some[0].name].after.timetable.timezone)
    incident = replace(
        routed[0].request.incident,
        key=key,
        title=words.unknown_title(names, absence, zone),
        body=words.unknown_body(names, absence, zone),
        severity=min((each.request.incident.severity for each in routed), key=lambda severity: severity.rank),
        labels={},
        occurred_at=absence.began_at,
    )
    incident_id = _store(tx, sweeping.unresolved, routed[0], incident, namespace)
    for each in some:
        _note(sweeping, sweeping.looks[each.name].after, incident_id, incident.title)


def _resolve(tx: Transaction, incident_id: str, job: WatchedJob, via: Via, sentence: str) -> None:
    """Resolve the incident that a job has left, and say why."""
    incident = tx.ledger.incidents.lock_by_id(incident_id)
    if incident is None or incident.state is IncidentState.RESOLVED:
        return
    content = tx.ledger.incidents.content(incident_id)
    tx.ledger.incidents.set_content(incident_id, replace(content, body=f"{content.body}\n\n{sentence}"))
    resolve_locked(tx, incident, by=job.name, via=via)


_SWEEP = SetUseCase("sweep watched jobs", _load, _sweep, _finish, blames=lambda routed: ("watched_job", routed.name))
