"""Processes behind a PgBouncer of which another client holds every connection."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from notifyflow.errors import StorageUnavailable
from notifyflow.sandbox.system import Sandbox
from tests.chaos import scenarios
from tests.chaos.field import EarlierClock, Worker, until
from tests.servers.postgres import postgres
from tests.servers.redis import redis_server

CONNECTIONS = 4


@contextmanager
def holding(url: str) -> Iterator[None]:
    """Hold all connections of the pooler, each in a transaction that does nothing."""
    with ExitStack() as stack:
        for _ in range(CONNECTIONS):
            connection = stack.enter_context(psycopg.connect(url))
            connection.execute("SELECT 1")
        yield


def test_processes_wait_for_a_connection_and_lose_nothing(tmp_path: Path) -> None:
    pooler = {"default_pool_size": str(CONNECTIONS)}
    with ExitStack() as stack:
        server, redis = stack.enter_context(postgres(pooler=pooler)), stack.enter_context(redis_server())
        sandbox = stack.enter_context(Sandbox())
        sandbox.script("all: slow 50 ms")
        field = stack.enter_context(scenarios.distributed(server, redis, sandbox, tmp_path, clock=EarlierClock()))

        def worker(name: str) -> Worker:
            started = Worker(field.variables, tmp_path / name, module="notifyflow.worker")
            stack.callback(started.kill)
            return started

        early = worker("early")
        field.notify_until(lambda: field.seen() > 0)
        with holding(field.variables["NOTIFYFLOW_DATABASE_URL"]):
            late = worker("late")
            with pytest.raises(StorageUnavailable):
                field.notify(1)
            until(lambda: "app.database_awaited" in late.log.read_text())
        until(lambda: "ready for action" in late.log.read_text())
        field.notify(5)
        field.settle()
        for each in (early, late):
            assert not each.has_ended
            each.terminate()
        verdict = field.verdict()
    assert verdict.is_clean, verdict
    assert verdict.duplicates <= verdict.doubts
