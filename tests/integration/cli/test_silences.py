"""The command line silences incidents, lists silences, and ends them; what it shows names the author, the end and the reason."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from notifyflow import Incident, NotifyFlow, Recipient
from notifyflow.app.clock_and_ids import system_now
from notifyflow.cli.commands import app
from notifyflow.errors import InvalidInput, SilenceNotFound


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOTIFYFLOW_DATABASE_URL", f"sqlite:///{tmp_path}/notifyflow.db")
    monkeypatch.setenv("NOTIFYFLOW_BROKER_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("COLUMNS", "200")


def run(*arguments: str) -> str:
    ended = CliRunner().invoke(app, arguments)
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_a_silence_is_started_listed_and_ended() -> None:
    assert run("silence") == "Nothing is silenced.\n"
    started = run("silence", "team=orders", "severity<=ERROR", "--for", "2h", "--why", "upgrade", "--by", "Grace")
    assert re.search(
        r"∅ team=orders severity<=ERROR is silenced until \w+ \d+ \w+ [\d:]+ \w+ by Grace: upgrade  \w{32}\n", started
    )
    (listed,) = json.loads(run("silence", "list", "--json"))
    assert (listed["match"], listed["author"], listed["author_kind"]) == ("team=orders severity<=ERROR", "Grace", "command")
    assert listed["warnings"] == ["no route, recent incident or watched job has the label 'team'"]
    assert f"! {listed['warnings'][0]}\n" in started
    assert run("silence", "end", listed["id"], "--by", "Ada") == "Ended.\n"
    assert run("silence", "end", listed["id"]) == "It was over already.\n"
    assert "by Grace: upgrade; ended by Ada\n" in run("silence", "list")
    ended = json.loads(run("silence", "end", listed["id"], "--json"))
    assert [each["ended_by"] for each in ended] == ["Ada"]


def test_a_silence_is_planned_for_some_namespaces() -> None:
    begins_at = system_now() + timedelta(hours=3)
    words = ("--at", f"{begins_at:%Y-%m-%dT%H:%M%z}", "--namespace", "orders", "--namespace", "stock")
    (planned,) = json.loads(run("silence", "key=db-*", "--for", "1h", "--why", "upgrade", *words, "--json"))
    assert (planned["namespaces"], planned["match"]) == (["orders", "stock"], "key=db-* severity<=ERROR")
    assert "will be silenced from" in run("silence")
    found = json.loads(run("silence", "team=orders", "--for", "1h", "--why", "upgrade", "--at", "22:00", "--json"))
    assert [each["begins_at"][10:] for each in found if each["namespaces"] is None] == ["T22:00:00Z"]


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("team=orders", "--why", "upgrade"), "--for"),
        (("team=orders", "--for", "2h"), "--why"),
        (("team=orders", "--for", "2h", "--why", "upgrade", "--at", "soon"), "--at"),
        (("team=orders", "--for", "2h", "--why", "upgrade", "--at", "2026-01-01 22:00"), "--at"),
        (("team=orders", "--for", "25h", "--why", "upgrade"), "--for"),
        (("orders", "--for", "2h", "--why", "upgrade"), "match"),
        (("*=*", "--for", "2h", "--why", "upgrade"), "match"),
        (("", "--for", "2h", "--why", "upgrade"), "match"),
    ],
)
def test_what_is_missing_or_wrong_is_named_as_it_is_typed(words: tuple[str, ...], where: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        run("silence", *words)
    assert [each.where for each in refused.value.faults] == [where]


def test_a_silence_that_is_unknown_is_refused() -> None:
    with pytest.raises(SilenceNotFound, match="`notifyflow silence list` shows those there are"):
        run("silence", "end", "none")


def test_status_and_list_show_who_silenced_an_incident() -> None:
    run("silence", "team=orders", "--for", "2h", "--why", "upgrade", "--by", "Grace")
    with NotifyFlow.from_env() as flow:
        flow.notify(Incident(key="db-1", title="down", labels={"team": "stock"}), [Recipient(id="ada", email="ada@example.com")])
        flow.notify(Incident(key="db-1", title="down", labels={"team": "orders"}), [Recipient(id="ada", email="ada@example.com")])
    shown = run("status", "db-1")
    assert re.search(r"silenced by Grace until [\w :]+: upgrade", shown)
    listed = run("list")
    assert "silenced until" in listed
    assert "∅ team=orders severity<=ERROR is silenced until" in listed
    assert [each["match"] for each in json.loads(run("list", "--json"))["silences"]] == ["team=orders severity<=ERROR"]
    document = json.loads(run("status", "db-1", "--json"))
    assert [(each["author"], each["reason"]) for each in document["silences"]] == [("Grace", "upgrade")]
    assert any(each["event"] == "silenced" and "silenced by Grace until" in each["text"] for each in document["timeline"])
    assert run("check").endswith("1 incident checked; no findings.\n")


def test_explain_says_what_is_silenced_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "directory.toml").write_text('[recipients.ada]\nemail = "ada@example.com"\n[default]\nto = ["ada"]\n')
    monkeypatch.setenv("NOTIFYFLOW_DIRECTORY", str(tmp_path / "directory.toml"))
    assert "silenced" not in run("explain", "--label", "team=orders")
    assert json.loads(run("explain", "--label", "team=orders", "--json"))["silences"] == []
    run("silence", "team=orders", "--for", "2h", "--why", "upgrade", "--by", "Grace")
    line = run("explain", "--label", "team=orders").splitlines()[0]
    assert re.fullmatch(
        r"! silenced by Grace until \w+ \d+ \w+ [\d:]+ \w+: upgrade; until then nobody is paged about ERROR or less", line
    )
    assert "silenced" not in run("explain", "--label", "team=stock")
    (silence,) = json.loads(run("explain", "--label", "team=orders", "--json"))["silences"]
    assert silence["match"] == "team=orders severity<=ERROR"


def test_check_names_a_silence_without_an_author_and_an_incident_that_it_holds_after_its_end(tmp_path: Path) -> None:
    with NotifyFlow.from_env() as flow:
        flow.notify(Incident(key="db-1", title="down", labels={"team": "orders"}), [Recipient(id="ada", email="ada@example.com")])
    run("silence", "team=orders", "--for", "2h", "--why", "upgrade")
    (silence,) = json.loads(run("silence", "list", "--json"))
    run("silence", "end", silence["id"])
    assert run("check").endswith("no findings.\n")
    with closing(sqlite3.connect(tmp_path / "notifyflow.db")) as db:
        db.execute("UPDATE notifyflow_silence SET author = ' '")
        db.execute("UPDATE notifyflow_silenced_incident SET ended_at = '2999-01-01 00:00:00.000000+00:00'")
        db.commit()
    ended = CliRunner().invoke(app, ["check"])
    assert ended.exit_code == 1
    assert "has no author, or no reason" in ended.output
    assert re.search(r"holds the incident \w{32} after its end", ended.output)


def test_a_silence_that_cannot_be_read_is_listed_and_ended(tmp_path: Path) -> None:
    run("silence", "team=orders", "--for", "2h", "--why", "upgrade")
    (silence,) = json.loads(run("silence", "list", "--json"))
    with closing(sqlite3.connect(tmp_path / "notifyflow.db")) as db:
        db.execute("UPDATE notifyflow_silence SET matchers = '{'")
        db.commit()
    line = f"! The silence {silence['id']} cannot be read: it covers nothing new, and holds no incident: "
    assert f"{line}notifyflow silence end {silence['id']}\n" in (listed := run("silence"))
    assert "Nothing is silenced" not in listed
    checked = CliRunner().invoke(app, ["check"])
    assert (checked.exit_code, f"silence {silence['id']}" in checked.output) == (1, True)
    assert run("silence", "end", silence["id"]).startswith("Ended.\n")
    assert "Nothing is silenced.\n" in run("silence")
