"""What is measured: notifyflow, and what people would use instead."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PEERS_FOLDER = Path(__file__).parents[1] / "peers"
_BULLMQ = PEERS_FOLDER / "bullmq"
_OURS = {
    "total": "SELECT count(*) FROM notifyflow_notification",
    "left": """
        SELECT (SELECT count(*) FROM notifyflow_notification WHERE state = 'QUEUED')
            + (SELECT count(*) FROM notifyflow_attempt WHERE state = 'RUNNING')
    """,
    "sent_at": """
        SELECT e.recipient_id, n.xmin
        FROM notifyflow_notification n JOIN notifyflow_escalation e ON e.id = n.escalation_id WHERE n.state = 'SENT'
    """,
}
_PEERS = {
    "total": "SELECT count(*) FROM notification",
    "left": "SELECT count(*) FROM notification WHERE state <> 'SENT'",
    "sent_at": "SELECT address, xmin FROM notification WHERE state = 'SENT'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One flow.

    Attributes:
        name: Its name in the tables.
        drive: The command that calls its ``notify()``; takes INCIDENTS RECIPIENTS CALLERS CHANNELS PAUSE_MS, writes JSON.
        worker: The command that carries; ``{processes}`` is how many processes.
        total: The query that counts its notifications.
        left: The query that counts those that are not carried yet.
        sent_at: The query for each recipient and the transaction that recorded their latest notification.
    """

    name: str
    drive: Sequence[str] = ()
    worker: Sequence[str] = ()
    total: str
    left: str
    sent_at: str

    @property
    def is_ours(self) -> bool:
        return self.total == _OURS["total"]


def program(name: str) -> str:
    """Return the path of a program that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def python(module: str) -> tuple[str, ...]:
    """Return the command that runs a module."""
    return (sys.executable, "-m", module)


def _dramatiq(module: str) -> tuple[str, ...]:
    return (program("dramatiq"), module, "--processes", "{processes}", "--threads", "10")


def _celery(*options: str) -> tuple[str, ...]:
    tasks = "tests.bench.peers.celery.tasks"
    return (program("celery"), "--app", tasks, "worker", "--without-gossip", "--without-mingle", *options)


OURS = Contestant(
    name="notifyflow",
    drive=python("tests.bench.throughput.ours"),
    worker=_dramatiq("notifyflow.worker"),
    **_OURS,
)
EMBEDDED = Contestant(name="notifyflow, embedded", drive=OURS.drive, worker=python("tests.bench.throughput.embedded"), **_OURS)
BULLMQ = Contestant(
    name="BullMQ + pg", drive=("node", str(_BULLMQ / "drive.js")), worker=("node", str(_BULLMQ / "worker.js")), **_PEERS
)
CELERY = Contestant(
    name="Celery + psycopg, threads",
    drive=python("tests.bench.peers.celery"),
    worker=_celery("--pool", "threads", "--concurrency", "10"),
    **_PEERS,
)
CELERY_PREFORK = Contestant(
    name="Celery + psycopg, prefork", drive=CELERY.drive, worker=_celery("--pool", "prefork", "--concurrency", "10"), **_PEERS
)
DRAMATIQ = Contestant(
    name="dramatiq + Peewee",
    drive=python("tests.bench.peers.dramatiq"),
    worker=_dramatiq("tests.bench.peers.dramatiq.tasks"),
    **_PEERS,
)
NO_OP = Contestant(name="a no-op actor of dramatiq", worker=_dramatiq("tests.bench.peers.bare.actor"), **_PEERS)
