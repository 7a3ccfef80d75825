"""``notifyflow setup`` on a terminal: from nothing to a page that arrives."""

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifyflow.sandbox.system import Sandbox
from tests.acceptance.commands import CommandLine
from tests.acceptance.terminal import on_terminal
from tests.servers.postgres import Postgres, postgres
from tests.servers.redis import redis_server

DOCS = (Path(__file__).parents[2] / "docs/how-to/set-it-up.rst").read_text(encoding="utf-8")
PAGE = [line for line in textwrap.dedent(re.findall(r"code-block:: text\n\n((?:   .*\n)+)", DOCS)[0]).splitlines() if line != "…"]
LOGIN = ("ada", "open sesame")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(login=LOGIN) as running:
        yield running


def test_somebody_is_asked_as_the_page_shows_and_gets_a_page(tmp_path: Path, sandbox: Sandbox):
    given = sandbox.settings()
    right = given["NOTIFYFLOW_SMTP_URL"]
    trusted = {"NOTIFYFLOW_TRUSTED_ENDPOINTS": given["NOTIFYFLOW_TRUSTED_ENDPOINTS"]}
    with on_terminal("setup", folder=tmp_path, **trusted) as terminal:
        terminal.answer(r"DATABASE_URL: .*\n> .*: ", "mysql://sesame@localhost/x")
        terminal.wait_for("DATABASE_URL: the value does not begin with sqlite://, postgresql://")
        terminal.answer(r"DATABASE_URL: .*\n> .*: ", "")
        terminal.wait_for("✓ database: SQLite; its schema fits")
        terminal.answer(r"BROKER_URL.*\n.*: ", "")
        terminal.answer(r"PUBLIC_URL.*\n.*: ", "")
        terminal.answer(r"Provider \[smtp/ses/twilio/slack/teams\] \(smtp\): ", "")
        terminal.answer(r"SMTP_URL.*\n.*: ", right.replace("sesame", "sesam"))
        terminal.answer(r"MAIL_FROM.*\n.*: ", "pager@example.com")
        terminal.wait_for(r"✕ smtp \(email\): .*535")
        terminal.answer("Provider", "smtp")
        terminal.answer(r"SMTP_URL.*\n.*: ", right)
        terminal.answer(r"MAIL_FROM.*\n.*: ", "pager@example.com")
        terminal.wait_for(r"✓ smtp \(email\): logged in")
        terminal.answer("Their name: ", "Ada Lovelace")
        terminal.answer(r"Their id, .* \(ada-lovelace\): ", "ada")
        terminal.answer("Their mail address: ", "ada at example.com")
        terminal.answer("Their time zone.*: ", "Europe/Berlin")
        terminal.wait_for("person.email: ")
        terminal.answer(r"Their name \(Ada Lovelace\): ", "")
        terminal.answer(r"Their id, .* \(ada\): ", "")
        terminal.answer("Their mail address .*: ", "ada@example.com")
        terminal.answer("Their time zone.*: ", "")
        terminal.wait_for("9 settings written to")
        terminal.answer("Has it arrived.*: ", "y")
        terminal.wait_for("notifyflow up")
        assert terminal.end() == 0, terminal.shown
    assert "sesam" not in terminal.shown
    shown = [line.rstrip() for line in terminal.shown.replace(str(tmp_path), "/home/ada").splitlines()]
    assert [line for line in PAGE if same(line) not in map(same, shown)] == []
    (page,) = sandbox.inbox.messages()
    assert page.is_accepted
    assert (tmp_path / "notifyflow.env").stat().st_mode & 0o777 == 0o600
    line = CommandLine(tmp_path, loaded(tmp_path / "notifyflow.env"))
    assert line.run("config", "check").code == 0
    assert line.run("directory", "check").code == 0
    shown = line.run("status", "test-ada", "--json").document
    assert (shown["state"], shown["acknowledged_by"]) == ("ACKNOWLEDGED", "ada")


