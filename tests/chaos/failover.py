"""Failovers under load, with asynchronous and with synchronous replication, and what the latter costs.

``python -m tests.chaos.failover`` writes the figures; it ends with 1 if something is gone or sent again without being named.
"""

import logging
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from notifyflow import Incident, Recipient
from notifyflow.sandbox.inbox import Message, Text
from notifyflow.sandbox.system import Sandbox
from tests.chaos.field import ROOT, until
from tests.chaos.standby import PairField, Reckoning
from tests.servers.redis import Redis, redis_server
from tests.servers.standby import NAME

TRIALS = 5
WORKERS = 2
WARM_MESSAGES = 60
PACE_S = 0.1
HELD_S = 1.0
"""How long the stream stands still before the primary is lost."""
GOES_ON_S = 3.0
ROUNDS, A_ROUND = 5, 100
WAYS = ("off", "local", "on", "remote_apply")
"""The values of ``synchronous_commit`` that are compared; with ``local`` no commit waits for the standby."""
_NAMES = {"asynchronous": "local", "synchronous": "on"}
_PAGE = ROOT / "docs" / "figures" / "failover.rst"


class Trial(NamedTuple):
    """One failover.

    Attributes:
        first_after_s: How long after the promotion the first page left that was accepted or begun at the new primary.
    """

    reckoning: Reckoning
    first_after_s: float


@contextmanager
def load(at: PairField) -> Iterator[None]:
    """Let incidents come for as long as the block takes; what is not accepted is not repeated."""
    is_over = threading.Event()

    def notify() -> None:
        while not is_over.wait(PACE_S):
            at.accept()

    with ThreadPoolExecutor(1) as pool:
        notifying = pool.submit(notify)
        try:
            yield
        finally:
            is_over.set()
        notifying.result()


def fail_over(redis: Redis, folder: Path, commits: str) -> Trial:
    """Lose the primary of two workers under load, while the stream stands still."""
    with Sandbox() as sandbox, PairField.over(redis, sandbox, folder, NOTIFYFLOW_LEASE_S="10") as at:
        sandbox.script("all: slow 50 ms")
        at.primary.set(synchronous_standby_names=NAME, synchronous_commit=commits)
        for _ in range(WORKERS):
            at.real_worker()
        with load(at):
            until(lambda: len(at.sent()) > WARM_MESSAGES)
            at.standby.stream.hold()
            time.sleep(HELD_S)
            at.fail_over()
            promoted = sandbox.inbox.add(Message(channel="mark", provider="", to="", content=Text(sender="", text="")))
            time.sleep(GOES_ON_S)
        reckoning = at.reckon()
        stored = {attempt.id for row in at.rows() for attempt in row.attempts}
        left = [each.after_s for each in sandbox.inbox.messages(is_accepted=True) if each.attempt_id in stored]
        first = min(after_s for after_s in left if after_s > promoted.after_s)
    return Trial(reckoning, first - promoted.after_s)


def costs(redis: Redis, folder: Path) -> Mapping[str, tuple[Sequence[float], Sequence[float]]]:
    """Measure a lone ``notify()`` with each way to commit, in turn: its time, and the processor time of all three, in ms."""
    found: dict[str, tuple[list[float], list[float]]] = {way: ([], []) for way in WAYS}
    with Sandbox() as sandbox, PairField.over(redis, sandbox, folder) as at:
        for server in (at.primary, at.standby):
            server.set(fsync="on", full_page_writes="on")
        for number in range(ROUNDS + 1):
            for way in WAYS:
                at.primary.set(synchronous_standby_names=NAME, synchronous_commit=way)
                times, cpu = _measure(at, f"{way}-{number}")
                if number:  # the first round warms up
                    found[way][0].append(times)
                    found[way][1].append(cpu)
    return found


