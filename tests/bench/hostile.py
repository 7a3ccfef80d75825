"""Sends a megabyte of everything to every endpoint that takes a body, and writes docs/figures/hostile.rst and hostile.json.

Each body is sent over a connection to a server in this process; what it costs is the processor time of the process and the
memory that it had at most beside what it had before. Bodies that open more incidents than one transaction takes are read by the
same routes, and what they ask is counted instead of stored: a stored incident is no attack, and its price is measured by itself.
"""

import gc
import json
import platform
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from fastapi import FastAPI

from notifyflow import NotifyFlow, Settings
from notifyflow.app import memory
from notifyflow.cli.frame import serving
from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.delivery.model import Incident, Severity
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.service.delivery.use_cases import UseCases
from tests.bench import bodies
from tests.bench.bodies import Endpoint
from tests.builders import ALL_SCOPES
from tests.routing import integrations_of
from tests.unit.web.conftest import API_KEY, Backend, application_of

MOST_CPU_S, MOST_BYTES, LONGEST_RESPONSE = 0.5, 100_000_000, 64 * 1024
TRIES, STORED = 2, 2_000
_FIGURES = Path(__file__).parents[2] / "docs" / "figures"
_TEXT = """.. Made by scripts/bench; do not edit.

.. list-table::
   :header-rows: 1
   :widths: 32 8 30 10 10 10

   * - Endpoint
     - bodies
     - the dearest one
     - processor time
     - most memory
     - longest answer
{rows}

Each body has {size:,} bytes, or as many as the endpoint takes; of up to {tries} tries the cheapest counts. Storing an incident
of a group costs {stored_ms:.2f} ms more, {stored:,} of them together.

Measured with client, server and SQLite in one process on two cores ({machine}).
"""
_ROW = """   * - ``{path}``
     - {bodies}
     - {dearest}
     - {cpu_ms:.0f} ms
     - {megabytes:.0f} MB
     - {answer_kb:.1f} KB"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one body."""

    path: str
    body: str
    bytes_sent: int
    status: int
    cpu_s: float
    memory_bytes: int
    response_bytes: int

    @property
    def is_kept(self) -> bool:
        """Whether the cost is within the limits for a body."""
        return self.cpu_s <= MOST_CPU_S and self.memory_bytes <= MOST_BYTES and self.response_bytes <= LONGEST_RESPONSE


class SilentBell:
    """A bell that does not ring, so that nothing is delivered during the measurement."""

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        del channel, severity, rings


@contextmanager
def _listening(application: FastAPI) -> Iterator[int]:
    with serving.listen("127.0.0.1", 0) as socket_, serving.served(application, socket_):
        yield socket_.getsockname()[1]


@contextmanager
def _flow() -> Iterator[NotifyFlow]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        variables = {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{folder}/notifyflow.db",
            "NOTIFYFLOW_API_REQUESTS_A_MINUTE": "1000000",
        }
        variables |= bodies.PROVIDERS
        with NotifyFlow(Settings.from_variables(variables), bell=SilentBell()) as flow:
            yield flow


def _post(port: int, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, int]:
    """Post a body; return the status and the length of the response's body."""
    all_headers = {"host": "notify.example", "connection": "close", "content-length": str(len(body)), **headers}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in all_headers.items()) + "\r\n"
    response = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=300) as connection:
        with suppress(ConnectionError):  # it may be refused before all of it was sent
            connection.sendall(head.encode("latin-1") + body)
        with suppress(ConnectionError):
            while part := connection.recv(65_536):
                response += part
    head, _, content = bytes(response).partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]) if head else 0, len(content)


