"""A monitor outside is pinged by a process that sweeps, and by no other."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from notifyflow import NotifyFlow, Settings
from notifyflow.channels.monitor import Monitor
from notifyflow.engine.heartbeat import Heartbeat
from notifyflow.storage.store import Store
from notifyflow.testing.scripted_http import HttpServer, http_server
from tests.driver import Driver
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.log_lines import capture_logs
from tests.waiting import wait_until

BEAT = timedelta(milliseconds=100)


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with http_server() as opened:
        yield opened


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    store = Store(sqlite_url)
    yield store
    store.close()


def settings_for(server: HttpServer, **given: object) -> Settings:
    url = SecretStr(f"{server.url}/ping/secret")
    return Settings(heartbeat_url=url, heartbeat_s=BEAT.total_seconds(), trusted_endpoints=(server.endpoint,), **given)  # type: ignore[arg-type]


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is logged, from before a heartbeat begins: it says a reason once."""
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def beating(server: HttpServer, sqlite_store: Store) -> Iterator[Heartbeat]:
    """A heartbeat beside a sweeper that the test plays."""
    monitor = Monitor.from_settings(settings_for(server))
    assert monitor is not None
    heartbeat = Heartbeat(monitor, Driver(sqlite_store).deps, every=BEAT)
    heartbeat.start()
    yield heartbeat
    heartbeat.stop()


def test_a_process_that_delivers_pings_the_monitor_again_and_again(sqlite_url: str, server: HttpServer) -> None:
    settings = settings_for(server, database_url=SecretStr(sqlite_url))
    with NotifyFlow(settings, channels=channels(ScriptedProvider())) as flow:
        flow.start()
        wait_until(lambda: len(server.requests) > 2)
    assert {(request.method, request.path, request.body) for request in server.requests} == {("GET", "/ping/secret", b"")}


def test_without_a_clean_sweep_the_monitor_is_not_pinged_and_the_log_says_why(
    lines: list[dict[str, Any]], beating: Heartbeat, server: HttpServer
) -> None:
    wait_until(lambda: bool(lines))
    beating.note_sweep(is_clean=False)
    assert [(line["event"], line["reason"]) for line in lines] == [("engine.heartbeat_withheld", "not_swept_clean")]
    assert server.requests == []
    beating.note_sweep(is_clean=True)
    wait_until(lambda: bool(server.requests))


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_unreachable_monitor_is_logged_without_its_url(beating: Heartbeat, server: HttpServer, status: int) -> None:
    server.respond(status)
    with capture_logs() as lines:
        beating.note_sweep(is_clean=True)
        wait_until(lambda: any(line["event"] == "engine.heartbeat_failed" for line in lines))
    assert "secret" not in str(lines)


@pytest.mark.parametrize(
    ("url", "what"),
    [("http://hc.example/1", "is not an https URL"), ("https://ada:x@hc.example/1", "holds a user name or password")],
)
def test_a_forbidden_url_is_a_warning_at_start(sqlite_url: str, url: str, what: str) -> None:
    settings = Settings(database_url=SecretStr(sqlite_url), heartbeat_url=SecretStr(url))
    with NotifyFlow(settings, channels=channels(ScriptedProvider())) as flow:
        assert [fault.what for fault in flow.warnings if fault.where == "NOTIFYFLOW_HEARTBEAT_URL"] == [what]
