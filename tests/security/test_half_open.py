"""Connections that never finish a request: they are closed, their number is limited, and pages still leave."""

import json
import os
import resource
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.cli.frame.timed_http import HttpLimits
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.model import NotificationState
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from tests.security.conftest import Target, read_all, targeted
from tests.waiting import wait_until

PROGRAM = Path(sys.executable).with_name("notifyflow")
BEGUN = b"GET /livez HTTP/1.1\r\nHost: notify.example\r\n"
POSTED = b"POST {path} HTTP/1.1\r\nHost: notify.example\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Target]:
    with targeted(tmp_path, limits=HttpLimits(headers_s=0.3, body_s=-1.5, response_s=0.3, connections=20, chunks=50)) as target:
        yield target


def begun(path: str) -> bytes:
    return POSTED.replace(b"{path}", path.encode())


def test_headers_that_do_not_come_get_a_408(hasty: Target):
    with hasty.connect() as connection:
        connection.sendall(BEGUN)
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


def test_headers_that_drip_get_a_408(hasty: Target):
    response = b""
    with hasty.connect() as connection, suppress(ConnectionError):
        connection.settimeout(0.02)
        while not response:
            connection.sendall(b"G")
            with suppress(TimeoutError):
                response = connection.recv(100)
    assert response.startswith(b"HTTP/1.1 408 ")


def test_a_silent_connection_is_closed_without_a_response(hasty: Target):
    with hasty.connect() as connection:
        assert read_all(connection) == b""


def test_a_second_request_has_its_own_time(hasty: Target):
    with hasty.connect() as connection:
        connection.sendall(BEGUN + b"\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        connection.sendall(BEGUN)
        assert b"HTTP/1.1 408 " in read_all(connection)


@pytest.mark.parametrize("path", ["/v2/enqueue", "/callbacks/twilio/sms/a", "/callbacks/sns"])
def test_a_body_that_does_not_come_gets_a_408(hasty: Target, path: str):
    with hasty.connect() as connection:
        connection.sendall(begun(path) + b"{")
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "path", ["/v1/incidents", "/v1/alertmanager", "/v1/cloudevents", "/v1/incidents/a/acknowledge", "/nothing", "/a/x"]
)
def test_a_body_that_nobody_reads_keeps_no_connection_open(hasty: Target, path: str):
    """A request that is refused before its body is read may send that body for ever."""
    with hasty.connect() as connection, suppress(ConnectionError):
        connection.sendall(begun(path) + b"{")
        assert read_all(connection)[9:12] in (b"401", b"404", b"408")


def test_a_body_in_very_many_pieces_is_refused(hasty: Target):
    head = b"POST /v2/enqueue HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert hasty.say(head + b"1\r\nx\r\n" * 51).startswith(b"HTTP/1.1 400 ")


def test_a_response_that_is_not_read_keeps_no_connection_open(hasty: Target):
    with hasty.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(ConnectionError):
            for _ in range(1_000):
                connection.sendall(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: not hasty.server.server_state.connections)


def test_an_idle_connection_is_closed_in_favour_of_a_request(tmp_path: Path):
    with targeted(tmp_path, limits=HttpLimits(connections=20)) as target, ExitStack() as stack:
        idle = [stack.enter_context(target.connect()) for _ in range(100)]
        for connection in idle:
            with suppress(ConnectionError):
                connection.sendall(BEGUN)
        assert target.request("GET", "/livez")[0] == 200
        assert len(target.server.server_state.connections) <= 20
        with suppress(ConnectionError):
            assert idle[0].recv(1) == b"", "whoever has waited longest goes first"


@pytest.mark.parametrize("path", ["/v2/enqueue", "/callbacks/twilio/sms/a", "/login", "/nothing"])
def test_a_body_that_does_not_come_gives_way_to_a_request(tmp_path: Path, path: str):
    with targeted(tmp_path, limits=HttpLimits(connections=20)) as target, ExitStack() as stack:
        waiting = [stack.enter_context(target.connect()) for _ in range(100)]
        for connection in waiting:
            with suppress(ConnectionError):
                connection.sendall(begun(path) + b"{")
        assert target.request("GET", "/livez")[0] == 200
        assert len(target.server.server_state.connections) <= 20