def _memory(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{name}:"))


def _cost(port: int, endpoint: Endpoint, name: str, body: bytes, key: str) -> Cost:
    path, headers = endpoint.path, {**endpoint.headers, "authorization": f"Bearer {key}"}
    body = body.replace(bodies.KEY.encode(), key.encode())
    found = []
    for _ in range(TRIES):
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now on (proc(5))
        memory, before = _memory("VmRSS"), time.process_time()
        status, response = _post(port, path, body, headers)
        cpu_s = time.process_time() - before
        found.append((cpu_s, max(0, _memory("VmHWM") - memory), status, response))
        if cpu_s < MOST_CPU_S / 3 and found[-1][1] < MOST_BYTES / 2:
            break
    return Cost(
        path=path,
        body=name,
        bytes_sent=len(body),
        status=found[0][2],
        cpu_s=min(cpu_s for cpu_s, *_ in found),
        memory_bytes=min(memory for _, memory, *_ in found),
        response_bytes=max(response for *_, response in found),
    )


def measure() -> list[Cost]:
    """Send every body to every endpoint."""
    costs = []
    with ExitStack() as stack:
        flow = stack.enter_context(_flow())
        key = flow.access().create("attacker", ALL_SCOPES, valid_for=None)[1]
        whole = stack.enter_context(_listening(flow.asgi()))
        reading = stack.enter_context(_listening(application_of(Backend())))
        memory.freeze()
        for endpoint in bodies.ENDPOINTS:
            for name, make in endpoint.bodies.items():
                is_read_only = name in endpoint.stored
                cost = _cost(reading if is_read_only else whole, endpoint, name, make(), API_KEY if is_read_only else key)
                sys.stdout.write(
                    f"{'' if cost.is_kept else 'TOO DEAR: '}{cost.path} {name}: {cost.status}, {cost.cpu_s * 1000:.0f} ms, "
                    f"{cost.memory_bytes / 1e6:.0f} MB, {cost.response_bytes:,} bytes\n"
                )
                sys.stdout.flush()
                costs.append(cost)
    return costs


def measure_storing() -> float:
    """Return the processor time of an incident with a large group, in seconds."""
    with _flow() as flow:
        caller = ApiKey(id="1", name="sender", scopes=frozenset((KeyScope.INGEST,)), digest="", created_at=flow.access().now())
        use_cases = UseCases(flow._deps, lambda follow_ups: None, prepare=flow._database.prepare)
        handle = integrations_of(flow._store, use_cases, None).handle
        groups = [
            [
                InboundRequest(action=Action.NOTIFY, incident=Incident(key=f"{turn}/{number}", title="down"), labels={})
                for number in range(STORED)
            ]
            for turn in range(TRIES)
        ]
        spans = []
        for group in groups:
            before = time.process_time()
            handle(group, caller, "alertmanager")
            spans.append(time.process_time() - before)
    return min(spans) / STORED


def _row(path: str, costs: Sequence[Cost]) -> str:
    dearest = max(costs, key=lambda cost: cost.cpu_s)
    return _ROW.format(
        path=path,
        bodies=len(costs),
        dearest=dearest.body,
        cpu_ms=dearest.cpu_s * 1000,
        megabytes=max(cost.memory_bytes for cost in costs) / 1e6,
        answer_kb=max(cost.response_bytes for cost in costs) / 1024,
    )


def write(costs: Sequence[Cost], stored_s: float) -> None:
    """Write the figures."""
    paths = list(dict.fromkeys(cost.path for cost in costs))
    text = _TEXT.format(
        rows="\n".join(_row(path, [cost for cost in costs if cost.path == path]) for path in paths),
        size=bodies.SIZE,
        tries=TRIES,
        stored=STORED,
        stored_ms=stored_s * 1000,
        machine=f"{platform.machine()}, Python {platform.python_version()}",
    )
    _FIGURES.mkdir(exist_ok=True)
    (_FIGURES / "hostile.rst").write_text(text, encoding="utf-8")
    figures = {"bodies": [asdict(cost) for cost in costs], "storing_an_incident_s": stored_s}
    (_FIGURES / "hostile.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(text)


def main() -> int:
    costs = measure()
    write(costs, measure_storing())
    return 0 if all(cost.is_kept for cost in costs) else 1
