"""More connections than are held, from one address or many: who has a key, or another address, does not notice."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from notifyflow.cli.frame.timed_http import HttpLimits
from tests.security.conftest import Target, targeted
from tests.waiting import wait_until

HEADERS = b"GET /livez HTTP/1.1\r\nHost: notify.example\r\nX-Slow: "
BODY = b"POST /v2/enqueue HTTP/1.1\r\nHost: notify.example\r\nContent-Length: 100\r\n\r\n{"
STRANGER, ELSEWHERE = "127.0.0.2", "127.0.0.3"
KINDS = pytest.mark.parametrize("begun", [HEADERS, BODY], ids=["headers", "bodies"])


def connect(target: Target, address: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", target.port), timeout=60, source_address=(address, 0))


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        return bool(connection.recv(1))
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


@contextmanager
def flooded(target: Target, begun: bytes, count: int, address: str = STRANGER) -> Iterator[list[socket.socket]]:
    """Begin so many requests that do not come, and begin another one for each that the server ends, until the block ends."""
    is_over, is_full = Event(), Event()
    held: list[socket.socket] = []

    def flood() -> None:
        while not is_over.wait(0.001 if is_full.is_set() else 0):
            if len(held) == count:
                is_full.set()
                ended = next((number for number, each in enumerate(held) if not is_open(each)), None)
                if ended is None:
                    continue
                held.pop(ended).close()
            connection = connect(target, address)
            with suppress(ConnectionError):
                connection.sendall(begun)
            held.append(connection)

    thread = Thread(target=flood)
    thread.start()
    try:
        assert is_full.wait(60)
        yield held
    finally:
        is_over.set()
        thread.join()
        for connection in held:
            connection.close()


def alert(target: Target, number: int) -> int:
    body = json.dumps({"key": f"k{number}", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}).encode()
    return target.request("POST", "/v1/incidents", body, authorization=f"Bearer {target.key}", content_type="application/json")[0]


@KINDS
def test_all_alerts_links_and_receipts_are_taken_while_strangers_hold_what_they_can(tmp_path: Path, begun: bytes):
    with targeted(tmp_path, limits=HttpLimits(connections=100)) as target, flooded(target, begun, 300):
        for number in range(15):
            assert alert(target, number) == 201
            assert target.request("GET", "/a/x")[0] == 404
            assert target.request("POST", "/callbacks/twilio/sms/a", b"a=b")[0] == 403


@KINDS
def test_one_address_displaces_no_other(tmp_path: Path, begun: bytes):
    with targeted(tmp_path, limits=HttpLimits(connections=40)) as target, ExitStack() as stack:
        others = [stack.enter_context(connect(target, ELSEWHERE)) for _ in range(10)]
        for connection in others:
            connection.sendall(begun)
        wait_until(lambda: len(target.server.server_state.connections) == 10)
        with flooded(target, begun, 100):
            assert all(map(is_open, others))
            wait_until(lambda: len(target.server.server_state.connections) <= 10 + 20)


def test_many_addresses_displace_first_who_has_most(tmp_path: Path):
    with targeted(tmp_path, limits=HttpLimits(connections=40)) as target, ExitStack() as stack:
        one = stack.enter_context(connect(target, ELSEWHERE))
        one.sendall(HEADERS)
        wait_until(lambda: len(target.server.server_state.connections) == 1)
        for number in range(2, 12):
            for _ in range(10):
                stack.enter_context(connect(target, f"127.0.1.{number}"))
        assert target.request("GET", "/livez")[0] == 200
        assert is_open(one)


@KINDS
def test_a_connection_with_a_known_key_does_not_count_by_its_address(tmp_path: Path, begun: bytes):
    body = json.dumps({"key": "slow", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}).encode()
    with targeted(tmp_path, limits=HttpLimits(connections=20)) as target, ExitStack() as stack:
        head = (
            f"POST /v1/incidents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {target.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        slow = stack.enter_context(connect(target, STRANGER))
        slow.sendall(head.encode() + body[:10])
        wait_until(lambda: knows(target) == 1)
        with flooded(target, begun, 100):
            slow.sendall(body[10:])
            slow.settimeout(60)
            assert slow.recv(12) == b"HTTP/1.1 201"


def test_the_holder_of_a_key_displaces_nobody_but_themselves(tmp_path: Path):
    with targeted(tmp_path, limits=HttpLimits(connections=40)) as target, ExitStack() as stack:
        _, other = target.flow.access().create("other", ["ingest"], valid_for=None)
        head = "POST /v1/incidents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 100\r\n\r\n"
        victim = stack.enter_context(connect(target, ELSEWHERE))
        victim.sendall(head.format(other).encode())
        wait_until(lambda: knows(target) == 1)
        with flooded(target, head.format(target.key).encode(), 60, ELSEWHERE):
            wait_until(lambda: knows(target) >= 5)
            assert is_open(victim)
            assert alert(target, 1) == 201


def knows(target: Target) -> int:
    """Return how many connections count by a key or a login."""
    connections = list(target.server.server_state.connections)
    return sum(each._pool is not None and each._pool is each._connections.known for each in connections)


class TestBehindAProxy:
    """The proxy is 127.0.0.1; the clients that it names are in 10.0.0.0/8."""

    @pytest.fixture
    def proxied(self, tmp_path: Path) -> Iterator[Target]:
        with targeted(tmp_path, limits=HttpLimits(connections=40), TRUSTED_PROXIES="127.0.0.1") as target:
            yield target

    def begin(self, target: Target, client: str) -> socket.socket:
        connection = connect(target, "127.0.0.1")
        connection.sendall(BODY.replace(b"Content-", f"X-Forwarded-For: {client}\r\nContent-".encode()))
        return connection

    def test_a_client_that_the_proxy_names_has_a_limit_and_the_proxy_has_none(self, proxied: Target):
        with ExitStack() as stack:
            quiet = [stack.enter_context(connect(proxied, "127.0.0.1")) for _ in range(25)]
            other = stack.enter_context(self.begin(proxied, "10.0.0.1"))
            for _ in range(60):
                stack.enter_context(self.begin(proxied, "10.0.0.2"))
            assert proxied.request("GET", "/livez", x_forwarded_for="10.0.0.3")[0] == 200
            assert is_open(other)
            assert all(map(is_open, quiet))

    def test_a_header_from_elsewhere_names_nobody(self, proxied: Target):
        with ExitStack() as stack:
            other = stack.enter_context(self.begin(proxied, "10.0.0.1"))
            for number in range(60):
                connection = stack.enter_context(connect(proxied, STRANGER))
                connection.sendall(BODY.replace(b"Content-", f"X-Forwarded-For: 10.0.1.{number}\r\nContent-".encode()))
            assert proxied.request("GET", "/livez", x_forwarded_for="10.0.0.3")[0] == 200
            assert is_open(other)
            wait_until(lambda: len(proxied.server.server_state.connections) <= 20 + 2)
