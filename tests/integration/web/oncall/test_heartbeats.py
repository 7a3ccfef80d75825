"""Pings over HTTP: only with the key of this job, in the header or the path; and the list of the watched jobs."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from peewee import Database

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.namespaces import ALL
from notifyflow.core.oncall.pings import Mark, read_entries
from notifyflow.core.oncall.watched_jobs import WatchedJob
from notifyflow.errors import InvalidRequest
from notifyflow.settings import Settings
from tests.asgi import Client
from tests.builders import START, CountingIds, HandClock
from tests.integration.web.delivery.test_api import SilentBell
from tests.log_lines import capture_logs
from tests.published import Published

DIRECTORY = """
recipients.ada = { email = "ada@example.com" }
default.to = ["ada"]
heartbeats.backup = { every = "1h", grace = "10m" }
heartbeats.export = { every = "1h", methods = ["POST"], namespace = "team" }
"""


class Site:
    """A web service with the directory, and the keys of its jobs."""

    def __init__(self, flow: NotifyFlow) -> None:
        self.flow = flow
        self.client = Client(flow.asgi())
        self.key, self.other = (self.ping_key(name) for name in ("backup", "export"))
        flow.overview.heartbeats()
        flow._service.rosters.read()

    def ping_key(self, name: str) -> str:
        return self.flow.access().create("cron", {KeyScope.PING}, valid_for=None, heartbeat=name)[1]

    def send(self, path: str, method: str = "GET", *, key: str | None = None, **values: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return self.client.request(method, f"/v1/heartbeats/{path}", headers=headers | values.pop("headers", {}), **values)

    def job(self, name: str = "backup") -> WatchedJob:
        return next(each for each in self.flow.overview.heartbeats()[0] if each.name == name)

    def marks(self, name: str = "backup") -> list[Mark]:
        return [mark for _, mark in read_entries(self.job(name).pings)]


@pytest.fixture
def clock() -> HandClock:
    return HandClock(START + timedelta(days=300))


@pytest.fixture
def site(sqlite_url: str, tmp_path: Path, clock: HandClock) -> Iterator[Site]:
    directory = tmp_path / "directory.toml"
    directory.write_text(DIRECTORY)
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_DIRECTORY": str(directory)})
    with NotifyFlow(settings, clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield Site(flow)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_ping_counts_with_each_method_and_the_key_in_header_or_path(site: Site, method: str) -> None:
    assert site.send("backup", method, key=site.key).status_code == 200
    for path in (f"{site.key}/backup", site.key, f"{site.key}/backup/0", f"{site.key}/0"):
        response = site.send(path, method)
        assert (response.status_code, response.text) == (200, "" if method == "HEAD" else "OK")
    assert site.marks() == [Mark.ON_TIME] * 5


def test_what_the_job_says_is_in_the_path_its_run_in_the_query_and_its_words_in_the_body(site: Site) -> None:
    assert site.send("backup/start?rid=a", key=site.key).status_code == 200
    assert list(site.job().runs) == ["a"]
    assert site.send("backup/log", "POST", key=site.key, content="half done").status_code == 200
    assert site.send("backup/3?rid=a", "POST", key=site.key, content="disk full").status_code == 200
    assert (site.job().output, site.job().exit_status) == ("disk full", 3)
    assert site.marks() == [Mark.STARTED, Mark.LOGGED, Mark.FAILED]


def test_a_body_that_is_too_large_is_ignored_and_the_ping_counts(site: Site) -> None:
    for size in (10_001, 3 * 1024 * 1024):
        assert site.send("backup", "POST", key=site.key, content=b"x" * size).status_code == 200
    assert (site.job().output, site.marks()) == ("", [Mark.ON_TIME] * 2)
    assert site.send("backup", "POST", key=site.key, content=b"x" * 10_000).status_code == 200
    assert len(site.job().output) == 1_001


def test_without_the_right_key_nothing_is_said_about_a_job(site: Site) -> None:
    reading = site.flow.access().create("reader", {KeyScope.READ, KeyScope.OPERATE, KeyScope.INGEST}, valid_for=None)[1]
    for path in ("backup", "nothing", "backup/start", "backup/x/y"):
        assert site.send(path).status_code == 401
        assert site.send(path, key="nf_1_wrong").status_code == 401
        assert site.send(path, key=reading).status_code == 403
        assert site.send(path, key=site.other).status_code in (400, 403)
        assert site.send(f"nf_1_wrong/{path}").status_code == 401
    assert site.marks() == []


def test_a_key_pings_for_its_own_job_only_and_does_nothing_else(site: Site) -> None:
    refusals = {site.send(name, key=site.other).text for name in ("backup", "nothing")}
    assert len(refusals) == 1
    assert site.send("", key=site.key).status_code == site.send(f"{site.key}/backup/stop").status_code == 400
    incidents = site.client.request("GET", "/v1/incidents", headers={"authorization": f"Bearer {site.key}"})
    assert incidents.status_code == 403
    assert site.client.request("GET", "/v1/heartbeats", headers={"authorization": f"Bearer {site.key}"}).status_code == 403
    for scopes, heartbeat in (({KeyScope.PING}, None), ({KeyScope.READ}, "backup"), ({KeyScope.PING, KeyScope.READ}, "backup")):
        with pytest.raises(InvalidRequest):
            site.flow.access().create("cron", scopes, valid_for=None, heartbeat=heartbeat)


def test_the_use_of_a_key_is_noted_with_its_ping_once_an_hour(site: Site, clock: HandClock) -> None:
    def used_at() -> datetime | None:
        found = site.flow.access().keys()
        return next(each.last_used_at for each in found if each.heartbeat == "backup")

    assert used_at() is None
    began_at = clock.now()
    for minutes in (0, 59):
        clock.at = began_at + timedelta(minutes=minutes)
        site.send("backup", key=site.key)
        assert used_at() == began_at
    clock.at = began_at + timedelta(minutes=60)
    site.send("backup", key=site.key)
    assert used_at() == clock.at


def test_a_job_that_is_not_declared_is_named_to_its_key_alone(site: Site) -> None:
    assert site.send("gone", key=site.ping_key("gone")).status_code == 404


def test_unknown_jobs_have_the_directory_read_once_a_second_for_all(
    site: Site, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    run = Database.execute_sql
    monkeypatch.setattr(Database, "execute_sql", lambda db, sql, *values: statements.append(sql) or run(db, sql, *values))

    def reads() -> int:
        statements.clear()
        for _ in range(20):
            assert site.send("gone", key=key).status_code == 404
        return sum("notifyflow_roster" in each for each in statements)

    key = site.ping_key("gone")
    at_first = reads()
    assert 1 <= at_first <= 2
    assert reads() == 0
    clock.at += timedelta(seconds=1)
    assert reads() == at_first


def test_a_method_that_is_not_declared_a_preview_and_a_bad_run_do_not_count(site: Site) -> None:
    assert site.send("export", key=site.other).status_code == 405
    agent = {"user-agent": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}
    assert site.send(f"{site.key}/backup", headers=agent).status_code == 200
    assert site.send("backup?rid=a%20b", key=site.key).status_code == 400
    assert (site.marks(), site.marks("export")) == ([], [])


def test_no_key_stands_in_the_log(site: Site) -> None:
    with capture_logs() as lines:
        site.send(f"{site.key}/backup")
        site.send(f"{site.key}/backup/stop")
        site.send(f"{site.key}x/backup")
    assert lines
    assert site.key.split("_", 2)[2] not in str(lines)


def test_the_list_has_the_jobs_that_a_key_reaches(site: Site) -> None:
    site.send("backup", key=site.key)
    for namespace, names in ((ALL, ["backup", "export"]), ("team", ["export"]), ("", ["backup"])):
        key = site.flow.access().create("reader", {KeyScope.READ}, valid_for=None, namespace=namespace)[1]
        response = Published(site.flow.asgi(), key).request("GET", "/v1/heartbeats")
        assert [each["name"] for each in response.json()["heartbeats"]] == names
        assert response.json()["next_cursor"] is None


def test_the_list_comes_page_by_page(site: Site) -> None:
    key = site.flow.access().create("reader", {KeyScope.READ}, valid_for=None, namespace=ALL)[1]
    client, found, cursor = Published(site.flow.asgi(), key), list[str](), ""
    for _ in range(2):
        page = client.request("GET", f"/v1/heartbeats?limit=1{cursor}").json()
        found += [each["name"] for each in page["heartbeats"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert (found, page["next_cursor"]) == (["backup", "export"], None)


def test_a_ping_gets_503_and_when_to_try_again_while_nothing_can_be_committed(site: Site, sqlite_url: str) -> None:
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = site.send("backup", key=site.key)
        other.execute("ROLLBACK")
    assert (refused.status_code, refused.headers["retry-after"], site.marks()) == (503, "5", [])
    assert site.send("backup", key=site.key).status_code == 200


def test_a_key_that_submits_does_not_reach_the_incident_of_a_job(site: Site) -> None:
    key, watched_jobs = "heartbeat/backup", site.flow._service.watched_jobs
    ingest = site.flow.access().create("cron", {KeyScope.INGEST}, valid_for=None, namespace="")[1]
    headers = {"authorization": f"Bearer {ingest}"}

    def post(path: str, document: object, kind: str = "application/json") -> int:
        sent = {**headers, "content-type": kind}
        return site.client.request("POST", path, headers=sent, content=json.dumps(document)).status_code

    def attack() -> None:
        submission = {"incident": {"key": key, "title": "down"}, "recipients": [{"id": "eve", "email": "eve@example.com"}]}
        assert post("/v1/incidents", submission) == 422
        for action in ("trigger", "acknowledge", "resolve"):
            payload = {"summary": "s", "source": "s", "severity": "critical"}
            event = {"routing_key": ingest, "dedup_key": key, "event_action": action, "payload": payload}
            assert post("/v2/enqueue", event) == 202
        event = {"specversion": "1.0", "id": "1", "source": "heartbeat", "subject": "backup", "type": "resolved"}
        assert post("/v1/cloudevents", event, "application/cloudevents+json") in (200, 202, 204)

    attack()
    assert site.flow.find(key) is None
    site.send("backup/fail", key=site.key)
    watched_jobs.sweep()
    before = site.flow.status(key)
    attack()
    for act in ("acknowledge", "resolve"):
        assert post(f"/v1/incidents/{before.facts.id}/{act}", {"by": "eve"}) == 403
    after = site.flow.status(key)
    assert (after.facts, after.content) == (before.facts, before.content)
