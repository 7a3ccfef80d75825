"""``notifyflow config check`` logs in everywhere, tells everything that is wrong at once and each fault once, and no secret."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from notifyflow.cli.commands import app
from notifyflow.sandbox.system import Sandbox
from tests import pagers

OPERATIONS = '[{"id": "operations", "email": "operations@example.com"}]'
OF_PROVIDERS = tuple(f"NOTIFYFLOW_{name}_" for name in ("SMTP", "MAIL", "TWILIO", "AWS", "SES", "SNS"))
CHAT = '[{"id": "operations", "slack": "https://hooks.slack.com/services/T/B/x"}]'
LOGINS = ("smtp", "sns", "slack", "twilio")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(login=("ada", "open sesame")) as running:
        yield running


@dataclass(frozen=True)
class Ended:
    """The exit code of the command and its output."""

    code: int
    out: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """Runs the command in a folder, with some settings."""

    folder: Path
    variables: dict[str, str]

    def write(self, name: str, content: str) -> str:
        (self.folder / name).write_text(content)
        return name


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    return CommandLine(tmp_path, {})


@pytest.fixture
def sandboxed(line: CommandLine, sandbox: Sandbox) -> CommandLine:
    links = {"NOTIFYFLOW_PUBLIC_URL": "http://127.0.0.1:1", "NOTIFYFLOW_OPS_RECIPIENTS": OPERATIONS}
    return CommandLine(line.folder, sandbox.settings() | links)


def check(line: CommandLine, *options: str, **variables: str) -> Ended:
    ended = CliRunner().invoke(app, ["config", "check", *options], env={**line.variables, **variables})
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended
    return Ended(ended.exit_code, ended.stdout)


def marks(ended: Ended) -> dict[str, str]:
    """Return what each line is about, and its mark; a name must not come twice under different marks."""
    found: dict[str, str] = {}
    for mark, name in re.findall(r"^([✓✕!·]) ([\w./-]+)", ended.out, re.MULTILINE):
        assert found.setdefault(name, mark) == mark, ended
    return found


def test_every_account_is_logged_in_to_and_nothing_is_sent(sandboxed: CommandLine, sandbox: Sandbox):
    ended = check(sandboxed)
    assert ended.code == 0, ended
    assert {name: marks(ended)[name] for name in ("database", "broker", *LOGINS)} == dict.fromkeys(
        ("database", "broker", *LOGINS), "✓"
    )
    assert "· teams (teams): not tried: it has no login" in ended.out
    assert marks(ended)["NOTIFYFLOW_TRUSTED_ENDPOINTS"] == "!"
    assert "The settings allow a start." in ended.out
    assert sandbox.inbox.messages() == ()


WRONG = {
    "NOTIFYFLOW_TWILIO_AUTH_TOKEN": "wrong-sesame",
    "NOTIFYFLOW_SLACK_BOT_TOKEN": "xoxb-sesame",
    "NOTIFYFLOW_AWS_ACCESS_KEY_ID": "AKIASESAME",
}


def test_accounts_that_refuse_us_are_all_named_and_no_secret_is(sandboxed: CommandLine):
    mail = sandboxed.variables["NOTIFYFLOW_SMTP_URL"].replace("sesame", "sesam")
    ended = check(sandboxed, NOTIFYFLOW_SMTP_URL=mail, **WRONG)
    assert ended.code == 1, ended
    assert {name: marks(ended)[name] for name in LOGINS} == dict.fromkeys(LOGINS, "✕")
    for code in ("535 5.7.8", "InvalidClientTokenId", "invalid_auth", "20003"):
        assert f"({code})" in ended.out
    assert "4 faults." in ended.out
    assert "sesam" not in ended.out.lower()
    document = check(sandboxed, "--json", NOTIFYFLOW_SMTP_URL=mail, **WRONG).document
    assert {name: document["providers"][name]["is_good"] for name in LOGINS} == dict.fromkeys(LOGINS, False)
    assert document["providers"]["teams"] == {"is_good": None, "detail": "not tried: it has no login"}


def test_offline_connects_to_nothing_and_still_checks_the_settings(sandboxed: CommandLine):
    ended = check(sandboxed, "--offline", **WRONG)
    assert ended.code == 0, ended
    names = ("database", "broker", *LOGINS)
    assert {name: marks(ended)[name] for name in names} == dict.fromkeys(names, "·")
    assert check(sandboxed, "--offline", NOTIFYFLOW_TWILIO_ACCOUNT_SID="AB").code == 2
    document = check(sandboxed, "--offline", "--json").document
    assert document["database"] == {"is_good": None, "detail": "not tried"}


def test_everything_that_is_wrong_is_told_at_once_and_each_fault_once(sandboxed: CommandLine):
    wrong = {
        "DATABASE_URL": "postgresql://ada:ses@me@db/x",
        "PUBLIC_URL": "htp://page.example.com",
        "POLICIES": "nowhere.toml",
        "SMTP_URL": "mailto:ada@example.com",
        "TWILIO_ACCOUNT_SID": "AB123",
        "READ_TIMEOUT_S": "soon",
        "DELIVERY": "redirect:pigeon=coop",
        "DIRECTORY": sandboxed.write("directory.toml", "[default"),
        "OPS_RECIPIENTS": "nobody.json",
        "AWS_ACCESS_KEY_ID": "",
        "AWS_ACCESS_KEY_ID_FILE": "nowhere.key",
        "SLACK_BOT_TOKEN": "xoxb-wrong",
        "COLOUR": "red",
    }
    ended = check(sandboxed, **{f"NOTIFYFLOW_{name}": value for name, value in wrong.items()})
    assert ended.code == 2, ended
    found = marks(ended)
    expected = {name for name in wrong if name not in ("SLACK_BOT_TOKEN", "AWS_ACCESS_KEY_ID")}
    assert {name for name in expected if found.get(f"NOTIFYFLOW_{name}") != "✕"} == set()
    assert found["slack"] == "✕"
    assert "sns (push): not tried: a setting that it needs is wrong" in ended.out
    assert not {"database", "smtp", "twilio"} & found.keys()
    assert "ses@me" not in ended.out
    assert len(re.findall("^✕", ended.out, re.MULTILINE)) == len(expected) + 1
    document = check(sandboxed, "--json", **{f"NOTIFYFLOW_{name}": value for name, value in wrong.items()}).document
    assert {fault["where"].split()[0] for fault in document["faults"]} == {f"NOTIFYFLOW_{name}" for name in expected}


def test_a_wrong_setting_of_one_service_at_aws_keeps_no_other_from_being_tried(sandboxed: CommandLine):
    ended = check(sandboxed, NOTIFYFLOW_SES_FROM="pager@example.com", NOTIFYFLOW_SNS_TOPICS="nowhere")
    assert ended.code == 2, ended
    found = marks(ended)
    assert (found["ses"], found["sns"]) == ("✓", "·"), ended


def test_without_any_setting_what_is_unused_is_no_fault_but_nobody_can_be_reached(line: CommandLine):
    ended = check(line)
    assert ended.code == 1, ended
    assert "The settings allow a start, but nobody can be reached." in ended.out
    assert "! channels nobody can be reached by any of email, push, sms, voice: none is configured." in ended.out
    assert (
        "! NOTIFYFLOW_OPS_RECIPIENTS nobody can be reached: it names no recipient with an address that can be used." in ended.out
    )
    assert "· sms not used: NOTIFYFLOW_TWILIO_ACCOUNT_SID: is not set." in ended.out
    assert {name: marks(ended)[name] for name in ("email", "push", "sms", "voice")} == dict.fromkeys(
        ("email", "push", "sms", "voice"), "·"
    )
    assert "✕" not in ended.out
    assert set(check(line, "--json").document["unused"]) == {"email", "push", "sms", "voice"}


def test_an_account_that_only_calls_or_only_texts_is_no_fault(sandboxed: CommandLine):
    ended = check(sandboxed, NOTIFYFLOW_TWILIO_VOICE_FROM="")
    assert ended.code == 0, ended
    assert "✓ twilio (sms): the account is active" in ended.out
    assert "· voice not used: NOTIFYFLOW_TWILIO_VOICE_FROM: is not set." in ended.out


def test_no_login_goes_around_a_proxy_or_an_authority_that_is_wrong(sandboxed: CommandLine):
    for name in ("HTTPS_PROXY", "CA_BUNDLE", "TRUSTED_ENDPOINTS"):
        ended = check(sandboxed, **{f"NOTIFYFLOW_{name}": "nowhere"})
        assert ended.code == 2, ended
        assert "✓ twilio" not in ended.out
        assert "✓ slack" not in ended.out


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0?socket_timeout=soon", "amqp://127.0.0.1:1/x?heartbeat=soon"])
def test_a_broker_url_that_its_client_refuses_is_a_fault(line: CommandLine, url: str):
    ended = check(line, NOTIFYFLOW_BROKER_URL=url)
    assert ended.code == 2, ended
    assert marks(ended)["NOTIFYFLOW_BROKER_URL"] == "✕"
    assert "broker" not in marks(ended)


def test_a_bundle_that_holds_no_certificate_hides_no_other_result(sandboxed: CommandLine):
    ended = check(
        sandboxed,
        NOTIFYFLOW_CA_BUNDLE=sandboxed.write("empty.pem", "no certificate"),
        NOTIFYFLOW_TWILIO_BASE_URL="https://127.0.0.1:1",
    )
    assert ended.code == 1, ended
    assert marks(ended)["twilio"] == "✕"
    assert marks(ended)["slack"] == "✓"


def test_a_plug_in_without_a_login_is_shown_as_not_tried(line: CommandLine, monkeypatch: pytest.MonkeyPatch):
    pagers.install(line.folder)
    monkeypatch.syspath_prepend(str(line.folder))
    operations = '[{"id": "operations", "addresses": {"pager": "17"}}]'
    own = {"PAGER_URL": "https://pagers.example.com", "PAGER_SECRET": pagers.SECRET}
    ended = check(line, **own, NOTIFYFLOW_OPS_RECIPIENTS=operations)
    assert ended.code == 0, ended
    assert "· pagers.example (pager): not tried: it has no login" in ended.out
    assert marks(check(line, PAGER_URL="https://pagers.example.com"))["PAGER_SECRET"] == "✕"
    assert marks(check(line))["pager"] == "·"


@pytest.mark.parametrize(("way", "address"), [("email", "operations@example.com"), ("phone", "+15005550006")])
def test_operations_recipients_at_channels_that_nothing_carries_cannot_be_reached(sandboxed: CommandLine, way: str, address: str):
    team = json.dumps([{"id": "operations", way: address}])
    assert check(sandboxed, "--offline", NOTIFYFLOW_OPS_RECIPIENTS=team).code == 0
    only_slack = {name: value for name, value in sandboxed.variables.items() if not name.startswith(OF_PROVIDERS)}
    ended = check(CommandLine(sandboxed.folder, only_slack), "--offline", NOTIFYFLOW_OPS_RECIPIENTS=team)
    assert ended.code == 1, ended
    assert f"nobody can be reached: no provider carries {'email' if way == 'email' else 'sms and voice'}." in ended.out
    assert "! channels nobody" not in ended.out  # Slack's bot is configured
    assert "The settings allow a start, but nobody can be reached." in ended.out


def test_operations_recipients_with_a_chat_webhook_need_no_other_channel(line: CommandLine):
    ended = check(line, "--offline", NOTIFYFLOW_OPS_RECIPIENTS=CHAT)
    assert ended.code == 0, ended
    assert "nobody can be reached" not in ended.out


def test_the_check_of_the_directory_finds_that_operations_cannot_be_reached_as_well(sandboxed: CommandLine):
    directory = sandboxed.write("directory.toml", PEOPLE)

    def ended(team: str) -> Result:
        return CliRunner().invoke(
            app, ["directory", "check", directory], env={**sandboxed.variables, "NOTIFYFLOW_OPS_RECIPIENTS": team}
        )

    assert ended(OPERATIONS).exit_code == 0
    assert ended("").exit_code == 1
    assert "nobody can be reached: it names no recipient" in ended("").stderr


HASTY = """
[hasty]
escalate_within = "5m"

