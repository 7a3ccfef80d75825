"""``notify(connection=…)`` from end to end: beside other threads, and in processes that are killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.errors import InvalidIncident, NotFound, StorageUnavailable, UnsuitableConnection
from notifyflow.service.delivery.submissions import _ALONE_S
from tests.integration.engine.scripted import ScriptedProvider, channels

DEADLINE_S = 60
ADA = Recipient(id="ada", email="ada@example.com")
CHILD = """
import os, signal, sys
import psycopg
from notifyflow import Incident, NotifyFlow, Recipient

flow = NotifyFlow.from_env()
with psycopg.connect(os.environ["NOTIFYFLOW_DATABASE_URL"]) as connection:
    connection.execute("INSERT INTO own_orders VALUES (1)")
    ada = Recipient(id="ada", slack="https://hooks.slack.com/x")
    flow.notify(Incident(key="db-1", title="orders db is down"), [ada], connection=connection)
    if sys.argv[1] == "after":
        connection.commit()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def flow(postgres_url: str, provider: ScriptedProvider) -> Iterator[NotifyFlow]:
    """One that delivers in this process."""
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": postgres_url})
    with NotifyFlow(settings, channels=channels(provider)) as opened:
        yield opened


def _incident(key: str = "db-1") -> Incident:
    return Incident(key=key, title="orders db is down")


def test_it_is_delivered_after_the_commit(flow: NotifyFlow, postgres_url: str, provider: ScriptedProvider) -> None:
    with psycopg.connect(postgres_url) as connection:
        with pytest.raises(InvalidIncident):
            flow.notify(_incident(""), [ADA], connection=connection)
        notified = flow.notify(_incident(), [ADA], connection=connection)
        with pytest.raises(NotFound):
            flow.status("db-1")
    assert flow.wait("db-1", timeout_s=DEADLINE_S)
    assert [message.incident_id for message in provider.messages] == [notified.incident_id]


def test_a_flow_that_ends_at_once_delivers_it(postgres_url: str, provider: ScriptedProvider) -> None:
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": postgres_url})
    with NotifyFlow(settings, channels=channels(provider)) as flow, psycopg.connect(postgres_url) as connection:
        flow.notify(_incident(), [ADA], connection=connection)
    assert len(provider.messages) == 1


def test_only_the_same_key_waits_for_the_transaction(flow: NotifyFlow, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection, ThreadPoolExecutor(21) as pool:
        flow.notify(_incident(), [ADA], connection=connection)
        same = [pool.submit(flow.notify, _incident(), [ADA]) for _ in range(2)]
        others = [pool.submit(flow.notify, _incident(f"db-{number}"), [ADA]) for number in range(2, 20)]
        assert all(each.result(DEADLINE_S).is_new for each in others)
        with pytest.raises(StorageUnavailable) as late:
            same[0].result(DEADLINE_S)
        assert late.value.waited_s > _ALONE_S  # in all, and not only in its last try
        with pytest.raises(StorageUnavailable):
            same[1].result(DEADLINE_S)
    assert not flow.notify(_incident(), [ADA]).is_new


def test_a_flow_on_a_file_refuses_a_connection(sqlite_url: str, postgres_url: str) -> None:
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": sqlite_url})
    with NotifyFlow(settings, channels=channels(ScriptedProvider())) as flow, psycopg.connect(postgres_url) as connection:
        with pytest.raises(UnsuitableConnection, match="an SQLite file"):
            flow.notify(_incident(), [ADA], connection=connection)
        assert flow.find("db-1") is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_is_killed_loses_it_with_its_transaction_or_not_at_all(
    flow: NotifyFlow, postgres_url: str, provider: ScriptedProvider, when: str
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFYFLOW_", "COVERAGE_"))}
    with psycopg.connect(postgres_url, autocommit=True) as own:
        own.execute("CREATE TABLE own_orders (id int)")
        variables = {**kept, "NOTIFYFLOW_DATABASE_URL": postgres_url, "NOTIFYFLOW_BROKER_URL": "redis://127.0.0.1:1"}
        child = subprocess.run([sys.executable, "-c", CHILD, when], env=variables, timeout=DEADLINE_S, check=False)
        assert child.returncode == -9
        own_rows = _count(own, "own_orders")
        own.execute("DROP TABLE own_orders")
    if when == "before":
        assert (own_rows, flow.find("db-1")) == (0, None)
        return
    assert own_rows == 1
    flow.start()
    assert flow.wait("db-1", timeout_s=DEADLINE_S)
    assert [each.facts.recipient_id for each in flow.status("db-1").escalations] == ["ada"]


def _count(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # type: ignore[call-overload]
    assert row is not None
    return int(row[0])
