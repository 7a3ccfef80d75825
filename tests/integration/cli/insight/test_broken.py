"""``notifyflow status --broken``: damaged rows are named, and released once they are mended."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from notifyflow.app import NotifyFlow
from notifyflow.cli.commands import app
from notifyflow.cli.frame.exits import Exit
from notifyflow.pipeline.limits.claim import claim
from notifyflow.settings import Settings
from tests.builders import a_recipient, an_incident
from tests.integration.web.delivery.test_api import SilentBell


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})


def _execute(sql: str) -> None:
    with closing(sqlite3.connect("notifyflow.db")) as db, db:
        db.execute(sql)


def test_a_damaged_row_is_listed_with_its_table_and_code_and_released_once_it_is_mended() -> None:
    with NotifyFlow(Settings.from_variables({}), bell=SilentBell()) as flow:
        flow.notify(an_incident(), [a_recipient("ada", email="ada@example.com")])
        _execute("UPDATE notifyflow_notification SET severity = 'LOUD'")
        assert claim(flow._deps, "email", (), limit=9, providers=("smtp",), reporting=()).claimed == ()
    (row,) = json.loads(run("status", "--broken", "--json").stdout)["rows"]
    assert (row["machine"], row["table"], row["code"], row["times"]) == ("notification", "notification", "ValueError", 1)
    shown = run("status", "--broken").stdout
    assert f"notification {row['row']}: its column severity cannot be read" in shown
    assert "table notification, code ValueError" in shown
    assert "set_aside: notification" in run("check").stdout
    again = run("status", "--broken", "--release", "unknown")
    assert again.exit_code == Exit.FAILED
    assert "unknown was not released" in again.stderr
    _execute("UPDATE notifyflow_notification SET severity = 'ERROR'")
    released = run("status", "--release", row["row"])
    assert released.exit_code == Exit.OK, released.output
    assert released.stdout == f"Released: {row['row']}.\nNo row is set aside.\n"


def test_a_key_and_damaged_rows_are_not_shown_together() -> None:
    assert "take no KEY" in run("status", "db-1", "--broken").stderr