[[hasty.tiers]]
name = "first"
channels = ["email"]

[[hasty.tiers]]
name = "phone"
channels = ["voice"]
rules = [{ failed = 1 }]
"""


def test_a_policy_that_may_leave_a_phone_silent_is_warned_of_and_the_check_fails(line: CommandLine):
    line.write("policies.toml", HASTY)
    ended = check(line, "--offline", NOTIFYFLOW_POLICIES="policies.toml", NOTIFYFLOW_OPS_RECIPIENTS=CHAT)
    assert ended.code == 1, ended
    assert "! NOTIFYFLOW_POLICIES hasty.escalate_within a missing receipt of email is overdue after 5 m" in ended.out
    assert "The settings allow a start." in ended.out


PEOPLE = """
[recipients.ada]
email = "ada@example.com"

[default]
to = ["ada"]
"""


def test_it_rehearses_each_policy_with_the_people_of_the_directory(sandboxed: CommandLine):
    directory = sandboxed.write("directory.toml", PEOPLE)
    assert check(sandboxed, "--offline", NOTIFYFLOW_DIRECTORY=directory).code == 0
    ended = check(sandboxed, "--offline", NOTIFYFLOW_DIRECTORY=directory, NOTIFYFLOW_OPS_RECIPIENTS="")
    assert ended.code == 1, ended
    assert (
        "policies.default CRITICAL, ERROR, WARNING to ada: nobody is told, nor is operations, if the mail is refused" in ended.out
    )