def test_a_response_that_is_not_read_gives_way_to_a_request(tmp_path: Path):
    with targeted(tmp_path, limits=HttpLimits(connections=8)) as target, ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(target.connect())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.setblocking(False)
            with suppress(OSError):
                for _ in range(1_000):
                    connection.send(b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: target.say(BEGUN + b"Connection: close\r\n\r\n").startswith(b"HTTP/1.1 200 "))


def test_connections_with_a_running_request_are_not_closed(tmp_path: Path):
    with targeted(tmp_path, limits=HttpLimits(connections=4)) as target, ExitStack() as stack:
        event = json.dumps({"routing_key": target.key, "event_action": "trigger", "payload": {"summary": "down"}}).encode()
        request = b"POST /v2/enqueue HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(event), event)
        lock = stack.enter_context(closing(sqlite3.connect(tmp_path / "target.db", isolation_level=None)))
        lock.execute("BEGIN IMMEDIATE")
        running = [stack.enter_context(target.connect()) for _ in range(2)]
        for connection in running:
            connection.sendall(request)
        wait_until(lambda: len(target.server.server_state.tasks) == 2)
        assert target.say(BEGUN + b"\r\n")[:13] in (b"", b"HTTP/1.1 503 "), "the latter if its request was there at once"
        lock.execute("ROLLBACK")
        assert {connection.recv(12) for connection in running} == {b"HTTP/1.1 202"}


def test_every_connection_gets_its_response_at_once(target: Target):
    with target.connect() as connection:
        connection.sendall(BEGUN + b"\r\n")
        connection.recv(100)
        (served,) = target.server.server_state.connections
        assert served.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_keys_are_checked_before_a_body_is_read(target: Target):
    for path in ("/v1/incidents", "/v1/alertmanager", "/v1/cloudevents", "/v1/incidents/a/resolve", "/v1/incidents/a/page-again"):
        with target.connect() as connection:
            connection.sendall(begun(path))
            assert connection.recv(100).startswith(b"HTTP/1.1 401 "), "not one byte of the body was sent"


def test_pages_leave_while_more_connections_are_open_than_there_are_files(tmp_path: Path):
    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))

    with Sandbox() as sandbox, ExitStack() as stack:
        variables = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
            "NOTIFYFLOW_DRAIN_S": "0",
            "NOTIFYFLOW_BUNDLING": "false",
        }
        with NotifyFlow(Settings.from_variables(variables)) as flow:
            flow.find("nothing")
            _, key = flow.access().create("sender", [KeyScope.INGEST], valid_for=None)
            log = stack.enter_context((tmp_path / "log").open("wb"))
            up = subprocess.Popen(
                [PROGRAM, "up", "--port", "0"],
                env=variables | {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=few_files,
            )
            stack.callback(up.wait, 30)
            stack.callback(up.terminate)
            assert up.stdout is not None
            url = stack.enter_context(closing(up.stdout)).readline().split()[-1]
            port = int(url.rpartition(":")[2])
            for _ in range(600):
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
                with suppress(ConnectionError):
                    connection.sendall(BEGUN)
            for number in range(5):
                document = {"key": f"k{number}", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
                request = urllib.request.Request(
                    f"{url}/v1/incidents",
                    json.dumps(document).encode(),
                    {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
                )
                with urllib.request.urlopen(request, timeout=60) as response:
                    assert response.status == 201

            def states() -> list[NotificationState]:
                return [flow.status(f"k{number}").escalations[0].notifications[0].state for number in range(5)]

            wait_until(lambda: states() == [NotificationState.SENT] * 5)
    assert (tmp_path / "log").stat().st_size < 20_000
