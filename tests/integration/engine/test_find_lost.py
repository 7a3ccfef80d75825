"""An older copy of a database is compared with the log of the processes that went on after it was made."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.app import log_output
from notifyflow.cli.commands import app
from notifyflow.core.delivery.model import Receipt, Result
from notifyflow.core.delivery.ports import Clock
from tests.builders import HandClock
from tests.integration.engine.scripted import ScriptedProvider, channels

ADA = Recipient(id="ada", email="ada@example.com")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Past:
    """What was left behind.

    Attributes:
        url: The database as it went on.
        old_url: A copy of it, made in between.
        log: The log.
        kept: The incident that the copy has.
        gone: The incident that it has not.
    """

    url: str
    old_url: str
    log: Path
    kept: str
    gone: str


def open_flow(url: str, *, clock: Clock | None = None) -> NotifyFlow:
    return NotifyFlow(
        Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": url}), clock=clock, channels=channels(ScriptedProvider())
    )


def page(flow: NotifyFlow, key: str) -> str:
    incident_id = flow.notify(Incident(key=key, title="down"), [ADA]).incident_id
    assert flow.wait(key, timeout_s=30)
    return incident_id


@pytest.fixture
def past(sqlite_url: str, tmp_path: Path) -> Past:
    log, old = tmp_path / "log", tmp_path / "old.db"
    with log.open("w") as file, log_output.into(file), open_flow(sqlite_url) as flow:
        kept = page(flow, "db-1")
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as source, closing(sqlite3.connect(old)) as copy:
            source.backup(copy)
        flow.acknowledge("db-1", by="ada")
        gone = page(flow, "db-2")
    return Past(sqlite_url, f"sqlite:///{old}", log, kept, gone)


@pytest.fixture
def later() -> HandClock:
    return HandClock(datetime.now(UTC) + 2 * DAY)


def found(
    past: Past, url: str, *, clock: Clock | None = None, kept_for: timedelta | None = None
) -> Iterator[tuple[str, str, str]]:
    with open_flow(url, clock=clock) as flow, past.log.open() as lines:
        for each in flow.maintenance.find_lost(lines, kept_for=kept_for).findings:
            yield each.machine, each.row_id, each.what


def test_what_a_log_names_and_an_older_copy_lacks_is_found(past: Past) -> None:
    gone, undone = found(past, past.old_url)
    assert gone[:2] == ("incident", past.gone)
    assert gone[2].endswith("as engine.incident_changed says, and is gone, with 1 notification and 1 attempt")
    assert undone[:2] == ("incident", past.kept)
    assert undone[2].startswith("was acknowledged")
    assert list(found(past, past.url)) == []


def test_what_may_have_been_pruned_is_counted_and_not_judged(past: Past, later: HandClock) -> None:
    with open_flow(past.url, clock=later) as flow, past.log.open() as lines:
        flow.resolve("db-2", by="ada")
        later.pass_time(2 * DAY)
        assert sum(step.incidents for step in flow.maintenance.prune(DAY)) == 1
        assert flow.find("db-2") is None
        lost = flow.maintenance.find_lost(lines)
    assert lost.findings == ()
    assert lost.old > 0


def test_who_prunes_later_may_look_further_back(past: Past, later: HandClock) -> None:
    assert list(found(past, past.old_url, clock=later)) == []
    assert [each[:2] for each in found(past, past.old_url, clock=later, kept_for=90 * DAY)] == [
        ("incident", past.gone),
        ("incident", past.kept),
    ]


def test_a_receipt_of_an_attempt_that_is_gone_is_found_without_a_log(past: Past) -> None:
    lines = [json.loads(line) for line in past.log.read_text().splitlines()]
    (attempt_id,) = [line["attempt_id"] for line in lines if line.get("incident_id") == past.gone and "attempt_id" in line]
    with open_flow(past.old_url) as flow:
        receipt = Receipt(provider="twilio", event_id="e-1", result=Result.DELIVERED, attempt_id=attempt_id)
        flow._service.receive(receipt, "")
        (lost,) = flow.maintenance.find_lost(()).findings
    assert (lost.machine, lost.row_id) == ("attempt", attempt_id)


def test_the_command_reads_logs_and_exits_with_1(past: Past) -> None:
    def check(*arguments: str, url: str = past.old_url, code: int = 1, typed: str = "") -> str:
        ended = CliRunner().invoke(app, ["check", *arguments], env={"NOTIFYFLOW_DATABASE_URL": url}, input=typed)
        assert ended.exit_code == code, ended.output
        return ended.stdout

    shown = check("--log", str(past.log))
    assert f"lost: incident {past.gone} was accepted" in shown
    assert "2 incidents checked; no findings" in check("--log", str(past.log), url=past.url, code=0)
    assert [each["row"] for each in json.loads(check("--log", "-", "--json", typed=past.gone))["findings"]] == [past.gone]
    assert "1 incident checked; no findings" in check(code=0)
    missing = CliRunner().invoke(app, ["check", "--log", "missing"], env={"NOTIFYFLOW_DATABASE_URL": past.url})
    assert "missing: cannot be read: No such file" in str(missing.exception)
    past.log.write_bytes(b"\xff not text\n" + past.log.read_bytes())
    assert shown == check("--log", str(past.log))
