"""Cells behind one web service: each request finds its cell, and what is wrong with one is no matter to the others."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from psycopg import sql

from notifyflow import IncidentState, NotificationState, NotifyFlow, Settings
from notifyflow.core.accounts.users import Role
from notifyflow.sandbox.system import Sandbox
from notifyflow.storage.store import Store
from tests.builders import ALL_SCOPES
from tests.dashboard import PASSWORD
from tests.servers.ports import reserve_port
from tests.servers.postgres import Postgres, postgres
from tests.servers.redis import Redis
from tests.waiting import wait_until

PROGRAMS = Path(sys.executable).parent
EXAMPLES = Path(__file__).parents[2] / "examples"
WORKER = ("dramatiq", "notifyflow.worker", "--processes", "1", "--threads", "2")
PATIENCE_S = 60
MANY = 100
"""More requests than the forty threads of an event loop handle before half of them have waited for ten seconds."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell as its senders see it, and a flow with its settings."""

    url: str
    key: str
    variables: Mapping[str, str]
    flow: NotifyFlow

    def send(self, method: str, path: str, *, key: str | None = None, **values: Any) -> requests.Response:
        headers = {"authorization": f"Bearer {key or self.key}"}
        return requests.request(method, self.url + path, headers=headers, timeout=PATIENCE_S, **values)

    def page(self, name: str, **address: str) -> int:
        ada = {"id": "ada", **(address or {"email": "ada@example.com"})}
        return self.send("POST", "/v1/incidents", json={"key": name, "title": name, "recipients": [ada]}).status_code

    def await_service(self) -> None:
        wait_until(lambda: self.page("again and again") in (200, 201), within_s=PATIENCE_S)


class Service:
    """The folder of the cells, and the process that serves them."""

    def __init__(self, folder: Path, redis: Redis, stack: ExitStack) -> None:
        self.folder = folder
        self._redis = redis
        self._stack = stack
        self._port = reserve_port()
        self._sandbox = stack.enter_context(Sandbox())
        self.inbox = self._sandbox.inbox

    def add(self, number: int, name: str, database_url: str) -> Cell:
        """Make the schema and the file of a cell, and an API key there."""
        with closing(Store(database_url)) as store:
            store.upgrade()
        variables = {
            **self._sandbox.settings(),
            "NOTIFYFLOW_DATABASE_URL": database_url,
            "NOTIFYFLOW_BROKER_URL": self._redis.url.removesuffix("0") + str(number),
            "NOTIFYFLOW_PUBLIC_URL": f"http://127.0.0.1:{self._port}/{name}",
            "NOTIFYFLOW_ENVIRONMENT": name,
        }
        (self.folder / f"{name}.env").write_text("".join(f"{each}='{value}'\n" for each, value in variables.items()))
        flow = self._stack.enter_context(NotifyFlow(Settings.from_variables(variables)))
        _, key = flow.access().create("sender", ALL_SCOPES, valid_for=None)
        return Cell(url=variables["NOTIFYFLOW_PUBLIC_URL"], key=key, variables=variables, flow=flow)

    def serve(self) -> None:
        """Serve all cells until the test ends."""
        arguments = ("uvicorn", "cells:app", "--app-dir", str(EXAMPLES), "--port", str(self._port))
        self._stack.enter_context(self.run(*arguments, until="Uvicorn running", CELLS=str(self.folder)))

    @contextmanager
    def run(self, program: str, *arguments: str, until: str = "", **variables: str) -> Iterator[Path]:
        """Run a program, once its log has a text, and end it in good order; yield the log."""
        log = self.folder / f"{program}.log"
        with log.open("w") as output:
            environment = {"PATH": os.environ["PATH"], **variables}
            command = [PROGRAMS / program, *arguments]
            process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=output, stderr=output)
        try:
            wait_until(lambda: until in log.read_text() or process.poll() is not None, within_s=PATIENCE_S)
            yield log
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) in (0, -signal.SIGTERM), log.read_text()  # uvicorn raises it again at its end
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def service(tmp_path: Path, redis: Redis) -> Iterator[Service]:
    with ExitStack() as stack:
        yield Service(tmp_path, redis, stack)


