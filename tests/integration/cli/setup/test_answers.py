"""``notifyflow setup --answers FILE``: from nothing to a page that arrives, or one sentence that says what is wrong."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from notifyflow.cli.commands import app
from notifyflow.cli.frame.exits import Exit, code_of
from notifyflow.cli.setup import answers, interview
from notifyflow.cli.setup.draft import Draft
from notifyflow.cli.setup.offers import OFFERS
from notifyflow.errors import NotifyflowError
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from notifyflow.settings.settings_file import SettingsFile
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis, redis_server

ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "phone": "+15005550011", "slack": "U0123ABCD"}
SECRETS = ("sesame", "sandbox-auth-token", "xoxb-sandbox", "0pen-secret-key-of-ours")
OF_PROVIDERS = {
    "smtp": ("SMTP_URL", "MAIL_FROM"),
    "twilio": ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_SMS_FROM", "TWILIO_BASE_URL"),
    "slack": ("SLACK_BOT_TOKEN", "SLACK_BASE_URL"),
}
ADDRESS = {"smtp": "email", "twilio": "phone", "slack": "slack"}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(login=("ada", "open sesame")) as running:
        yield running


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [each for each in os.environ if each.startswith("NOTIFYFLOW_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "set up"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@dataclass(frozen=True)
class Ended:
    """The exit code and everything that was shown."""

    code: int
    out: str


def run(*options: str, input_text: str = "", **variables: str) -> Ended:
    ended = CliRunner().invoke(app, ["setup", *options], input=input_text, env={"COLUMNS": "200", **variables})
    shown = ended.output
    code = ended.exit_code
    if isinstance(ended.exception, NotifyflowError):
        shown, code = f"{shown}{ended.exception}", code_of(ended.exception)
    else:
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended
    assert [each for each in SECRETS if each in shown] == []
    return Ended(code, shown)


def answered(settings: Mapping[str, Any], person: Mapping[str, Any], *options: str, **variables: str) -> Ended:
    document = json.dumps({"settings": settings, "person": person})
    return run("--answers", "-", *options, input_text=document, **variables)


def of_sandbox(sandbox: Sandbox, provider: str = "smtp") -> dict[str, str]:
    given = sandbox.settings()
    return {name.lower(): given[f"NOTIFYFLOW_{name}"] for name in (*OF_PROVIDERS[provider], "TRUSTED_ENDPOINTS")}


def reached_by(provider: str) -> dict[str, str]:
    return {name: ADA[name] for name in ("name", ADDRESS[provider])}


def variables_of(file: Path) -> dict[str, str]:
    """The settings of a file as a shell reads them."""
    command = ["sh", "-c", 'set -a; . "$0"; env -0', file]
    shown = subprocess.run(command, env={}, capture_output=True, text=True, check=True).stdout
    return dict(each.split("=", 1) for each in shown.split("\0") if each.startswith("NOTIFYFLOW_"))


@pytest.mark.parametrize(
    ("database", "broker", "provider"),
    [("sqlite", "memory", "slack"), ("sqlite", "memory", "twilio"), ("postgres", "redis", "smtp")],
)
def test_nothing_becomes_a_page_that_arrives(
    folder: Path, sandbox: Sandbox, request: pytest.FixtureRequest, database: str, broker: str, provider: str
):
    settings = of_sandbox(sandbox, provider)
    if database == "postgres":
        server: Postgres = request.getfixturevalue("postgres_server")
        settings["database_url"] = server.url(server.create_database())
    if broker == "redis":
        settings["broker_url"] = request.getfixturevalue("redis").url
    ended = answered(settings, reached_by(provider))
    assert ended.code == 0, ended
    assert f"✓ database: {'SQLite' if database == 'sqlite' else 'PostgreSQL'}; its schema fits" in ended.out
    assert ("dramatiq notifyflow.worker" in ended.out) == (broker == "redis")
    (page,) = sandbox.inbox.messages()
    assert page.is_accepted
    file = folder / "notifyflow.env"
    assert {each.name: each.stat().st_mode & 0o777 for each in (file, folder / "directory.toml")} == {
        "notifyflow.env": 0o600,
        "directory.toml": 0o600,
    }
    checked = CliRunner().invoke(app, ["config", "check"], env=variables_of(file))
    assert checked.exit_code == 0, checked.output
    assert "default pages by insistent" in checked.output
    assert CliRunner().invoke(app, ["directory", "check"], env=variables_of(file)).exit_code == 0


def test_a_second_run_changes_nothing_and_sends_nothing(folder: Path, sandbox: Sandbox):
    assert answered(of_sandbox(sandbox), reached_by("smtp")).code == 0
    before = {each: (each.read_bytes(), each.stat().st_mtime_ns) for each in folder.iterdir() if each.suffix in (".env", ".toml")}
    again = answered({**of_sandbox(sandbox), "mail_from": "other@example.com"}, reached_by("smtp"))
    assert again.code == 0, again
    assert "is complete" in again.out
    assert {each: (each.read_bytes(), each.stat().st_mtime_ns) for each in before} == before
    assert len(sandbox.inbox.messages()) == 1


def test_what_is_set_stays_and_what_the_shell_has_is_taken_over(folder: Path, sandbox: Sandbox):
    file = folder / "notifyflow.env"
    ours = "# Ours.\nNOTIFYFLOW_SECRET_KEY='0pen-secret-key-of-ours'\nNOTIFYFLOW_NOTICE=drill\n"
    file.write_text(ours)
    given = {name: value for name, value in sandbox.settings().items() if "SECRET" not in name}
    assert given["NOTIFYFLOW_NOTICE"] == "sandbox"
    ended = answered({"notice": "other"}, ADA, **given)
    assert ended.code == 0, ended
    assert "Taken over from this shell: " in ended.out
    assert file.read_text().startswith(ours)
    found = variables_of(file)
    assert (found["NOTIFYFLOW_NOTICE"], found["NOTIFYFLOW_SECRET_KEY"]) == ("drill", "0pen-secret-key-of-ours")
    assert found["NOTIFYFLOW_TWILIO_AUTH_TOKEN"] == given["NOTIFYFLOW_TWILIO_AUTH_TOKEN"]


def test_a_key_is_made_where_there_is_none(folder: Path, sandbox: Sandbox):
    ended = answered(of_sandbox(sandbox), reached_by("smtp"), "--no-test-page")
    assert ended.code == 0, ended
    key = variables_of(folder / "notifyflow.env")["NOTIFYFLOW_SECRET_KEY"]
    assert len(key) == 43
    assert key not in ended.out
    assert sandbox.inbox.messages() == ()


def test_a_directory_that_is_there_is_used_as_it_is(folder: Path, sandbox: Sandbox):
    directory = folder / "directory.toml"
    directory.write_text('recipients.ben.email = "ben@example.com"\ndefault.to = ["ben"]\n')
    refused = answered(of_sandbox(sandbox), reached_by("smtp"))
    assert refused.code == Exit.BAD_INPUT
    assert f"person: ada-lovelace is not in the directory {directory}, which is left as it is." in refused.out
    taken = answered({**of_sandbox(sandbox), "ops_recipients": [{"id": "ben", "email": "ben@example.com"}]}, {})
    assert taken.code == 0, taken
    assert variables_of(folder / "notifyflow.env")["NOTIFYFLOW_DIRECTORY"] == str(directory)
    assert sandbox.inbox.messages() == ()


def test_another_directory_that_is_named_is_used(folder: Path, sandbox: Sandbox):
    for name in ("directory", "other"):
        (folder / f"{name}.toml").write_text('recipients.ben.email = "ben@example.com"\ndefault.to = ["ben"]\n')
    operations = [{"id": "ben", "email": "ben@example.com"}]
    ended = answered({**of_sandbox(sandbox), "ops_recipients": operations, "directory": str(folder / "other.toml")}, {})
    assert ended.code == 0, ended
    assert variables_of(folder / "notifyflow.env")["NOTIFYFLOW_DIRECTORY"] == str(folder / "other.toml")


WRONG = {
    "an unknown table": ({}, {}, "people", "people: 'people' is not a known table."),
    "an unknown setting": ({"smtp_ulr": "x"}, {}, "", "smtp_ulr: is not a setting. Use smtp_url, if that was meant."),
    "an unknown field": ({}, {"mail": "a@b"}, "", "person.mail: 'mail' is not a known field of a person."),
    "no text": ({}, {"phone": 15005550011}, "", "person.phone: is not text. Put it in quotes."),
    "nobody": ({}, {}, "", "person.name: is missing, and so is an id. Name the person to page."),
    "no address": ({}, {"name": "Ada"}, "", "person: ada has no address. Give one for one of email, "),
    "a bad address": ({}, {"name": "Ada", "email": "ada"}, "", "person.email: "),
    "no provider": ({}, {"name": "Ada", "phone": "+15005550011"}, "", "person: no provider carries sms."),
    "a bad URL": ({"database_url": "mysql://sesame@localhost/x"}, ADA, "", "NOTIFYFLOW_DATABASE_URL: the value does not begin"),
    "a bad provider": ({"twilio_account_sid": "AB"}, ADA, "", "NOTIFYFLOW_TWILIO_ACCOUNT_SID: "),
    "a line break": ({"notice": "a\nb"}, ADA, "", "NOTIFYFLOW_NOTICE: has a line break"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer_is_named_and_nothing_is_written(folder: Path, sandbox: Sandbox, case: str):
    settings, person, table, sentence = WRONG[case]
    document = {"settings": {**of_sandbox(sandbox), **settings}, "person": person, **({table: {}} if table else {})}
    ended = run("--answers", "-", input_text=json.dumps(document))
    assert ended.code == Exit.BAD_INPUT, ended
    assert sentence in ended.out
    assert list(folder.iterdir()) == []


def test_a_provider_is_set_by_its_own_settings_and_not_by_the_account_alone(folder: Path, sandbox: Sandbox):
    file = SettingsFile(path=folder / "notifyflow.env", text=None, variables=sandbox.settings())
    assert interview.providers(Draft(file=file)) == ["smtp", "twilio", "slack"]  # and none of Amazon's mail
    assert interview.providers(Draft(file=replace(file, variables={}))) == []


def test_the_settings_of_an_offer_exist():
    names = [name for offer in OFFERS.values() for name in (*offer.settings, *offer.more)]
    assert set(names) <= Settings.model_fields.keys()


def test_the_answers_of_the_page_are_understood(folder: Path):
    page = (Path(__file__).parents[4] / "docs/how-to/set-it-up.rst").read_text(encoding="utf-8")
    (block,) = re.findall(r"code-block:: toml\n\n((?:(?:   .*)?\n)+)", page)
    (folder / "answers.toml").write_text(textwrap.dedent(block))
    found = answers.read("answers.toml")
    assert Draft(file=SettingsFile.read(folder / "x.env")).adding(found.settings).has("twilio_auth_token")
    assert found.person["id"] == "ada"


def test_a_file_that_is_not_toml_or_not_there_is_refused(folder: Path):
    (folder / "a.toml").write_text("[settings]\nsmtp_url = sesame\n")
    assert "document: it is not valid TOML: Invalid value (at line 2, column 12)." in run("--answers", "a.toml").out
    missing = run("--answers", "b.toml")
    assert (missing.code, "b.toml: cannot be read: No such file" in missing.out) == (Exit.BAD_INPUT, True)


def test_toml_is_read_like_json(folder: Path, sandbox: Sandbox):
    lines = "".join(f"{name} = {json.dumps(text)}\n" for name, text in of_sandbox(sandbox).items())
    (folder / "a.toml").write_text(
        f"[settings]\n{lines}status_updates = false\n[person]\nname = 'Ada'\nemail = 'ada@example.com'\n"
    )
    ended = run("--answers", "a.toml", "--no-test-page")
    assert ended.code == 0, ended
    assert variables_of(folder / "notifyflow.env")["NOTIFYFLOW_STATUS_UPDATES"] == "false"


UNUSABLE = {
    "no server": ("database_url", "postgresql://ada:sesame@127.0.0.1:1/x", 3, "127.0.0.1:1: connection refused"),
    "no database": ("database_url", "postgresql://postgres:sesame@127.0.0.1:{port}/none", 3, "the server has no such database"),
    "no permission": ("database_url", "postgresql://reader:sesame@127.0.0.1:{port}/postgres", 3, "create tables in it"),
    "no folder": ("database_url", "sqlite:////nowhere/x.db", 3, "the folder /nowhere does not exist"),
    "no broker": ("broker_url", "redis://:sesame@127.0.0.1:1/0", 3, "(ConnectionError). Look at NOTIFYFLOW_BROKER_URL"),
    "a wrong password": ("smtp_url", "smtp://ada:sesame2@127.0.0.1:{smtp}", 1, "✕ smtp (email): our credentials are invalid"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_cannot_be_connected_to_is_named_and_nothing_is_written(
    folder: Path, sandbox: Sandbox, postgres_server: Postgres, case: str
):
    name, value, code, sentence = UNUSABLE[case]
    if case == "no permission":
        with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
            connection.execute("CREATE ROLE reader LOGIN")
    settings = of_sandbox(sandbox)
    smtp = settings["smtp_url"].rpartition(":")[2]
    ended = answered({**settings, name: value.format(port=postgres_server.port, smtp=smtp)}, reached_by("smtp"))
    assert ended.code == code, ended
    assert sentence in ended.out
    assert "The settings were not written." in ended.out
    assert not {"notifyflow.env", "directory.toml"} & {each.name for each in folder.iterdir()}


def test_a_server_that_wants_another_password_says_so(folder: Path, sandbox: Sandbox, postgres_server: Postgres):
    postgres_server.create_login("pager", "open-sesame")
    database = postgres_server.create_database(owner="pager")
    for login, code, sentence in (
        ("pager:sesame2", Exit.UNAVAILABLE, "the server refuses the user or the password"),
        ("nobody:sesame", Exit.UNAVAILABLE, "the server has no such user"),
        ("pager", Exit.UNAVAILABLE, "the server wants a password"),
        ("pager:open-sesame", Exit.OK, "✓ database: PostgreSQL; its schema fits"),
    ):
        url = f"postgresql://{login}@127.0.0.1:{postgres_server.port}/{database}"
        ended = answered({**of_sandbox(sandbox), "database_url": url}, reached_by("smtp"))
        assert (ended.code, sentence in ended.out) == (code, True), ended
        assert (folder / "notifyflow.env").exists() is (code == Exit.OK)


def test_a_page_that_is_refused_is_told_and_the_settings_stay(folder: Path, sandbox: Sandbox):
    sandbox.script("email: 550")
    ended = answered(of_sandbox(sandbox), reached_by("smtp"))
    assert ended.code == Exit.FAILED, ended
    assert "! The test page has not arrived; `notifyflow status test-ada-lovelace -v` says why." in ended.out
    assert (folder / "notifyflow.env").exists()


def test_a_disk_that_is_full_at_the_end_leaves_no_directory_without_settings(folder: Path, sandbox: Sandbox, postgres_url: str):
    settings = {**of_sandbox(sandbox), "database_url": postgres_url, "notice": "x" * 1000}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        ended = answered(settings, reached_by("smtp"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ended.code == Exit.BAD_INPUT, ended
    assert f"{folder / 'notifyflow.env'}: it cannot be written: File too large." in ended.out
    assert list(folder.iterdir()) == []


def test_nobody_can_be_asked_without_a_terminal(folder: Path):
    ended = run()
    assert ended.code == Exit.BAD_INPUT
    assert "Give the answers in a file with --answers." in ended.out
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_named_before_anything_else(folder: Path):
    ended = answered({}, {}, "--file", "etc/notifyflow.env")
    assert ended.code == Exit.BAD_INPUT
    assert f"{folder / 'etc/notifyflow.env'}: it cannot be written: No such file or directory." in ended.out


@pytest.mark.parametrize("write", range(2))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_interrupt_leaves_both_files_whole(
    folder: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, write: int, moment: str
) -> None:
    replace_file, done = os.replace, []

    def interrupted(source: str, target: Path) -> None:
        is_now = len(done) == write
        if is_now and moment == "before":
            signal.raise_signal(signal.SIGINT)
        replace_file(source, target)
        done.append(target)
        if is_now and moment == "after":
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", interrupted)
    ended = CliRunner().invoke(
        app,
        ["setup", "--answers", "-"],
        input=json.dumps({"settings": of_sandbox(sandbox), "person": {**ADA, "phone": "", "slack": ""}}),
    )
    assert ended.exit_code == 130, ended.output
    assert {each.name for each in folder.iterdir()} == {"directory.toml", "notifyflow.env", "notifyflow.db"}
    assert "were not written" not in ended.output
    assert SettingsFile.read(folder / "notifyflow.env").variables["NOTIFYFLOW_DIRECTORY"] == str(folder / "directory.toml")


def test_a_closed_standard_input_is_no_terminal(folder: Path) -> None:
    program = Path(sys.executable).with_name("notifyflow")
    ended = subprocess.run(["sh", "-c", 'exec "$0" setup <&-', program], capture_output=True, text=True, check=False)
    assert (ended.returncode, list(folder.iterdir())) == (2, [])
    assert "standard input is not a terminal. Give the answers in a file with --answers." in ended.stderr
