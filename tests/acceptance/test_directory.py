import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.commands import CommandLine

GOOD = '[recipients.ada]\nemail = "ada@example.com"\n[default]\nto = ["ada"]\n'
MAIL = {
    "NOTIFYFLOW_SMTP_URL": "smtp://mail.example.com",
    "NOTIFYFLOW_MAIL_FROM": "notifyflow@example.com",
    "NOTIFYFLOW_OPS_RECIPIENTS": '[{"id": "operations", "email": "operations@example.com"}]',
}


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    line = CommandLine(tmp_path, MAIL)
    line.write("directory.toml", GOOD)
    return line


def test_a_valid_directory_exits_with_0(line: CommandLine):
    ended = line.run("directory", "check", NOTIFYFLOW_DIRECTORY="directory.toml")
    assert (ended.code, ended.err) == (0, "")
    assert "ada: email" in ended.out
    assert "default pages by insistent, which pages on until somebody acknowledges" in ended.out


def test_both_checks_show_what_ends_the_paging_of_a_route(line: CommandLine):
    line.write("directory.toml", GOOD + 'policy = "default"\n')
    expected = "default pages by default, which goes by the outcome only: an accepted message is the end of it"
    for command in (("directory", "check"), ("config", "check")):
        assert expected in line.run(*command, NOTIFYFLOW_DIRECTORY="directory.toml").out
        document = line.run(*command, "--json", NOTIFYFLOW_DIRECTORY="directory.toml").document
        assert document["routes"]["default"].startswith("default, which goes by the outcome only")


def test_an_unreachable_recipient_is_listed_and_exits_with_1(line: CommandLine):
    other = line.write("other.toml", GOOD + '[recipients.ben]\nphone = "+4930901820"\n[groups]\nvoid = []\n')
    ended = line.run("directory", "check", other)
    assert ended.code == 1
    assert "ben: cannot be reached" in ended.out
    assert "no provider carries sms" in ended.err
    assert "groups.void (line 8): it has no members" in ended.err
    document = line.run("directory", "check", other, "--json").document
    assert document["recipients"] == {"ada": ["email"], "ben": []}
    assert [fault["where"] for fault in document["faults"]] == ["recipients.ben", "recipients.ben", "groups.void"]


def test_an_invalid_file_exits_with_2_and_all_its_faults(line: CommandLine):
    ended = line.run("directory", "check", line.write("broken.toml", 'routes = [{ to = ["adda"] }]\n' + GOOD.replace("to", "ot")))
    assert ended.code == 2
    for place in ("routes[0].to", "routes[0].match", "default.ot", "default.to"):
        assert place in ended.err
    assert "ada: email" in ended.out
    assert line.run("directory", "check", "missing.toml").code == 2
    assert "NOTIFYFLOW_DIRECTORY" in line.run("directory", "check").err


def test_what_can_be_foreseen_is_listed(line: CommandLine):
    layer = '{ who = ["ben"], from = 2026-01-01T09:00:00, every = "1w", only = "Mon-Fri 09:00-17:00" }'
    duty = f'[recipients.ben]\n[schedules.office]\ntimezone = "Europe/Berlin"\nlayers = [{layer}]\n'
    line.write("directory.toml", GOOD + duty)
    ended = line.run("directory", "check", NOTIFYFLOW_DIRECTORY="directory.toml")
    assert ended.code == 1
    assert "schedules.office (line 6): nobody is on duty from " in ended.out
    assert "schedules.office (line 6): ben cannot be reached, and is on duty from " in ended.err
    assert "Overrides and calendars are not considered: no database was read." in ended.out
    until = f"{datetime.now(UTC) + timedelta(days=60):%Y-%m-%d}"
    line.run("oncall", "cover", "ben", "--with", "ada", "--until", until, NOTIFYFLOW_DIRECTORY="directory.toml")
    covered = line.run("directory", "check", "--json", NOTIFYFLOW_DIRECTORY="directory.toml").document
    assert covered["uses_database"]
    assert "schedules.office" not in [fault["where"] for fault in covered["faults"]]


def test_a_broken_directory_is_a_fault_of_the_settings(line: CommandLine):
    line.write("directory.toml", "[default")
    ended = line.run("config", "check", NOTIFYFLOW_DIRECTORY="directory.toml")
    assert ended.code == 2
    assert "✕ NOTIFYFLOW_DIRECTORY document" in ended.out


def test_the_first_ping_of_each_declared_job_counts_where_only_the_web_service_runs(line: CommandLine):
    """The second job is added while it runs, and pings at once."""
    given = {"NOTIFYFLOW_DIRECTORY": "directory.toml", "NOTIFYFLOW_BROKER_URL": "redis://127.0.0.1:1"}
    jobs = ("nightly", "hourly")
    keys = {
        name: line.run("keys", "create", "--name", name, "--scope", "ping", "--heartbeat", name, "--json", **given)
        for name in jobs
    }

    def ping(url: str, name: str) -> str:
        command = [
            "curl",
            "--noproxy",
            "*",
            "-fsS",
            "--retry",
            "5",
            "-w",
            " %{http_code}",
            f"{url}/v1/heartbeats/{keys[name].document['key']}",
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout

    line.write("directory.toml", GOOD + '[heartbeats.nightly]\nevery = "1d"\n')
    with line.running("web", "--port", "0", until="Listening on", **given) as lines:
        url = lines[-1].split("Listening on ")[1].split()[0]
        assert ping(url, "nightly") == "OK 200"
        assert ping(url, "hourly").endswith("404")
        line.write("directory.toml", GOOD + '[heartbeats.nightly]\nevery = "1d"\n[heartbeats.hourly]\nevery = "1h"\n')
        assert ping(url, "hourly") == "OK 200"
        line.write("directory.toml", GOOD + "[heartbeats.nightly\n")
        assert ping(url, "hourly") == "OK 200", "the last good version stays in force"
    line.write("directory.toml", GOOD + '[heartbeats.weekly]\nevery = "7d"\n')
    assert "weekly" in line.run("heartbeats", **given).out
