"""The field of a chaos test: servers, a sandbox, workers that come and go, and the verdict at the end."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import NotificationState
from notifyflow.core.delivery.policy import Policy, Retries, RetrySchedule, Tier
from notifyflow.core.delivery.ports import Clock
from notifyflow.pipeline.rollup import roll_up_all
from notifyflow.sandbox.system import Sandbox
from notifyflow.storage.dialects import execute
from tests import invariants
from tests.metrics import differences, recounted, stored

ROOT = Path(__file__).parents[2]
DRAMATIQ = Path(sys.executable).with_name("dramatiq")
DEADLINE_S = 120
QUICK = {
    "NOTIFYFLOW_CONNECT_TIMEOUT_S": "0.5",
    "NOTIFYFLOW_READ_TIMEOUT_S": "1",
    "NOTIFYFLOW_LEASE_S": "3",
    "NOTIFYFLOW_PROVIDER_LIMITS": "smtp=1000000,slack=1000000",
    "NOTIFYFLOW_BUNDLING": "false",
}
STUBBORN = Policy(
    name="stubborn",
    tiers=(Tier(name="primary", channels=("email", "slack")),),
    retries=Retries(normal=RetrySchedule(delays=(timedelta(milliseconds=200),) * 19, jitter=0)),
)
"""A policy that retries soon and often: here processes die, not providers."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of everything that was accepted.

    Attributes:
        notifications: How many there were.
        lost: How many no provider has seen, or did not come to rest as SENT.
        duplicates: How many messages were accepted beyond the first of each notification.
        doubts: How many attempts stand in doubt.
        unexplained: How many notifications have more duplicates than doubts, or messages without an attempt's row.
    """

    notifications: int
    lost: int
    duplicates: int
    doubts: int
    unexplained: int

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})

    @property
    def is_clean(self) -> bool:
        return self.lost == 0 and self.unexplained == 0


NOTHING_YET = Verdict(notifications=0, lost=0, duplicates=0, doubts=0, unexplained=0)


def crowd(people: int) -> list[Recipient]:
    """Return recipients with an address on two channels whose providers get our attempt's id."""
    names = [f"p{number}" for number in range(people)]
    return [Recipient(id=name, email=f"{name}@example.com", slack="C0123456789") for name in names]


class EarlierClock:
    """The system's clock some seconds slow: lost rings are repeated that much sooner than after 30 s."""

    def now(self) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=25)


class Worker:
    """One ``dramatiq MODULE`` with one process below it, or another command; it runs the code of a tree, ours by default."""

    def __init__(
        self,
        variables: Mapping[str, str],
        log: Path,
        *,
        threads: int = 4,
        module: str = "tests.chaos.worker",
        tree: Path = ROOT,
        command: Sequence[str | Path] = (),
    ) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFYFLOW_", "COVERAGE_"))}
        command = command or [DRAMATIQ, module, "--processes", "1", "--threads", str(threads)]
        self.log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command,
                env={**kept, **variables},
                cwd=tree,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def group(self) -> int:
        return self._process.pid

    def signal(self, what: signal.Signals) -> None:
        os.killpg(self._process.pid, what)

    def kill(self) -> None:
        """Kill the process and its children."""
        if not self.has_ended:
            self.signal(signal.SIGKILL)
        self._process.wait(DEADLINE_S)

    def terminate(self) -> None:
        """Stop it with SIGTERM."""
        self._process.terminate()
        assert self._process.wait(DEADLINE_S) == 0, self.log.read_text()


class Field:
    """A database, a broker and a sandbox, with the incidents that were notified through them."""

    def __init__(self, sandbox: Sandbox, folder: Path, variables: Mapping[str, str], *, clock: Clock | None = None) -> None:
        self._clock = clock
        self.sandbox = sandbox
        self.folder = folder
        self.variables = {**sandbox.settings(), **QUICK, **variables}
        self.keys: list[str] = []
        self._workers: list[Worker] = []
        self._known = len(sandbox.inbox.messages())

    @contextmanager
    def open(self) -> Iterator["Field"]:
        with NotifyFlow(Settings.from_variables(self.variables), clock=self._clock) as self.flow:
            try:
                yield self
            finally:
                for worker in self._workers:
                    worker.kill()

    def worker(self, *, threads: int = 4, module: str = "tests.chaos.worker", **variables: str) -> Worker:
        """Start a worker; it is killed at the end, if it is still there."""
        log = self.folder / f"worker-{len(self._workers)}.log"
        started = Worker({**self.variables, **variables}, log, threads=threads, module=module)
        self._workers.append(started)
        return started

    def notify(self, people: int) -> str:
        """Notify people over two channels; return the incident's key."""
        key = f"incident-{len(self.keys)}"
        self.flow.notify(Incident(key=key, title="orders db is down"), crowd(people), policy=STUBBORN)
        self.keys.append(key)
        return key

    def notify_until(self, is_over: Callable[[], bool], *, people: int = 5) -> None:
        """Notify repeatedly until a condition holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not is_over():
            assert time.monotonic() < deadline, "it did not come about"
            self.notify(people)
            time.sleep(0.3)  # the pace of the load

    def seen(self) -> int:
        """Count the messages that providers have accepted."""
        return sum(message.is_accepted for message in self.sandbox.inbox.messages()[self._known :])

    def is_settled(self, key: str) -> bool:
        return self.flow.wait(key, timeout_s=0)

    def rows(self) -> Iterator[NotificationFacts]:
        """Return all notifications, after checking the invariants of their incidents."""
        for key in self.keys:
            status = self.flow.status(key)
            invariants.check(status)
            yield from (row for escalation in status.escalations for row in escalation.notifications)

    def settle(self) -> None:
        """Wait until nothing more happens by itself."""
        for key in self.keys:
            assert self.flow.wait(key, timeout_s=DEADLINE_S), f"{key} did not come to rest"

    def await_figures(self) -> None:
        """Wait until the figures equal the rows: a worker that was frozen in a transaction keeps lines from being counted."""
        until(lambda: not self._figures_off(), what="the figures do not equal the rows")

    def _figures_off(self) -> Mapping[tuple[str, ...], tuple[int, int]]:
        def look(text: str) -> Sequence[Any]:
            return store.read(lambda reads: execute(reads.metrics._source.db, text).fetchall())

        store = self.flow._store
        roll_up_all(self.flow._deps)
        return differences(stored(store), recounted(look))

    def verdict(self) -> Verdict:
        """Compare the stored attempts with the providers' messages, and the figures with the rows."""
        self.await_figures()
        accepted = Counter(message.attempt_id for message in self.sandbox.inbox.messages()[self._known :] if message.is_accepted)
        verdict = NOTHING_YET
        for row in self.rows():
            copies = sum(accepted.pop(attempt.id, 0) for attempt in row.attempts)
            doubts = sum(attempt.is_doubted for attempt in row.attempts)
            verdict += Verdict(
                notifications=1,
                lost=copies == 0 or row.state is not NotificationState.SENT,
                duplicates=max(0, copies - 1),
                doubts=doubts,
                unexplained=copies > 1 + doubts,
            )
        return verdict + Verdict(notifications=0, lost=0, duplicates=0, doubts=0, unexplained=len(accepted))


def until(is_so: Callable[[], bool], *, timeout_s: float = DEADLINE_S, what: str = "it did not come about") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
