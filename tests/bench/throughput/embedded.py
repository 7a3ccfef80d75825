"""Measures notifyflow embedded in one process on SQLite, beside plain dramatiq and Peewee on SQLite.

``python -m tests.bench.throughput.embedded`` delivers until it is killed; with a number, it calls ``notify()`` so often meanwhile
and writes how long each call took, in seconds, as JSON.
"""

import itertools
import json
import sqlite3
import sys
import time
from contextlib import closing

from notifyflow import Incident, NotifyFlow, Recipient
from tests.bench.throughput import rates
from tests.bench.throughput.arena import Arena
from tests.bench.throughput.contestants import DRAMATIQ, EMBEDDED, Contestant
from tests.bench.throughput.series import Measured, percentile

PAUSE_S = 0.02
_TABLES = "from tests.bench.peers.dramatiq.tasks import Notification, database; database.create_tables([Notification])"
_files = itertools.count(1)


class File:
    """A SQLite file of its own."""

    def __init__(self, arena: Arena) -> None:
        self._path = arena.folder / f"embedded-{next(_files)}.db"
        self.variables = {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{self._path}",
            "NOTIFYFLOW_BROKER_URL": "memory://",
            "NOTIFYFLOW_DRAIN_S": "0",
            "PEEWEE_URL": f"sqlite:///{self._path}",
        }

    def left(self, contestant: Contestant) -> int:
        """Return how many notifications are not carried yet."""
        with closing(sqlite3.connect(self._path, timeout=30)) as connection:
            (left,) = connection.execute(contestant.left).fetchone()
        return int(left)


def queued(arena: Arena, contestant: Contestant, *, incidents: int) -> File:
    """Accept incidents while nothing carries."""
    file = File(arena)
    arena.redis.flushdb()
    if contestant is DRAMATIQ:
        arena.run(sys.executable, "-c", _TABLES, **file.variables)
    arena.drive(contestant, incidents=incidents, recipients=20, BELL="none", **file.variables)
    return file


def carry(arena: Arena, contestant: Contestant, *, incidents: int) -> Measured:
    """Carry what is queued in a file."""
    file = queued(arena, contestant, incidents=incidents)
    return rates.carried(arena, lambda: file.left(contestant), arena.worker(contestant, **file.variables))


def notify_under_load(arena: Arena, *, incidents: int, calls: int) -> Measured:
    """Call ``notify()`` while the same process carries what is queued."""
    file = queued(arena, EMBEDDED, incidents=incidents)
    *_, line = arena.run(sys.executable, "-m", __name__, str(calls), **file.variables).splitlines()  # after the log
    spans = json.loads(line)
    assert file.left(EMBEDDED), "nothing was left to carry before the last call"
    return {f"notify(): {name}, ms": 1000 * percentile(spans, share) for name, share in (("p50", 0.5), ("p99", 0.99))}


def _call(flow: NotifyFlow, number: int) -> float:
    ada = Recipient(id="ada", addresses=dict.fromkeys(("email", "slack", "push"), "ada"))
    began = time.perf_counter()
    flow.notify(Incident(key=f"call-{number}", title="orders db is down"), [ada])
    return time.perf_counter() - began


def main(calls: int) -> None:
    spans = []
    with NotifyFlow.from_env() as flow:
        flow.start()
        if not calls:
            time.sleep(3600)
        time.sleep(1)
        for number in range(calls):
            spans.append(_call(flow, number))
            time.sleep(PAUSE_S)
    json.dump(spans, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
