"""The examples for other people's frameworks run as they are, in real servers, and their pages arrive."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from notifyflow import Incident, IncidentState, NotifyFlow, Recipient, Settings, Severity
from notifyflow.sandbox import Sandbox
from tests.servers.ports import reserve_port
from tests.servers.redis import redis_server

EXAMPLES = Path(__file__).parents[2] / "examples"
BIN = Path(sys.executable).parent
ADA = Recipient(id="ada", name="Ada", email="ada@example.com")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def variables(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    return {**sandbox.settings(), "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'notifyflow.db'}"}


@contextmanager
def serving(
    command: Sequence[object],
    folder: Path,
    variables: Mapping[str, str],
    *,
    until: str,
    by: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    """Run a server, once it has printed a text, and end it by a signal; its exit must be clean."""
    log = folder / "server.log"
    environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **variables}
    with log.open("w+") as output, log.open() as lines:
        process = subprocess.Popen(list(map(str, command)), cwd=folder, env=environment, stdout=output, stderr=output)
        try:
            while until not in (line := lines.readline()):
                assert line or process.poll() is None, log.read_text()
            yield
            process.send_signal(by)
            assert process.wait(60) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


def post(url: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30) as response:
        return json.load(response)


class Silent:
    """Rings for nobody, like a process that dies before it delivers."""

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        pass


def leave(variables: Mapping[str, str], key: str) -> None:
    """Accept an incident that this process does not deliver."""
    with NotifyFlow(Settings.from_variables(variables), bell=Silent()) as flow:
        flow.notify(Incident(key=key, title=f"{key} was left"), [ADA])


def test_gunicorns_workers_page_and_deliver_what_an_earlier_process_left(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    leave(variables, "cellar")
    port = reserve_port()
    config = EXAMPLES / "gunicorn.conf.py"
    gunicorn = [BIN / "gunicorn", "--pythonpath", EXAMPLES, "--config", config, "--bind", f"127.0.0.1:{port}"]
    with serving([*gunicorn, "flask_application:app"], tmp_path, variables, until="Listening at"):
        sandbox.inbox.wait_for(lambda message: "cellar was left" in message.text)
        assert post(f"http://127.0.0.1:{port}/orders/7/stuck")["is_new"] is True
        sandbox.inbox.wait_for(lambda message: "order 7 is stuck" in message.text)
        assert post(f"http://127.0.0.1:{port}/orders/7/stuck")["is_new"] is False
        assert post(f"http://127.0.0.1:{port}/orders/7/done") == {"cancelled": 0}
        sandbox.inbox.wait_for(lambda message: "resolved" in message.text)
    assert len(sandbox.inbox.messages()) == 3


def test_djangos_server_pages_and_so_does_a_command_beside_it(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    leave(variables, "cellar")
    port = reserve_port()
    manage = [sys.executable, EXAMPLES / "django_shop" / "manage.py"]
    server = [*manage, "runserver", "--noreload", port]
    with serving(server, tmp_path, variables, until="Quit the server", by=signal.SIGINT):
        assert post(f"http://127.0.0.1:{port}/orders/7/stuck")["is_new"] is True
        sandbox.inbox.wait_for(lambda message: "cellar was left" in message.text)
        sandbox.inbox.wait_for(lambda message: "order 7 is stuck" in message.text)
        command = [*map(str, manage), "page", "orders cannot be placed"]
        environment = {"PATH": os.environ["PATH"], **variables}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "paged: orders cannot be placed"
        sandbox.inbox.wait_for(lambda message: "orders cannot be placed" in message.text)


def test_a_task_that_has_used_up_its_retries_pages_from_celerys_worker(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    leave(variables, "cellar")
    with redis_server() as redis:
        variables |= {"CELERY_BROKER_URL": redis.url}
        celery = [BIN / "celery", "--workdir", EXAMPLES, "--app", "celery_tasks", "worker", "--concurrency", "1"]
        with serving([*celery, "--loglevel", "INFO"], tmp_path, variables, until=" ready."):
            sandbox.inbox.wait_for(lambda message: "cellar was left" in message.text)
            with Celery(broker=redis.url) as app:
                for order in (6, 7, 7):
                    app.send_task("charge", [order])
            page = sandbox.inbox.wait_for(lambda message: "charge failed: ConnectionError" in message.text)
            assert "called with [7]" in page.text
    assert len(sandbox.inbox.messages()) == 2


def test_a_job_of_cron_pages_when_it_fails_and_resolves_when_it_succeeds(
    sandbox: Sandbox, variables: dict[str, str], tmp_path: Path
) -> None:
    def run(job: str, recipients: Path = EXAMPLES / "recipients.json") -> "subprocess.CompletedProcess[str]":
        command = [EXAMPLES / "page-on-failure.sh", recipients, "orders-backup", "sh", "-c", job]
        environment = {"PATH": f"{BIN}:{os.environ['PATH']}", **variables}
        return subprocess.run(list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)

    failed = run("echo disk full >&2; exit 28")
    assert failed.returncode == 28
    assert "disk full" in failed.stderr
    assert "orders-backup ended with 28 on " in sandbox.inbox.messages(channel="email")[0].text
    assert run("true").returncode == 0
    with NotifyFlow(Settings.from_variables(variables)) as flow:
        assert flow.status("cron/orders-backup").facts.state is IncidentState.RESOLVED
    sandbox.script("email: 550; sms: 21610; voice: 21211")
    assert "somebody was not reached" in run("exit 1").stderr
    assert "nobody was paged" in run("exit 1", tmp_path / "nowhere.json").stderr