def test_the_url_of_a_webhook_is_not_shown_and_needs_no_setting(tmp_path: Path, sandbox: Sandbox):
    trusted = {"NOTIFYFLOW_TRUSTED_ENDPOINTS": sandbox.settings()["NOTIFYFLOW_TRUSTED_ENDPOINTS"]}
    with on_terminal("setup", folder=tmp_path, **trusted) as terminal:
        for name in ("DATABASE", "BROKER", "PUBLIC"):
            terminal.answer(rf"{name}_URL.*\n.*: ", "")
        terminal.answer("Provider", "teams")
        answers = {"name": "Ada", "id": "", "Slack": "", "Teams workflow": sandbox.teams_url("sesame"), "time zone": ""}
        for question, text in answers.items():
            terminal.answer(rf"{question}.*: ", text)
        terminal.answer("Has it arrived.*: ", "n")
        terminal.wait_for("The test page has not arrived; `notifyflow status test-ada -v` says why.")
        assert terminal.end() == 1
    assert "sesame" not in terminal.shown
    assert sandbox.inbox.messages()[0].is_accepted


def test_ctrl_c_leaves_no_settings_file(tmp_path: Path):
    with on_terminal("setup", folder=tmp_path) as terminal:
        terminal.answer(r"DATABASE_URL: .*\n> .*: ", "")
        terminal.answer(r"BROKER_URL.*\n.*: ", "")
        terminal.wait_for(r"PUBLIC_URL.*\n.*: ")
        terminal.type("\x03")
        terminal.wait_for("The settings were not written.")
        assert terminal.end() == 130
    assert {each.name for each in tmp_path.iterdir()} <= {"notifyflow.db", "notifyflow.db-shm", "notifyflow.db-wal"}


@pytest.mark.parametrize(("keys", "code"), [("\x04", 1), ("\x03", 130)], ids=["end of input", "Ctrl-C"])
def test_it_ends_at_its_last_question_and_says_how_to_start(tmp_path: Path, sandbox: Sandbox, keys: str, code: int):
    trusted = {"NOTIFYFLOW_TRUSTED_ENDPOINTS": sandbox.settings()["NOTIFYFLOW_TRUSTED_ENDPOINTS"]}
    with on_terminal("setup", folder=tmp_path, **trusted) as terminal:
        for name in ("DATABASE", "BROKER", "PUBLIC"):
            terminal.answer(rf"{name}_URL.*\n.*: ", "")
        terminal.answer("Provider", "teams")
        for question, text in {"name": "Ada", "id": "", "Slack": "", "Teams": sandbox.teams_url("a"), "time zone": ""}.items():
            terminal.answer(rf"{question}.*: ", text)
        terminal.wait_for("Has it arrived.*: ")
        terminal.type(keys)
        if code == 1:
            terminal.wait_for("Nobody said whether the test page has arrived; `notifyflow status test-ada -v` shows it.")
        terminal.wait_for("Start notifyflow with these settings:")
        assert terminal.end() == code
    assert {"directory.toml", "notifyflow.env"} <= {each.name for each in tmp_path.iterdir()}


def test_what_is_set_is_not_asked_and_is_named_where_it_is_wrong(tmp_path: Path, sandbox: Sandbox):
    given = sandbox.settings()
    names = ("TWILIO_ACCOUNT_SID", "TWILIO_SMS_FROM", "TWILIO_BASE_URL", "TRUSTED_ENDPOINTS")
    lines = [f"NOTIFYFLOW_{name}={given[f'NOTIFYFLOW_{name}']}" for name in names]
    lines += ["NOTIFYFLOW_TWILIO_AUTH_TOKEN=wrong-sesame", "NOTIFYFLOW_PUBLIC_URL=https://pages.example.com"]
    lines += ["NOTIFYFLOW_DATABASE_URL=sqlite:///notifyflow.db", "NOTIFYFLOW_BROKER_URL=memory://"]
    file = tmp_path / "notifyflow.env"
    file.write_text("\n".join(lines))
    with on_terminal("setup", folder=tmp_path) as terminal:
        terminal.wait_for(r"✕ twilio \(sms\): .*20003")
        terminal.wait_for("The settings were not written. Correct what is marked with ✕, and run the command again.")
        assert terminal.end() == 1
    assert "sesame" not in terminal.shown
    assert file.read_text() == "\n".join(lines)


