"""The real worker and web service, started while their database is away, or with one that they may not use."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
import requests

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.sandbox.system import Sandbox
from notifyflow.storage.store import Store
from tests.acceptance.commands import CommandLine
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.waiting import wait_until

PROGRAMS = Path(sys.executable).parent
WORKER = ("dramatiq", "notifyflow.worker", "--processes", "1", "--threads", "1", "--worker-fork-timeout", "1000")
WEB = ("notifyflow", "web", "--port", "0")
DEADLINE_S = 60


@pytest.fixture
def variables(postgres_server: Postgres, redis: Redis) -> Iterator[dict[str, str]]:
    name = postgres_server.create_database()
    store = Store(postgres_server.url(name))
    store.upgrade()
    store.close()
    yield {
        "NOTIFYFLOW_DATABASE_URL": postgres_server.url(name),
        "NOTIFYFLOW_BROKER_URL": redis.url,
        "NOTIFYFLOW_SECRET_KEY": "x" * 32,
    }
    postgres_server.start()
    postgres_server.drop_database(name)


@contextmanager
def started(command: tuple[str, ...], variables: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFYFLOW_")}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [PROGRAMS / command[0], *command[1:]],
            env={**kept, **variables, "PYTHONUNBUFFERED": "1"},
            cwd=log.parent,
            stdout=file,
            stderr=file,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stop(process: "subprocess.Popen[bytes]", log: Path) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_S) == 0, log.read_text()


@pytest.mark.slow
def test_both_wait_for_a_database_that_is_away_and_work_when_it_is_back(
    postgres_server: Postgres, variables: dict[str, str], tmp_path: Path
) -> None:
    logs = tmp_path / "worker", tmp_path / "web"
    with Sandbox() as sandbox:
        variables |= {name: value for name, value in sandbox.settings().items() if "TRUSTED" in name}
        postgres_server.stop()
        with started(WORKER, variables, logs[0]) as worker, started(WEB, variables, logs[1]) as web:
            wait_until(lambda: all("app.database_awaited" in log.read_text() for log in logs), within_s=DEADLINE_S)
            assert (worker.poll(), web.poll()) == (None, None)
            postgres_server.start()
            wait_until(lambda: "Listening on" in logs[1].read_text(), within_s=DEADLINE_S)
            (url,) = re.findall(r"Listening on (\S+)", logs[1].read_text())
            with urlopen(f"{url}/livez") as response:
                assert response.status == 200
            with NotifyFlow(Settings.from_variables(variables)) as flow:
                flow.notify(Incident(key="db-1", title="it is back"), [Recipient(id="ada", slack=sandbox.slack_url("ada"))])
                assert flow.wait("db-1", timeout_s=DEADLINE_S)
            assert [message.is_accepted for message in sandbox.inbox.messages()] == [True]
            stop(worker, logs[0])
            stop(web, logs[1])


@pytest.mark.slow
def test_a_web_service_whose_database_went_away_refuses_at_once_until_it_is_back(
    postgres_server: Postgres, variables: dict[str, str], tmp_path: Path
) -> None:
    key = CommandLine(tmp_path, variables).run("keys", "create", "--name", "a", "--scope", "read", "--json").document["key"]
    log = tmp_path / "web"
    with started(WEB, variables, log) as web:
        wait_until(lambda: "Listening on" in log.read_text(), within_s=DEADLINE_S)
        (url,) = re.findall(r"Listening on (\S+)", log.read_text())

        def ask() -> tuple[int, str | None]:
            answered = requests.get(f"{url}/v1/incidents", headers={"Authorization": f"Bearer {key}"}, timeout=DEADLINE_S)
            return answered.status_code, answered.headers.get("Retry-After")

        wait_until(lambda: ask() == (200, None), within_s=DEADLINE_S)
        postgres_server.stop()
        wait_until(lambda: ask() == (503, "5") and "storage.server_away" in log.read_text(), within_s=DEADLINE_S)
        lines = len(log.read_text().splitlines())
        assert {ask() for _ in range(200)} == {(503, "5")}  # 5 s each, as long as it is not known
        assert len(log.read_text().splitlines()) < lines + 100
        assert requests.get(f"{url}/livez", timeout=DEADLINE_S).status_code == 200
        assert requests.get(f"{url}/login", timeout=DEADLINE_S).status_code in {200, 503}
        postgres_server.start()
        wait_until(lambda: ask() == (200, None), within_s=DEADLINE_S)
        postgres_server.drop_database(variables["NOTIFYFLOW_DATABASE_URL"].rpartition("/")[2])
        wait_until(lambda: ask() == (503, "5") and "the server has no such database" in log.read_text(), within_s=DEADLINE_S)
        stop(web, log)


@pytest.mark.parametrize("command", [WORKER, WEB], ids=" ".join)
def test_a_process_that_waits_for_its_database_stops_in_good_order(
    command: tuple[str, ...], variables: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    variables["NOTIFYFLOW_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    with started(command, variables, log) as process:
        wait_until(lambda: "app.database_awaited" in log.read_text(), within_s=DEADLINE_S)
        stop(process, log)
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(("command", "code"), [(WORKER, 1), (WEB, 3)], ids=["worker", "web"])
def test_a_process_that_the_server_refuses_says_why_and_ends(
    command: tuple[str, ...], code: int, postgres_server: Postgres, variables: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    variables["NOTIFYFLOW_DATABASE_URL"] = postgres_server.url("missing")
    with started(command, variables, log) as process:
        assert process.wait(DEADLINE_S) == code, log.read_text()
    assert "the server has no such database" in log.read_text()
    assert "Traceback" not in log.read_text()