@pytest.mark.slow
def test_each_request_finds_its_cell(service: Service, postgres_server: Postgres) -> None:
    """The cells are two schemas of one database."""
    database = postgres_server.create_database()
    for name in ("north", "south"):
        postgres_server.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)), database)
    url = postgres_server.url(database) + "?options=-csearch_path%3D"
    north, south = service.add(0, "north", url + "north"), service.add(1, "south", url + "south")
    service.serve()
    wait_until(lambda: all(each.send("GET", "/livez").ok for each in (north, south)), within_s=PATIENCE_S)
    assert requests.get(north.url.replace("north", "west"), timeout=PATIENCE_S).status_code == 404
    _assert_receipts_and_links_come_home(service, north, south)
    _assert_keys_open_their_own_cell(north, south)
    _assert_a_login_is_one_of_its_own_cell(north, south)


def _assert_receipts_and_links_come_home(service: Service, north: Cell, south: Cell) -> None:
    with service.run(*WORKER, **north.variables):
        assert north.page("db-1", phone="+15005550011") == 201
        text = service.inbox.wait_for(lambda message: message.channel == "sms").content.text
        (link,) = re.findall(rf"{north.url}/a/\S+", text)
        wait_until(lambda: [each.state for each in _notifications(north)] == [NotificationState.DELIVERED])
        assert requests.get(link, timeout=PATIENCE_S).ok
        assert requests.get(link.replace("north", "south"), timeout=PATIENCE_S).status_code == 404
        assert requests.post(link, timeout=PATIENCE_S).url == link
    assert north.flow.status("db-1").state is IncidentState.ACKNOWLEDGED
    assert south.flow.find("db-1") is None


def _notifications(cell: Cell) -> list[Any]:
    return [row for each in cell.flow.status("db-1").escalations for row in each.notifications]


def _assert_keys_open_their_own_cell(north: Cell, south: Cell) -> None:
    assert [each["key"] for each in north.send("GET", "/v1/incidents").json()["incidents"]] == ["db-1"]
    assert south.send("GET", "/v1/incidents").json()["incidents"] == []
    assert south.send("GET", "/v1/incidents", key=north.key).status_code == 401
    event = {"event_action": "trigger", "payload": {"summary": "down", "severity": "error", "source": "x"}, "dedup_key": "p-1"}
    for cell, routing_key, status in ((south, north.key, 401), (south, south.key, 202)):
        assert cell.send("POST", "/v2/enqueue", json={"routing_key": routing_key, **event}).status_code == status
    assert south.flow.find("pagerduty/p-1") is not None
    assert north.flow.find("pagerduty/p-1") is None


def _assert_a_login_is_one_of_its_own_cell(north: Cell, south: Cell) -> None:
    for each in (north, south):
        each.flow.users().add("grace", Role.ADMIN, password=PASSWORD)
    browser = requests.Session()
    browser.headers["origin"] = north.url.removesuffix("/north")
    (token,) = set(re.findall(r'name="csrf" value="(\w+)"', browser.get(f"{north.url}/login", timeout=PATIENCE_S).text))
    form = {"csrf": token, "name": "grace", "password": PASSWORD}
    assert browser.post(f"{north.url}/login", data=form, timeout=PATIENCE_S).ok
    assert browser.get(f"{north.url}/messages", timeout=PATIENCE_S).url == f"{north.url}/messages"
    assert browser.get(f"{south.url}/messages", timeout=PATIENCE_S).url == f"{south.url}/login?next=messages"


@pytest.mark.slow
def test_a_cell_whose_database_is_away_or_hangs_is_no_matter_to_another(service: Service, postgres_server: Postgres) -> None:
    """The cells are databases of two servers, one of which fails."""
    with postgres() as failing:
        north = service.add(0, "north", failing.url(failing.create_database()))
        south = service.add(1, "south", postgres_server.url(postgres_server.create_database()))
        (service.folder / "west.env").write_text("NOTIFYFLOW_LOG_LEVEL=loud\n")
        failing.stop()
        service.serve()
        south.await_service()
        assert north.page("at the start") == 503
        assert requests.get(south.url.replace("south", "west"), timeout=PATIENCE_S).status_code == 404
        assert requests.get(south.url.replace("south", "west/livez"), timeout=PATIENCE_S).status_code == 503
        failing.start()
        north.await_service()
        with ThreadPoolExecutor(MANY) as pool:
            with failing.hanging():
                asked = [pool.submit(north.send, "GET", "/v1/incidents") for _ in range(MANY)]
                assert {south.page(f"hanging-{number}") for number in range(30)} == {201}
                assert sum(each.done() for each in asked) < MANY / 2
            assert {each.result().status_code for each in asked} <= {200, 503}
        failing.stop(signal.SIGQUIT)
        assert (north.page("away"), south.page("away")) == (503, 201)
        failing.start()
        north.await_service()
        assert "The cell west cannot start: " in (service.folder / "uvicorn.log").read_text()