def test_what_is_missing_is_not_asked_for_ever_where_what_is_set_is_wrong(tmp_path: Path, sandbox: Sandbox):
    given = sandbox.settings()
    names = ("TWILIO_ACCOUNT_SID", "TWILIO_BASE_URL", "TRUSTED_ENDPOINTS")
    lines = [f"NOTIFYFLOW_{name}={given[f'NOTIFYFLOW_{name}']}" for name in names]
    lines += ["NOTIFYFLOW_TWILIO_AUTH_TOKEN=wrong-sesame", "NOTIFYFLOW_PUBLIC_URL=https://pages.example.com"]
    lines += ["NOTIFYFLOW_DATABASE_URL=sqlite:///notifyflow.db", "NOTIFYFLOW_BROKER_URL=memory://"]
    (tmp_path / "notifyflow.env").write_text("\n".join(lines))
    with on_terminal("setup", folder=tmp_path) as terminal:
        for again in ("y", "n"):
            terminal.answer(r"TWILIO_SMS_FROM.*\n.*: ", given["NOTIFYFLOW_TWILIO_SMS_FROM"])
            terminal.wait_for(r"✕ twilio \(sms\): .*20003")
            terminal.answer(r"What is set already may be wrong, and is not asked. Ask for the rest again\? .*: ", again)
        terminal.wait_for("The settings were not written. Correct what is marked with ✕, and run the command again.")
        assert terminal.end() == 1
    assert "sesame" not in terminal.shown


def test_a_wrong_password_of_the_database_is_told_and_asked_again(tmp_path: Path, postgres_server: Postgres):
    postgres_server.create_login("pager", "open-sesame")
    database = postgres_server.create_database(owner="pager")
    url = f"postgresql://pager:PASSWORD@127.0.0.1:{postgres_server.port}/{database}"
    with on_terminal("setup", folder=tmp_path) as terminal:
        terminal.answer(r"DATABASE_URL: .*\n> .*: ", url.replace("PASSWORD", "sesame"))
        terminal.wait_for(
            r"✕ database: the database cannot be used \(127.0.0.1:\d+: the server refuses the user or the password\). Look at "
        )
        terminal.answer(r"DATABASE_URL: .*\n> .*: ", url.replace("PASSWORD", "open-sesame"))
        terminal.wait_for("✓ database: PostgreSQL; its schema fits")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert "sesame" not in terminal.shown


def test_answers_set_up_a_server_and_a_broker_without_a_question(tmp_path: Path, sandbox: Sandbox):
    given = sandbox.settings()
    names = ("SMTP_URL", "MAIL_FROM", "TRUSTED_ENDPOINTS")
    settings = {name.lower(): given[f"NOTIFYFLOW_{name}"] for name in names}
    with postgres() as server, redis_server() as redis:
        settings |= {"database_url": server.url(), "broker_url": redis.url}
        person = {"name": "Ada", "email": "ada@example.com"}
        (tmp_path / "answers.json").write_text(json.dumps({"settings": settings, "person": person}))
        with on_terminal("setup", "--answers", "answers.json", folder=tmp_path) as terminal:
            terminal.wait_for("✓ database: PostgreSQL; its schema fits")
            terminal.wait_for("✓ broker: redis://; it accepts messages")
            terminal.wait_for("dramatiq notifyflow.worker")
            assert terminal.end() == 0, terminal.shown
    assert "sesame" not in terminal.shown
    assert sandbox.inbox.messages()[0].is_accepted


def same(line: str) -> str:
    """A line without its times, frame, suggestions and number of settings; here a setting more is taken over."""
    return re.sub(r"\d\d:\d\d:\d\d|^[89] settings| \([^)]*\)", "", line.strip("│ "))


def loaded(file: Path) -> dict[str, str]:
    """The settings of a file without quoted values but the operations recipients."""
    lines = (line.split("=", 1) for line in file.read_text().splitlines() if not line.startswith("#"))
    return {name: re.sub("^'(.*)'$", r"\1", value) for name, value in lines}
