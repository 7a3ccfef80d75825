"""The real worker: ``dramatiq notifyflow.worker`` on a real PostgreSQL and a real Redis, against the sandbox."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg import sql

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import AttemptState, NotificationState
from notifyflow.sandbox.system import Sandbox
from notifyflow.storage.store import Store
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis
from tests.waiting import wait_until

DRAMATIQ = Path(sys.executable).with_name("dramatiq")
DEADLINE_S = 120


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def variables(postgres_server: Postgres, redis: Redis, sandbox: Sandbox) -> Iterator[Mapping[str, str]]:
    redis.execute("FLUSHALL")
    name = postgres_server.create_database()
    url = postgres_server.url(name)
    store = Store(url)
    store.upgrade()
    store.close()
    yield {
        **sandbox.settings(),
        "NOTIFYFLOW_DATABASE_URL": url,
        "NOTIFYFLOW_BROKER_URL": redis.url,
        "NOTIFYFLOW_PROVIDER_LIMITS": "slack=100000,teams=100000",
    }
    postgres_server.drop_database(name)


class EarlierClock:
    """The system's time some seconds ago, so that rings are repeated that much sooner than after 30 s."""

    def now(self) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=25)


@pytest.fixture
def flow(variables: Mapping[str, str]) -> Iterator[NotifyFlow]:
    with NotifyFlow(Settings.from_variables(variables), clock=EarlierClock()) as opened:
        yield opened


def start(variables: Mapping[str, str], folder: Path, *options: str) -> "subprocess.Popen[bytes]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NOTIFYFLOW_")}
    with (folder / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [DRAMATIQ, "notifyflow.worker", *options], env={**kept, **variables}, cwd=folder, stdout=log, stderr=log
        )


