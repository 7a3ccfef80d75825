"""A process that delivers tells of hand-overs by itself; what is damaged does not end its thread."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.engine.hand_over_teller import HandOverTeller
from notifyflow.errors import StorageUnavailable
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from tests.log_lines import capture_logs
from tests.waiting import wait_until

DIRECTORY = """
recipients.ada = {{ name = "Ada", email = "ada@example.com", phone = "+15005550006" }}
default.to = ["@primary"]
[schedules.primary]
timezone = "UTC"
handover = true
layers = [{{ who = ["ada"], from = {first:%Y-%m-%dT%H:%M:%S}, every = "1d" }}]
"""


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "directory.toml"
    path.write_text(DIRECTORY.format(first=datetime.now(UTC) - timedelta(minutes=9)))
    return {"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_DIRECTORY": str(path)}


def test_a_mail_tells_who_has_begun(settings: dict[str, str]) -> None:
    with (
        Sandbox() as sandbox,
        capture_logs() as logs,
        NotifyFlow(Settings.from_variables(settings | dict(sandbox.settings()))) as flow,
    ):
        flow.start()
        mail = sandbox.inbox.wait_for(lambda message: message.channel == "email")
        assert mail is not None
        flow.wait("notifyflow/hand-over/primary", timeout_s=30)
    (told,) = (line for line in logs if line["event"] == "engine.duty_handed_over")
    assert (told["schedule"], told["people"]) == ("primary", ["ada"])
    assert [message.channel for message in sandbox.inbox.messages()] == ["email"]
    assert "Hand-over of primary: Ada since" in repr(mail)
    assert "Before: nobody" in repr(mail)


def test_a_damaged_row_does_not_end_the_thread_and_a_database_that_is_away_is_asked_again(
    settings: dict[str, str], sqlite_url: str
) -> None:
    with NotifyFlow(Settings.from_variables(settings)) as flow:
        rosters, used = flow._service.rosters, []

        def roster() -> object:
            used.append(1)
            if len(used) == 1:
                raise StorageUnavailable(5)
            return rosters.current()

        rosters.read()
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database, database:
            database.execute("UPDATE notifyflow_roster SET document = 'x', digest = 'y'")
        teller = HandOverTeller(flow._service._use_cases, roster, every=timedelta(milliseconds=1))  # type: ignore[arg-type]
        with capture_logs() as logs:
            teller.start()
            wait_until(lambda: len(logs) > 1)
            teller.stop()
    assert {line["event"] for line in logs} == {"engine.watch_loop_broke"}
