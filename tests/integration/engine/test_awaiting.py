"""The awaited twins of a flow's methods: they do the same, and the event loop goes on meanwhile."""

import asyncio
import inspect
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.app.threads import MOST
from notifyflow.core.delivery.model import IncidentState
from notifyflow.errors import NotFound, StorageUnavailable
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.integration.engine.test_deliver import NotedBell
from tests.servers.postgres import Postgres

DEADLINE_S = 60
ADA = Recipient(id="ada", email="ada@example.com")
TWINS = ("notify", "status", "find", "acknowledge", "resolve", "page_again")


def _flow(database_url: str, bell: NotedBell | None = None) -> NotifyFlow:
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": database_url})
    return NotifyFlow(settings, channels=channels(ScriptedProvider()), bell=bell)


@pytest.fixture
def flow(database_url: str) -> Iterator[NotifyFlow]:
    with _flow(database_url, NotedBell()) as opened:
        yield opened


def _incident(key: str = "db-1") -> Incident:
    return Incident(key=key, title="orders db is down")


def _threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("notifyflow-await")]


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_has_the_parameters_of_its_method_and_says_whose_twin_it_is(name: str) -> None:
    method, twin = getattr(NotifyFlow, name), getattr(NotifyFlow, f"a{name}")
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(twin) == inspect.signature(method)
    assert twin.__qualname__ == f"NotifyFlow.a{name}"
    assert f"``{name}``" in twin.__doc__


def test_an_incident_is_notified_acknowledged_paged_again_and_resolved(database_url: str) -> None:
    async def tell() -> None:
        async with _flow(database_url) as flow:
            assert await flow.afind("db-1") is None
            with pytest.raises(NotFound):
                await flow.astatus("db-1")
            assert (await flow.anotify(_incident(), [ADA])).is_new
            assert await flow.await_settled("db-1", timeout_s=DEADLINE_S)
            assert (await flow.aacknowledge("db-1", by="ada")).has_changed
            await flow.apage_again("db-1", "ada", by="ops")
            assert (await flow.aresolve("db-1", by="ada")).has_changed
            assert (await flow.astatus("db-1")).facts.state is IncidentState.RESOLVED

    assert not _threads()
    asyncio.run(tell())
    assert not _threads()


def test_waiting_ends_after_its_time(flow: NotifyFlow) -> None:
    flow.notify(_incident(), [ADA])
    assert not asyncio.run(flow.await_settled("db-1", timeout_s=0.1))


def test_the_event_loop_goes_on_while_the_database_hangs(postgres_url: str, postgres_server: Postgres) -> None:
    turns = 0

    async def beat() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def submit(flow: NotifyFlow) -> None:
        await flow.anotify(_incident("before"), [ADA])
        beating = asyncio.create_task(beat())
        with postgres_server.hanging(), flow._store.within(1.0), pytest.raises(StorageUnavailable):
            await flow.anotify(_incident(), [ADA])
        beating.cancel()

    with _flow(postgres_url, NotedBell()) as flow:
        asyncio.run(submit(flow))
        assert flow.find("db-1") is None
    assert turns > 100


def test_many_calls_at_once_end_in_time_on_few_threads(postgres_url: str, postgres_server: Postgres) -> None:
    async def submit(flow: NotifyFlow) -> tuple[list[Any], int]:
        with postgres_server.hanging():
            calls = [flow.anotify(_incident(f"db-{number}"), [ADA]) for number in range(10 * MOST)]
            done = asyncio.gather(*calls, return_exceptions=True)
            await asyncio.sleep(0)
            return await done, len(_threads())

    with _flow(postgres_url, NotedBell()) as flow:
        flow.find("db-0")
        results, threads = asyncio.run(submit(flow))
        assert {type(each) for each in results} == {StorageUnavailable}
        assert threads == MOST
        assert flow.notify(_incident("db-0"), [ADA]).is_new


def test_a_call_that_is_cancelled_never_begins_or_is_finished(sqlite_url: str) -> None:
    async def submit(flow: NotifyFlow) -> None:
        calls = [asyncio.create_task(flow.anotify(_incident(f"db-{number}"), [ADA])) for number in range(MOST + 1)]
        while flow._threads._pool is None or flow._threads._pool._work_queue.qsize() != 1:
            await asyncio.sleep(0.001)
        for cancelled in (calls[0], calls[-1]):
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
        writer.rollback()
        assert all(each.is_new for each in await asyncio.gather(*calls[1:-1]))

    with _flow(sqlite_url, NotedBell()) as flow:
        flow.find("db-0")
        writer = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        asyncio.run(submit(flow))
        flow._threads.close()  # waits for the one that goes on
        assert flow.find("db-0") is not None
        assert flow.find(f"db-{MOST}") is None
        writer.close()


_FORKED = """
import asyncio, os, sys
from notifyflow import Incident, NotifyFlow, Recipient, Settings

with NotifyFlow(Settings(database_url=sys.argv[1])) as flow:
    def submit(key):
        incident, ada = Incident(key=key, title="orders db is down"), Recipient(id="ada", email="ada@example.com")
        return asyncio.run(flow.anotify(incident, [ada])).is_new

    assert submit("parent")
    child = os.fork()
    if child == 0:
        os._exit(0 if submit("child") else 1)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_has_threads_of_its_own(sqlite_url: str) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", _FORKED, sqlite_url], timeout=DEADLINE_S, check=True)
