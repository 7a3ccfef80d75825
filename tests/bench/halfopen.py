"""Holds thousands of half-open connections against ``notifyflow up``, and writes docs/figures/halfopen.rst and halfopen.json.

A process of its own opens the connections, sends half a request on each, and opens another for each that the server ends: half
the headers on all of them, and then half a body. Meanwhile incidents are posted from the same address, and the time from their
commit until the provider has answered is measured, without and with each flood.
"""

import http.client
import json
import os
import platform
import resource
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from notifyflow import NotifyFlow, Settings
from notifyflow.core.accounts.keys import KeyScope
from tests.bench.scene import percentile, rows, sent_after, stand_ins

HALF_OPEN, PAGES, EVERY_S, LONGEST_S = 5_000, 40, 0.25, 1.0
KEPT_REQUESTS = 200
_FIGURES = Path(__file__).parents[2] / "docs" / "figures"
_PROGRAM = Path(sys.executable).with_name("notifyflow")
BEGUN = {
    "headers": b"GET /livez HTTP/1.1\r\nHost: notify.example\r\nX-Slow: ",
    "bodies": b"POST /v2/enqueue HTTP/1.1\r\nHost: notify.example\r\nContent-Length: 100\r\n\r\n{",
}
_TEXT = """.. Made by scripts/bench; do not edit.

.. list-table::
   :header-rows: 1
   :widths: 58 14 14 14

   * - From the incident's commit until the provider has answered, {pages} pages
     - p50
     - p95
     - longest
   * - nobody else is connected
     - {quiet.p50_ms:.0f} ms
     - {quiet.p95_ms:.0f} ms
     - {quiet.longest_ms:.0f} ms
   * - {half_open:,} clients hold half the headers of a request each, and come again when they are ended
     - {headers.p50_ms:.0f} ms
     - {headers.p95_ms:.0f} ms
     - {headers.longest_ms:.0f} ms
   * - {half_open:,} clients hold half a body each, and come again when they are ended
     - {bodies.p50_ms:.0f} ms
     - {bodies.p95_ms:.0f} ms
     - {bodies.longest_ms:.0f} ms

Meanwhile ``notifyflow up`` held at most {held:,} sockets, wrote {log_bytes:,} bytes of log, and took {headers.accepted} and
{bodies.accepted} of {pages} incidents that were posted from the address of the flood; {again} of them were posted again, since
their connection was ended before their headers were read. Of requests over one kept connection the median took {kept_ms:.1f} ms.

Measured in one process on SQLite, on two cores ({machine}); stand-ins and flood on the same ones.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """How long pages took, how many incidents were accepted, and how many of them were posted more than once."""

    accepted: int
    again: int
    p50_ms: float
    p95_ms: float
    longest_ms: float


def flood(port: int, count: int, half: str) -> None:
    """Hold half-open connections until standard input ends; print a line once all of them are open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held: dict[int, socket.socket] = {}
    poll = select.epoll()
    poll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
    is_reported = False
    while True:
        for _ in range(min(200, count - len(held))):
            with suppress(OSError):
                connection = socket.socket()
                connection.setblocking(False)
                with suppress(BlockingIOError):
                    connection.connect(("127.0.0.1", port))
                held[connection.fileno()] = connection
                poll.register(connection.fileno(), select.EPOLLOUT | select.EPOLLONESHOT)
        if len(held) >= count and not is_reported:
            is_reported = True
            sys.stdout.write("held\n")
            sys.stdout.flush()
        for number, event in poll.poll(0.05):
            if number == sys.stdin.fileno():
                return
            if event & (select.EPOLLHUP | select.EPOLLERR | select.EPOLLIN):
                poll.unregister(number)
                held.pop(number).close()
                continue
            with suppress(OSError):
                held[number].send(BEGUN[half])
            poll.modify(number, select.EPOLLIN | select.EPOLLHUP)