@contextmanager
def worker(variables: Mapping[str, str], folder: Path, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run workers, and stop them in the end."""
    process = start(variables, folder, *options)
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0, (folder / "worker.log").read_text()
    finally:
        process.kill()
        process.wait()


def people(sandbox: Sandbox, first: int, count: int) -> list[Recipient]:
    names = [f"p{number}" for number in range(first, first + count)]
    return [Recipient(id=name, slack=sandbox.slack_url(name), teams=sandbox.teams_url(name)) for name in names]


def notify(flow: NotifyFlow, sandbox: Sandbox, key: str, first: int, count: int) -> None:
    notified = flow.notify(Incident(key=key, title="orders db is down"), people(sandbox, first, count))
    assert len(notified.added) == count
    assert not notified.faults


def rows_of(flow: NotifyFlow, *keys: str) -> dict[tuple[str, str], NotificationFacts]:
    rows = {}
    for key in keys:
        status = flow.status(key)
        for escalation in status.escalations:
            rows |= {(row.channel, escalation.contact.recipient_id): row for row in escalation.notifications}
    return rows


def assert_that_nothing_was_lost_or_doubled(rows: Mapping[tuple[str, str], NotificationFacts], sandbox: Sandbox) -> None:
    seen = Counter((message.channel, message.to) for message in sandbox.inbox.messages() if message.is_accepted)
    assert seen.keys() == rows.keys()
    for place, row in rows.items():
        assert row.state is NotificationState.SENT
        assert 1 <= seen[place] <= 1 + sum(attempt.is_doubted for attempt in row.attempts)


def test_a_worker_refuses_the_tables_of_an_unreleased_version(
    postgres_server: Postgres, variables: Mapping[str, str], tmp_path: Path
) -> None:
    database = variables["NOTIFYFLOW_DATABASE_URL"].rpartition("/")[2]
    postgres_server.execute(sql.SQL("UPDATE notifyflow_migration SET digest = 'of other tables'"), database)
    process = start(variables, tmp_path, "--processes", "1", "--threads", "1")
    try:
        assert process.wait(DEADLINE_S) != 0
    finally:
        process.kill()
        process.wait()
    assert "before 0.1.0 there are no upgrades: start with an empty one" in (tmp_path / "worker.log").read_text()


@pytest.mark.slow
def test_a_thousand_notifications_survive_two_flushes_of_redis(
    flow: NotifyFlow, sandbox: Sandbox, redis: Redis, variables: Mapping[str, str], tmp_path: Path
) -> None:
    keys = [f"before-{number}" for number in range(5)] + [f"after-{number}" for number in range(5)]
    for number, key in enumerate(keys[:5]):
        notify(flow, sandbox, key, 50 * number, 50)
    redis.execute("FLUSHALL")  # every ring of the first half is lost
    with worker(variables, tmp_path, "--processes", "2", "--threads", "4"):
        for number, key in enumerate(keys[5:], start=5):
            notify(flow, sandbox, key, 50 * number, 50)
        wait_until(lambda: len(sandbox.inbox.messages()) >= 100, within_s=DEADLINE_S)
        redis.execute("FLUSHALL")  # and some of the second
        for key in keys:
            assert flow.wait(key, timeout_s=DEADLINE_S)
    rows = rows_of(flow, *keys)
    assert len(rows) == 1000
    assert_that_nothing_was_lost_or_doubled(rows, sandbox)


@pytest.mark.slow
def test_a_stopping_worker_records_running_sends_and_releases_the_rest(
    flow: NotifyFlow, sandbox: Sandbox, variables: Mapping[str, str], tmp_path: Path
) -> None:
    sandbox.script("slack: slow 1 s; teams: slow 1 s")
    notify(flow, sandbox, "db-1", 0, 20)
    with worker(variables, tmp_path, "--processes", "1", "--threads", "4"):
        wait_until(lambda: len(sandbox.inbox.messages()) >= 3, within_s=DEADLINE_S)
    rows = rows_of(flow, "db-1")
    assert {attempt.state for row in rows.values() for attempt in row.attempts} <= {AttemptState.RECORDED, AttemptState.NOT_SENT}
    assert {row.state for row in rows.values()} == {NotificationState.SENT, NotificationState.QUEUED}
    sandbox.script("all: ok")
    with worker(variables, tmp_path, "--processes", "1", "--threads", "4"):
        assert flow.wait("db-1", timeout_s=DEADLINE_S)
    rows = rows_of(flow, "db-1")
    assert not any(attempt.is_doubted for row in rows.values() for attempt in row.attempts)
    assert_that_nothing_was_lost_or_doubled(rows, sandbox)


@pytest.mark.slow
def test_released_notifications_are_sent_by_another_worker_while_the_first_still_records(
    flow: NotifyFlow, sandbox: Sandbox, variables: Mapping[str, str], tmp_path: Path
) -> None:
    sandbox.script("slack: slow 9 s")
    variables = {**variables, "NOTIFYFLOW_BUNDLING": "false"}
    stopping = start(variables, tmp_path, "--processes", "1", "--threads", "2")
    try:
        severe = [Incident(key=f"db-{number}", title="orders db is down", severity=Severity.CRITICAL) for number in range(9)]
        for incident in severe:
            flow.notify(incident, [Recipient(id="ada", slack=sandbox.slack_url("ada"))])
        # two threads send, and the one in reserve turns the others away
        wait_until(lambda: len(sandbox.inbox.messages()) >= 3, within_s=DEADLINE_S)
        with worker(variables, tmp_path, "--processes", "1", "--threads", "8"):
            wait_until(lambda: (tmp_path / "worker.log").read_text().count("ready for action") == 2, within_s=DEADLINE_S)
            sandbox.script("all: ok")
            stopping.send_signal(signal.SIGTERM)
            wait_until(lambda: len(sandbox.inbox.messages()) == 9, within_s=DEADLINE_S)
            assert stopping.poll() is None, "they were rung for again by time alone, not given back"
            assert stopping.wait(DEADLINE_S) == 0
            assert all(flow.wait(incident.key, timeout_s=DEADLINE_S) for incident in severe)
    finally:
        stopping.kill()
        stopping.wait()
    attempts = [attempt for row in rows_of(flow, *(each.key for each in severe)).values() for attempt in row.attempts]
    assert not any(attempt.is_doubted for attempt in attempts)


@pytest.mark.slow
def test_claimed_notifications_of_a_stopping_worker_are_sent_by_another_within_seconds(
    flow: NotifyFlow, sandbox: Sandbox, variables: Mapping[str, str], tmp_path: Path
) -> None:
    stopping = start(variables, tmp_path, "--processes", "1", "--threads", "1")
    try:
        notify(flow, sandbox, "before", 0, 1)  # the latency is known, and more than one row fits into a claim
        assert flow.wait("before", timeout_s=DEADLINE_S)
        sandbox.script("slack: slow 9 s; teams: slow 9 s")
        notify(flow, sandbox, "db-1", 1, 40)
        wait_until(lambda: {each.channel for each in sandbox.inbox.messages()[2:]} == {"slack", "teams"}, within_s=DEADLINE_S)
        with worker(variables, tmp_path, "--processes", "1", "--threads", "8"):
            wait_until(lambda: (tmp_path / "worker.log").read_text().count("ready for action") == 2, within_s=DEADLINE_S)
            sandbox.script("all: ok")
            stopping.send_signal(signal.SIGTERM)
            assert flow.wait("db-1", timeout_s=25), "they were rung for again by time alone, after 30 s"
            assert stopping.wait(DEADLINE_S) == 0
    finally:
        stopping.kill()
        stopping.wait()
    rows = rows_of(flow, "db-1")
    assert not any(attempt.is_doubted for row in rows.values() for attempt in row.attempts)
    assert_that_nothing_was_lost_or_doubled(rows | rows_of(flow, "before"), sandbox)


@pytest.mark.slow
def test_a_worker_stops_cleanly_while_redis_is_down(
    flow: NotifyFlow, sandbox: Sandbox, redis: Redis, variables: Mapping[str, str], tmp_path: Path
) -> None:
    sandbox.script("slack: slow 5 s; teams: slow 5 s")
    with worker(variables, tmp_path, "--processes", "1", "--threads", "2"):
        notify(flow, sandbox, "db-1", 0, 3)  # it reads all rings of a channel at once
        wait_until(lambda: {each.channel for each in sandbox.inbox.messages()} == {"slack", "teams"}, within_s=DEADLINE_S)
        redis.stop()
    redis.start()
    log = (tmp_path / "worker.log").read_text()
    assert "Traceback" not in log, log
    rows = rows_of(flow, "db-1")
    assert {attempt.state for row in rows.values() for attempt in row.attempts} <= {AttemptState.RECORDED, AttemptState.NOT_SENT}
    assert not any(row.rung_at for row in rows.values() if row.state is NotificationState.QUEUED)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BROKER_URL", "memory://", "reach no other process"),
        ("BROKER_URL", "kafka://localhost", "NOTIFYFLOW_BROKER_URL"),
        ("DATABASE_URL", "mysql://localhost/db", "NOTIFYFLOW_DATABASE_URL"),
    ],
)
def test_a_worker_that_cannot_start_says_why_and_ends(name: str, value: str, expected: str, tmp_path: Path) -> None:
    input_text = {"NOTIFYFLOW_BROKER_URL": "redis://127.0.0.1:1", f"NOTIFYFLOW_{name}": value}
    process = start(input_text, tmp_path, "--processes", "1")
    try:
        assert process.wait(DEADLINE_S) != 0
    finally:
        process.kill()
        process.wait()
    log = (tmp_path / "worker.log").read_text()
    assert expected in log
    assert "Traceback" not in log


def test_a_worker_refuses_a_database_without_its_tables(
    postgres_server: Postgres, variables: Mapping[str, str], tmp_path: Path
) -> None:
    name = postgres_server.create_database()
    process = start({**variables, "NOTIFYFLOW_DATABASE_URL": postgres_server.url(name)}, tmp_path, "--processes", "1")
    try:
        assert process.wait(DEADLINE_S) != 0
    finally:
        process.kill()
        process.wait()
    assert "notifyflow db upgrade" in (tmp_path / "worker.log").read_text()
    postgres_server.drop_database(name)


def test_a_worker_at_debug_level_logs_no_statement_parameters(
    flow: NotifyFlow, sandbox: Sandbox, variables: Mapping[str, str], tmp_path: Path
) -> None:
    mark = "canary"
    somebody = Recipient(
        id="ada",
        name=mark.title(),
        email=f"{mark}@example.com",
        phone="+15005550123",
        slack=sandbox.slack_url(mark),
        teams=sandbox.teams_url(mark),
    )
    flow.notify(Incident(key="db-1", title=f"{mark} is down", body=f"{mark} says nothing"), [somebody])
    with worker({**variables, "NOTIFYFLOW_TWILIO_AUTH_TOKEN": f"{mark}-token"}, tmp_path, "-v", "-p", "1", "-t", "4"):
        wait_until(lambda: {row.state for row in rows_of(flow, "db-1").values()} == {NotificationState.SENT}, within_s=DEADLINE_S)
    log = (tmp_path / "worker.log").read_text()
    earlier = re.compile(r"\[dramatiq\.MainProcess\]|Loading broker")  # where notifyflow is not loaded, or not yet
    lines = [line for line in log.splitlines() if not earlier.search(line)]
    assert {"debug", "info"} <= {json.loads(line)["level"] for line in lines}, "every line, dramatiq's and ours, has one shape"
    assert {"notifyflow.engine", "dramatiq.WorkerProcess(0)"} <= {json.loads(line)["logger"] for line in lines}
    assert [line for line in log.splitlines() if mark in line.casefold() or "5005550123" in line] == []
