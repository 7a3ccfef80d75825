"""Jobs that ping over real HTTP, and some that stop to, while web processes and workers are killed and PostgreSQL crashes."""

import random
import socket
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from notifyflow import NotifyFlow, Settings
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.oncall.pings import Mark, read_entries
from notifyflow.core.oncall.watched_jobs import WatchedJob
from notifyflow.sandbox.system import Sandbox
from notifyflow.storage.dialects import execute
from tests.chaos.field import DRAMATIQ, Worker, until
from tests.servers.ports import reserve_port

JOBS, DEAD = 50, 10
LASTS_S = 300.0
_EVERY_S, _GRACE_S = 60, 60
_PINGS_EVERY_S = 35.0
_TRIES = 20
_FOUND_WITHIN_S = 1_300.0
_DIRECTORY = 'recipients.ada = { email = "ada@example.com" }\ndefault = { to = ["ada"], policy = "default" }\n'
_SUCCESSES = (Mark.ON_TIME, Mark.LATE)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What became of the jobs.

    Attributes:
        pings: How many pings got 200.
        refused: How many requests got no response, or another one.
        kills: How many processes were killed: web processes and workers.
        absences: How many times in which no ping could be stored were noted.
        lost: How many pings got 200, and were not stored.
        missed: How many times the dead jobs were missed.
        unknown: How many times jobs were unknown.
        false: How many times a job was missed though it had pinged.
        unfound: How many dead jobs nobody was told of.
        twice: How many misses were counted, or pages accepted, more or less than once.
        latest_s: The longest time from a deadline that was missed first to the page that was accepted.
    """

    jobs: int
    pings: int
    refused: int
    web_kills: int
    worker_kills: int
    absences: int
    lost: int
    dead: int
    missed: int
    unknown: int
    false: int
    unfound: int
    twice: int
    latest_s: float

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.false or self.unfound or self.twice)


@dataclass
class _Job:
    """A job with its key, and when it stops to ping, in seconds from the start; never if that is infinity."""

    name: str
    key: str
    dies_s: float
    pinged: list[float] = field(default_factory=list)
    refused: int = 0


class _Crew:
    """Two web processes and two workers, which are killed at random; one web process always runs."""

    def __init__(self, variables: Mapping[str, str], folder: Path) -> None:
        self._variables, self._folder = variables, folder
        self.ports = [reserve_port() for _ in range(2)]
        self._webs = [self._web(port) for port in self.ports]
        self._workers = [self._worker(number) for number in range(2)]
        self.web_kills = self.worker_kills = 0

    def _web(self, port: int) -> Worker:
        command = [DRAMATIQ.with_name("notifyflow"), "web", "--host", "127.0.0.1", "--port", str(port)]
        return Worker(self._variables, self._folder / f"web-{port}.log", command=command)

    def _worker(self, number: int) -> Worker:
        return Worker(self._variables, self._folder / f"worker-{number}.log", module="notifyflow.worker")

    def are_up(self) -> bool:
        return all(map(_listens, self.ports))

    def kill_at_random(self, until_s: float) -> None:
        chance = random.Random(7)
        while time.monotonic() < until_s:
            time.sleep(chance.uniform(3, 8))
            number = chance.randrange(2)
            if chance.random() < 0.5:
                self._workers[number].kill()
                self._workers[number] = self._worker(number)
                self.worker_kills += 1
            elif self.are_up():
                self._webs[number].kill()
                self._webs[number] = self._web(self.ports[number])
                self.web_kills += 1

    def end(self) -> None:
        for each in (*self._webs, *self._workers):
            each.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def play(variables: Mapping[str, str], folder: Path, crash_database: Callable[[], None]) -> Watched:
    """Let jobs ping and die, kill processes at random, crash the database once, wait until the dead are found, and judge."""
    names = [f"job-{number:02}" for number in range(JOBS)]
    directory = folder / "directory.toml"
    tables = (f'[heartbeats.{name}]\nevery = "{_EVERY_S}s"\ngrace = "{_GRACE_S}s"\n' for name in names)
    directory.write_text(_DIRECTORY + "".join(tables))
    with Sandbox() as sandbox:
        given = {**sandbox.settings(), **variables, "NOTIFYFLOW_DIRECTORY": str(directory)}
        with NotifyFlow(Settings.from_variables(given)) as flow:
            chance, access = random.Random(35), flow.access()
            keys = [access.create("cron", {KeyScope.PING}, valid_for=None, heartbeat=name)[1] for name in names]
            dies = [chance.uniform(60, LASTS_S - 60) if number < DEAD else float("inf") for number in range(JOBS)]
            jobs = [_Job(*each) for each in zip(names, keys, dies, strict=True)]
            crew, stop = _Crew(given, folder), threading.Event()
            try:
                until(crew.are_up)
                with ThreadPoolExecutor(JOBS + 1) as pool:
                    began = time.monotonic()
                    pinging = [pool.submit(_ping_on, job, crew.ports, began, stop, random.Random(job.name)) for job in jobs]
                    killing = pool.submit(crew.kill_at_random, began + LASTS_S)
                    time.sleep(LASTS_S / 2)
                    crash_database()
                    killing.result()
                    until(lambda: _are_found(flow, jobs), timeout_s=_FOUND_WITHIN_S, what="a dead job is not found")
                    stop.set()
                    for each in pinging:
                        each.result()
                return _judge(flow, sandbox, jobs, crew)
            finally:
                stop.set()
                crew.end()


def _ping_on(job: _Job, ports: Sequence[int], began: float, stop: threading.Event, chance: random.Random) -> None:
    """Ping every so often until the job dies, and again after a while if there is no response."""
    stop.wait(chance.uniform(0, _PINGS_EVERY_S))
    while not stop.is_set() and time.monotonic() - began < job.dies_s:
        for number in range(_TRIES):
            if _pings(job, ports[(number + chance.randrange(2)) % 2]):
                break
            stop.wait(chance.uniform(0.5, 2))
        stop.wait(chance.uniform(0.8, 1.2) * _PINGS_EVERY_S)


def _pings(job: _Job, port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/heartbeats/{job.key}/{job.name}", timeout=10).close()
    except OSError:
        job.refused += 1
        return False
    job.pinged.append(time.time())
    return True


def _stored(flow: NotifyFlow) -> dict[str, WatchedJob]:
    return {job.name: job for job in flow.overview.heartbeats()[0]}


def _are_found(flow: NotifyFlow, jobs: Sequence[_Job]) -> bool:
    time.sleep(2)
    stored = _stored(flow)
    return all(stored[job.name].incident_id and _pages(flow, job.name) for job in jobs[:DEAD])


def _pages(flow: NotifyFlow, name: str) -> list[datetime]:
    """Return when pages about a job that is missed were accepted."""
    status = flow.find(f"heartbeat/{name}")
    rows = [row for each in status.escalations for row in each.notifications] if status else []
    return [attempt.ended_at for row in rows for attempt in row.attempts if attempt.evidence is not None and attempt.ended_at]


def _judge(flow: NotifyFlow, sandbox: Sandbox, jobs: Sequence[_Job], crew: _Crew) -> Watched:
    stored, copies = _stored(flow), Counter(each.attempt_id for each in sandbox.inbox.messages() if each.is_accepted)
    lost = missed = unknown = false = twice = 0
    latest = timedelta()
    for job in jobs:
        entries = read_entries(stored[job.name].pings)
        successes = [at for at, mark in entries if mark in _SUCCESSES]
        misses = [at for at, mark in entries if mark is Mark.MISSED]
        lost += len(job.pinged) - len(successes) if len(job.pinged) > len(successes) else 0
        unknown += sum(mark is Mark.UNKNOWN for _, mark in entries)
        known_s = timedelta(seconds=_EVERY_S + _GRACE_S - 1)
        wrong = [at for at in misses if any(at - known_s < each < at - timedelta(seconds=1) for each in successes)]
        false += len(wrong) + (len(misses) if job.dies_s == float("inf") else 0)
        missed += len(misses)
        twice += abs(stored[job.name].misses - len(misses)) + abs(_counted(flow, job.name) - len(misses))
        if pages := _pages(flow, job.name):
            twice += len(pages) - 1
            latest = max(latest, min(pages) - misses[0]) if misses else latest
    unfound = sum(not _pages(flow, job.name) for job in jobs[:DEAD])
    twice += sum(count - 1 for count in copies.values())
    return Watched(
        jobs=JOBS,
        pings=sum(len(job.pinged) for job in jobs),
        refused=sum(job.refused for job in jobs),
        web_kills=crew.web_kills,
        worker_kills=crew.worker_kills,
        absences=_look(flow, "SELECT COUNT(*) FROM notifyflow_absence WHERE is_over"),
        lost=lost,
        dead=DEAD,
        missed=missed,
        unknown=unknown,
        false=false,
        unfound=unfound,
        twice=twice,
        latest_s=round(latest.total_seconds(), 1),
    )


def _counted(flow: NotifyFlow, name: str) -> int:
    """Return how many misses of a job its incidents count."""
    return _look(flow, f"SELECT COALESCE(SUM(times_seen), 0) FROM notifyflow_incident WHERE key = 'heartbeat/{name}'")


def _look(flow: NotifyFlow, sql: str) -> int:
    ((found,),) = flow._store.read(lambda reads: execute(reads.metrics._source.db, sql).fetchall())
    return int(found)