@contextmanager
def _flooded(port: int, half: str) -> Iterator[None]:
    command = [sys.executable, "-c", f"from tests.bench.halfopen import flood; flood({port}, {HALF_OPEN}, {half!r})"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.stdin.close()


@contextmanager
def _up(variables: dict[str, str], log: Path) -> Iterator[tuple[int, int]]:
    """Run ``notifyflow up``; yield its port and process id."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFYFLOW_")}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(_PROGRAM), "up", "--port", "0"], env=kept | variables, stdout=subprocess.PIPE, stderr=file, text=True
        )
    with process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline().strip().rpartition(":")[2]), process.pid
        finally:
            process.terminate()


def _post(port: int, key: str, name: str) -> tuple[bool, int]:
    """Post one incident, repeating it until it gets a response: a flood may displace a connection before its request.

    Returns:
        Whether it was accepted, and how often it was repeated.
    """
    document = {"key": name, "title": "down", "severity": "CRITICAL", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Idempotency-Key": name}
    for repetition in range(20):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/v1/incidents", json.dumps(document), headers)
            return connection.getresponse().status in (200, 201), repetition
        connection.close()
    return False, 20


def _page(flow: NotifyFlow, port: int, pid: int, key: str, run: str) -> tuple[Waits, int]:
    names, accepted, again, held = [], 0, 0, 0
    for number in range(PAGES):
        names.append(f"{run}-{number}")
        is_accepted, repetitions = _post(port, key, names[-1])
        accepted += is_accepted
        again += repetitions > 0
        held = max(held, _connections(pid))
        time.sleep(EVERY_S)
    until = time.monotonic() + 60
    spans: Sequence[timedelta] = ()
    while time.monotonic() < until and len(spans) < accepted:
        spans = [span for row in rows(flow, names) if (span := sent_after(row)) is not None]
        time.sleep(0.1)
    return Waits(
        accepted=accepted,
        again=again,
        p50_ms=percentile(spans, 0.5) * 1000,
        p95_ms=percentile(spans, 0.95) * 1000,
        longest_ms=max(spans).total_seconds() * 1000 if len(spans) == accepted else float("inf"),
    ), held


def _connections(pid: int) -> int:
    found = 0
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found += os.readlink(path).startswith("socket:")
    return found


def _kept(port: int) -> float:
    """Return the median time of a request over a kept connection, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    spans = []
    for _ in range(KEPT_REQUESTS):
        before = time.perf_counter()
        connection.request("GET", "/livez")
        connection.getresponse().read()
        spans.append(time.perf_counter() - before)
    connection.close()
    return sorted(spans)[len(spans) // 2] * 1000


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, stand_ins() as settings:
        variables = settings | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{folder}/notifyflow.db",
            "NOTIFYFLOW_DRAIN_S": "0",
            "NOTIFYFLOW_BUNDLING": "false",
        }
        log = Path(folder) / "log"
        with NotifyFlow(Settings.from_variables(variables)) as flow:
            key = flow.access().create("sender", [KeyScope.INGEST], valid_for=None)[1]
            flow.find("nothing")
            with _up(variables, log) as (port, pid):
                kept_ms = _kept(port)
                quiet, _ = _page(flow, port, pid, key, "quiet")
                before = log.stat().st_size
                with _flooded(port, "headers"):
                    headers, held_by_headers = _page(flow, port, pid, key, "headers")
                with _flooded(port, "bodies"):
                    bodies, held_by_bodies = _page(flow, port, pid, key, "bodies")
                log_bytes = log.stat().st_size - before
    held = max(held_by_headers, held_by_bodies)
    figures = {
        "quiet": asdict(quiet),
        "headers": asdict(headers),
        "bodies": asdict(bodies),
        "held": held,
        "log_bytes": log_bytes,
        "kept_ms": kept_ms,
    }
    text = _TEXT.format(
        pages=PAGES,
        half_open=HALF_OPEN,
        quiet=quiet,
        headers=headers,
        bodies=bodies,
        held=held,
        again=headers.again + bodies.again,
        log_bytes=log_bytes,
        kept_ms=kept_ms,
        machine=f"{platform.machine()}, Python {platform.python_version()}",
    )
    _FIGURES.mkdir(exist_ok=True)
    (_FIGURES / "halfopen.rst").write_text(text, encoding="utf-8")
    (_FIGURES / "halfopen.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(text)
    floods = (headers, bodies)
    return 0 if all(each.longest_ms <= LONGEST_S * 1000 and each.accepted == PAGES for each in floods) else 1