def _measure(at: PairField, name: str) -> tuple[float, float]:
    before = _cpu_s(at)
    took = []
    for number in range(A_ROUND):
        incident = Incident(key=f"{name}-{number}", title="orders db is down")
        took.append(_timed(lambda incident=incident: at.flow.notify(incident, [Recipient(id="ada", email="a@example.com")])))  # type: ignore[misc]
    return statistics.median(took) * 1000, (_cpu_s(at) - before) * 1000 / A_ROUND


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _cpu_s(at: PairField) -> float:
    """Return the processor time of this process and both servers so far."""
    spent = sum(psutil.Process().cpu_times()[:2])
    for server in (at.primary, at.standby):
        first = psutil.Process(server.pid)
        spent += sum(first.cpu_times()[:4])  # with that of its processes that have ended
        for each in first.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                spent += sum(each.cpu_times()[:2])
    return float(spent)


def render(trials: Mapping[str, Sequence[Trial]], measured: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """Return the page."""
    rows = [
        ("Replication", *trials),
        ("Failovers", *map(len, trials.values())),
        *(
            (what, *(f"{sum(getattr(trial.reckoning, name) for trial in each):,}" for each in trials.values()))
            for what, name in (
                ("Incidents that were accepted", "accepted"),
                ("of those, gone", "gone"),
                ("of those, not named by ``notifyflow check --log``", "unnamed"),
                ("Notifications stored at the new primary that were not sent", "lost"),
                ("Messages sent again, since the row of their attempt is gone", "again"),
                ("Attempts in doubt, since they ran when the stream stopped", "doubts"),
                ("Messages whose attempt no row has, and that the check does not name", "unexplained"),
            )
        ),
        ("First page after the promotion, s", *(_spread([trial.first_after_s for trial in each]) for each in trials.values())),
    ]
    costs_rows = [
        ("``synchronous_commit``", "``notify()`` takes, ms", "Processor time, ms"),
        *((f"``{way}``", _spread(times), _spread(cpu)) for way, (times, cpu) in measured.items()),
    ]
    return "\n".join(
        [
            ".. Made by scripts/failover; do not edit.\n",
            _table(rows, "52 24 24"),
            f"{WORKERS} workers, {1 / PACE_S:.0f} incidents a second, each to two people over two channels. For {HELD_S:g} s "
            "before the\nprimary and all its processes were killed, the stream to the standby stood still.\n",
            _table(costs_rows, "40 30 30"),
            f"Medians of {ROUNDS} rounds of {A_ROUND} in turn, with the lowest and the highest; processor time of the caller and "
            f"both servers\ntogether. Two cores ({platform.machine()}, Python {platform.python_version()}), both servers on the "
            "same machine and disk, so that\na network's round trip is missing.\n",
        ]
    )


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def _table(rows: Sequence[Sequence[object]], widths: str) -> str:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in rows:
        lines += [f"   {'*' if number == 0 else ' '} - {cell}" for number, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Fail over again and again, measure, and write the figures."""
    logging.disable(logging.NOTSET)
    trials: dict[str, list[Trial]] = {}
    with tempfile.TemporaryDirectory(prefix="failover-") as name, redis_server() as redis:
        for way, commits in _NAMES.items():
            for number in range(TRIALS):
                folder = Path(name) / f"{way}-{number}"
                folder.mkdir()
                trials.setdefault(way, []).append(fail_over(redis, folder, commits))
                sys.stderr.write(f"{way}: {trials[way][-1]}\n")
        folder = Path(name) / "costs"
        folder.mkdir()
        measured = costs(redis, folder)
    _PAGE.write_text(text := render(trials, measured), encoding="utf-8")
    sys.stdout.write(text)
    reckonings = [trial.reckoning for each in trials.values() for trial in each]
    is_clean = not any(each.unnamed or each.lost or each.unexplained for each in reckonings)
    return 0 if is_clean and not any(trial.reckoning.gone for trial in trials["synchronous"]) else 1


if __name__ == "__main__":
    sys.exit(main())
