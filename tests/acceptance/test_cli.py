import json
import re
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from notifyflow.sandbox.system import Sandbox
from notifyflow.storage.migrations import WANTED
from tests.acceptance.commands import CommandLine, Ended
from tests.waiting import wait_until

ADA = {"id": "ada", "email": "ada@example.com", "phone": "+15005550011"}
INCIDENT = {"key": "db-1", "title": "orders db is down", "severity": "CRITICAL", "recipients": [ADA]}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as opened:
        yield opened


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, {})


@pytest.fixture
def sandboxed(tmp_path: Path, sandbox: Sandbox) -> CommandLine:
    operations = '[{"id": "operations", "email": "operations@example.com"}]'
    return CommandLine(tmp_path, sandbox.settings() | {"NOTIFYFLOW_OPS_RECIPIENTS": operations})


def incidents_in(folder: Path) -> int:
    if not (folder / "notifyflow.db").exists():
        return 0
    with closing(sqlite3.connect(folder / "notifyflow.db")) as database, database:
        count = database.execute("SELECT count(*) FROM notifyflow_incident").fetchone()[0]
    database.close()
    return int(count)


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as response:
        return bytes(response.read())


def is_ready(url: str) -> bool:
    try:
        return bool(fetched(f"{url}/readyz"))
    except HTTPError:
        return False


def assert_refused(ended: Ended, *expected: str) -> None:
    assert ended.code == 2, ended
    assert "Traceback" not in ended.err
    assert ended.out == ""
    for words in expected:
        assert words in ended.err


def without(name: str) -> dict[str, object]:
    return {field: value for field, value in INCIDENT.items() if field != name}


BAD_INCIDENTS = {
    "no title": (without("title"), ["title"]),
    "an unknown severity": (INCIDENT | {"severity": "URGENT"}, ["severity", "URGENT", "CRITICAL"]),
    "an unknown field": (INCIDENT | {"titel": "x"}, ["titel", "title"]),
    "an unknown channel, and nothing else": (
        INCIDENT | {"recipients": [{"id": "ada", "addresses": {"pigeon": "x"}}]},
        ["recipients[0]", "pigeon"],
    ),
    "a phone number that is none, and nothing else": (
        INCIDENT | {"recipients": [{"id": "ada", "phone": "12"}]},
        ["recipients[0]", "phone"],
    ),
    "nobody": (INCIDENT | {"recipients": []}, ["recipients"]),
    "nobody whom anything can reach": (INCIDENT | {"recipients": [{"id": "ada"}]}, ["recipients"]),
    "a body of 1 MB": (INCIDENT | {"body": "x" * 1_000_000}, ["body", "65"]),
    "many faults, all of them listed": (
        {"severity": "URGENT", "url": "ftp://x", "colour": "red"},
        ["title", "severity", "colour", "key"],
    ),
    "no JSON": ("{", ["JSON"]),
    "no text": (b"\xff\xfe\x00", ["UTF-8"]),
}


@pytest.mark.parametrize(("incident", "expected"), BAD_INCIDENTS.values(), ids=BAD_INCIDENTS)
def test_a_bad_incident_is_refused_and_nothing_is_written(line: CommandLine, incident: object, expected: list[str]):
    assert_refused(line.run("send", line.write("incident.json", incident)), *expected)
    assert incidents_in(line.folder) == 0


def test_all_faults_are_listed_at_once_and_no_database_is_created(line: CommandLine):
    wrong = [{"id": "x", "phone": "123"}, {"id": "y", "email": "nope"}]
    file = line.write("incident.json", {"key": "a", "title": "", "colour": "red", "severity": "URGENT", "recipients": wrong})
    further = line.write("people.json", [{"id": "z", "teams": "nope"}])
    ended = line.run("send", file, "--recipients", further, "--policy", "nightly")
    ways = ["recipients[0].phone", "recipients[1].email", "recipients[2].teams"]
    assert_refused(ended, *(f"{place}: " for place in ("colour", "severity", "title", "recipients", *ways, "policy")))
    assert not (line.folder / "notifyflow.db").exists()


def test_a_file_that_cannot_be_read_is_refused(line: CommandLine):
    assert_refused(line.run("send", "nowhere.json"), "nowhere.json", "cannot be read")


BAD_SETTINGS = {
    "a broker of no known kind": ({"NOTIFYFLOW_BROKER_URL": "pigeon://loft"}, ["NOTIFYFLOW_BROKER_URL"]),
    "two at once": (
        {"NOTIFYFLOW_DATABASE_URL": "mysql://x", "NOTIFYFLOW_READ_TIMEOUT_S": "soon"},
        ["NOTIFYFLOW_DATABASE_URL", "NOTIFYFLOW_READ_TIMEOUT_S"],
    ),
}


@pytest.mark.parametrize(("variables", "expected"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_all_invalid_settings_are_listed_at_once(line: CommandLine, variables: dict[str, str], expected: list[str]):
    input_text = '{"key": "k", "title": "t", "recipients": [{"id": "ada", "email": "ada@example.com"}]}'
    assert_refused(line.run("send", "-", input_text=input_text, **variables), *expected)


def test_an_unknown_policy_rule_is_refused(line: CommandLine):
    tiers = '[{name = "first", channels = ["email"]}, {name = "second", channels = ["sms"], rules = [{moon = "full"}]}]'
    policies = f"[night]\ntiers = {tiers}\n"
    file = line.write("policies.toml", policies)
    ended = line.run("send", line.write("incident.json", INCIDENT), NOTIFYFLOW_POLICIES=file)
    assert_refused(ended, "moon")
    assert incidents_in(line.folder) == 0


@pytest.mark.parametrize(
    ("name", "remedy"), [("nightly", "one of default, insistent, operations"), ("insistant", "Use insistent, if that was meant")]
)
def test_an_unknown_policy_is_refused(line: CommandLine, name: str, remedy: str):
    assert_refused(line.run("send", line.write("incident.json", INCIDENT), "--policy", name), f"--policy: '{name}'", remedy)
    assert_refused(line.run("diagram", "--policy", name), f"--policy: '{name}'", remedy)
    assert incidents_in(line.folder) == 0


@pytest.mark.parametrize("command", ["status", "ack", "resolve"])
def test_an_unknown_key_is_refused(line: CommandLine, command: str):
    assert_refused(line.run(command, "db-1"), "db-1")


def test_a_mistyped_key_or_recipient_gets_a_suggestion(sandboxed: CommandLine):
    assert sandboxed.run("send", sandboxed.write("incident.json", INCIDENT)).code == 0
    for command in ("status", "ack", "resolve"):
        assert_refused(sandboxed.run(command, "db1"), "no incident has the key or id 'db1'. Did you mean 'db-1'?")
    assert "Did you mean 'ada'?" in sandboxed.run("forget", "adda").err


def test_without_a_key_the_unresolved_incidents_are_listed(sandboxed: CommandLine, sandbox: Sandbox):
    assert sandboxed.run("status").out == "No incident is unresolved.\n"
    sandbox.script("email to ben: 550")
    ben = {"id": "ben", "email": "ben@example.com"}
    assert sandboxed.run("send", sandboxed.write("incident.json", INCIDENT | {"recipients": [ADA, ben]})).code == 1
    assert sandboxed.run("send", sandboxed.write("other.json", INCIDENT | {"key": "db-2"})).code == 0
    assert sandboxed.run("resolve", "db-2").code == 0
    head, operations, line = (each.split() for each in sandboxed.run("status").out.splitlines())
    assert head == ["Key", "Namespace", "Severity", "Title", "State", "Since", "Reached", "Failed"]
    assert (line[:2], line[-4:]) == (["db-1", "CRITICAL"], ["1", "of", "2", "1"])
    assert sandboxed.run("status", "--namespace", "").out.split()[:2] == ["Key", "Severity"]
    newest = sandboxed.run("status", "--json").document["incidents"]
    assert [(each["key"], each["is_operations"], each["reached"], each["failed"]) for each in newest] == [
        (operations[0], True, 1, 0),
        ("db-1", False, 1, 1),
    ]
    assert sandboxed.run("status", "--namespace", "prometheus").out == "No incident is unresolved.\n"


def test_incidents_and_messages_are_found_by_filters_and_are_the_same_as_json(sandboxed: CommandLine, sandbox: Sandbox):
    sandbox.script("email to ada: 550")
    assert sandboxed.run("send", sandboxed.write("incident.json", INCIDENT | {"labels": {"team": "orders"}})).code == 0
    (found,) = sandboxed.run("list", "--label", "team=orders", "--recipient", "ada", "--since", "1h", "--json").document[
        "incidents"
    ]
    assert (found["key"], found["reached"], found["failed_pages"]) == ("db-1", 1, 1)
    assert sandboxed.run("list", "--state", "resolved").out == "No incident matches.\n"
    log = sandboxed.run("log", "--key", "db-1", "--state", "failed")
    assert "no such mailbox" in log.out
    assert ADA["email"] not in log.out
    (message,) = sandboxed.run("log", "--key", "db-1", "--state", "failed", "--json").document["messages"]
    assert (message["recipient"], message["channel"], message["attempts"][0]["provider"]) == ("ada", "email", "smtp")
    shown = sandboxed.run("status", "db-1")
    assert "mail to ada refused (smtp): there is no such mailbox" in " ".join(shown.out.replace("│", "").split())
    assert "What happened" not in sandboxed.run("status", "db-1", "--brief").out
    report = sandboxed.run("status", "db-1", "--markdown").out
    assert report.startswith("# orders db is down\n")
    assert ADA["email"] not in report
    assert_refused(sandboxed.run("list", "--watch"), "--watch needs a terminal")


def test_an_unavailable_database_exits_with_3(line: CommandLine):
    ended = line.run(
        "status", "db-1", NOTIFYFLOW_DATABASE_URL="postgresql://127.0.0.1:1/none", NOTIFYFLOW_BROKER_URL="redis://127.0.0.1:1"
    )
    assert ended.code == 3, ended
    assert "NOTIFYFLOW_DATABASE_URL" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("broker", ["redis://127.0.0.1:1", "amqp://127.0.0.1:1"])
def test_an_unavailable_broker_is_a_warning_since_a_sweep_finds_what_is_stored(sandboxed: CommandLine, broker: str):
    sent = sandboxed.run("send", sandboxed.write("incident.json", INCIDENT), NOTIFYFLOW_BROKER_URL=broker)
    assert sent.code == 0, sent
    assert "1 notification waits in the database for the next sweep of a worker." in sent.err
    assert re.fullmatch("Accepted: 1 recipient to page. See `notifyflow status .+`.\n", sent.out)
    assert incidents_in(sandboxed.folder) == 1


def test_a_database_in_a_folder_that_does_not_exist_is_refused_at_once(line: CommandLine):
    ended = line.run("status", "db-1", NOTIFYFLOW_DATABASE_URL="sqlite:///missing/notifyflow.db")
    assert ended.code == 3, ended
    assert f"the folder {line.folder}/missing does not exist" in ended.err
    assert "within" not in ended.err


def test_forgetting_somebody_who_is_not_known_exits_with_1(line: CommandLine):
    ended = line.run("forget", "nobody")
    assert (ended.code, ended.out) == (1, "")
    assert "No incident names a recipient 'nobody'" in ended.err


def test_an_incident_is_sent_watched_shown_acknowledged_and_resolved(sandboxed: CommandLine, sandbox: Sandbox):
    sent = sandboxed.run("send", "-", input_text=json.dumps(INCIDENT))
    assert sent.code == 0, sent
    assert "ada: mail accepted → SENT" in sent.out
    assert [message.to for message in sandbox.inbox.messages(is_accepted=True)] == ["ada@example.com"]

    shown = sandboxed.run("status", "db-1")
    assert shown.code == 0
    for expected in ("CRITICAL", "orders db is down", "OPEN", "reached", "mail", "SENT"):
        assert expected in shown.out
    assert "attempt 1" not in shown.out
    assert "attempt 1" in sandboxed.run("status", "db-1", "-v").out

    acknowledged = sandboxed.run("ack", "db-1", "--by", "ada", "--json").document
    assert (acknowledged["state"], acknowledged["acknowledged_by"], acknowledged["acknowledged_via"]) == (
        "ACKNOWLEDGED",
        "ada",
        "cli",
    )
    ended = sandboxed.run("resolve", "db-1", "--by", "ben")
    assert "resolved by ben" in ended.out


def test_an_invalid_recipient_is_a_warning_and_the_others_are_paged(sandboxed: CommandLine):
    both = sandboxed.write(
        "incident.json", INCIDENT | {"recipients": [ADA, ADA, {"id": "ben", "phone": "12", "email": "ben@example.com"}]}
    )
    refused = sandboxed.run("send", both, "--strict")
    assert_refused(refused, "recipients[1]", "recipients[2]")
    assert incidents_in(sandboxed.folder) == 0

    sent = sandboxed.run("send", both, "--json")
    assert sent.code == 0, sent
    assert "recipients[2].phone" in sent.err
    document = sent.document
    assert document["added"] == ["ada", "ben"]
    assert {fault["where"] for fault in document["faults"]} >= {"recipients[2].phone"}
    assert document["incident"]["is_settled"] is True


def test_an_unreached_recipient_exits_with_1(sandboxed: CommandLine, sandbox: Sandbox):
    sandbox.script("email to ada: 550")
    lost = sandboxed.write("incident.json", INCIDENT | {"recipients": [{"id": "ada", "email": "ada@example.com"}]})
    sent = sandboxed.run("send", lost)
    assert sent.code == 1, sent
    assert "ada: escalation recorded → EXHAUSTED" in sent.out
    assert "engine.critical_failure" in sent.err
    assert "example.com" not in sent.err


def test_an_incident_not_settled_in_time_is_kept_and_reported(sandboxed: CommandLine, sandbox: Sandbox):
    sandbox.script("email: 451 once, then ok")
    slow = sandboxed.write("incident.json", INCIDENT | {"severity": "WARNING"})
    sent = sandboxed.run("send", slow, "--timeout", "0.5", NOTIFYFLOW_DRAIN_S="0")
    assert sent.code == 1, sent
    assert "Not settled yet." in sent.err
    assert incidents_in(sandboxed.folder) == 1


def test_an_interruption_keeps_what_was_accepted(sandboxed: CommandLine, sandbox: Sandbox):
    sandbox.script("email: 451")
    slow = sandboxed.write("incident.json", INCIDENT | {"severity": "WARNING"})
    with sandboxed.running("send", slow, until="refused → QUEUED", code=130, NOTIFYFLOW_DRAIN_S="0"):
        pass
    assert "QUEUED" in sandboxed.run("status", "db-1").out


@pytest.mark.parametrize("command", ["up", "web"])
def test_a_server_runs_until_it_is_interrupted(line: CommandLine, command: str):
    with line.running(command, "--port", "0", until="/setup/") as output:
        url, link = output[-2].removeprefix("Listening on "), output[-1].split()[-1]
        assert fetched(f"{url}/livez") == b"ok\n"
        assert link.startswith(f"{url}/setup/")
        assert b"Nobody can log in yet." in fetched(link)


def test_a_server_ends_though_eight_browsers_keep_their_connections(line: CommandLine):
    with ExitStack() as tabs, line.running("up", "--port", "0", until="Listening on", by=signal.SIGTERM) as lines:
        address = urlsplit(lines[-1].split()[-1]).netloc
        for _ in range(8):
            tab = tabs.enter_context(closing(HTTPConnection(address)))
            tab.request("GET", "/login")
            assert tab.getresponse().read()


def test_after_a_kill_the_next_start_says_what_it_waits_for(sandboxed: CommandLine, sandbox: Sandbox):
    sandbox.script("email: slow 30 s")
    incident = sandboxed.write("incident.json", INCIDENT)
    with sandboxed.running("send", incident, until="claimed → SENDING", code=-signal.SIGKILL, by=signal.SIGKILL):
        pass
    sandbox.script("email: ok")
    found = r"^! 1 send of another process without an outcome: tried again when the lease ends, in at most [1-9]\d* s, unless"
    with sandboxed.running("up", "--port", "0", until="Listening on", NOTIFYFLOW_DRAIN_S="0") as output:
        assert len([line for line in output if re.search(found, line)]) == 1
        assert len([line for line in output if "app.sends_unfinished" in line]) == 1
        assert [line for line in output if line.startswith("! Another process delivers from this database")]
        other = sandboxed.write("other.json", INCIDENT | {"key": "db-2", "severity": "WARNING"})
        assert re.search(found, sandboxed.run("send", other, NOTIFYFLOW_DRAIN_S="0").err, re.MULTILINE)


def test_up_says_that_another_process_delivers_from_the_same_database(line: CommandLine):
    with line.running("up", "--port", "0", until="Listening on") as output:
        assert not [each for each in output if "Another process" in each]
        url = output[-1].removeprefix("Listening on ")
        wait_until(lambda: is_ready(url))
        with line.running("up", "--port", "0", until="Listening on") as second:
            assert [each for each in second if each.startswith("! Another process delivers from this database")]


@pytest.mark.parametrize("command", ["up", "web"])
def test_the_start_page_says_what_runs(line: CommandLine, command: str):
    with line.running(command, "--port", "0", until="Listening on") as output:
        page = fetched(f"{output[-1].removeprefix('Listening on ')}/").decode()
    assert line.run("--version").out.split()[1] in page
    assert 'href="readyz"' in page


def test_an_unavailable_port_exits_with_3(line: CommandLine, sandbox: Sandbox):
    ended = line.run("web", "--port", sandbox.url.rpartition(":")[2])
    assert ended.code == 3, ended
    assert "--port" in ended.err
    assert "Traceback" not in ended.err


def test_the_sandbox_prints_the_settings_that_lead_to_it(line: CommandLine):
    with line.running("sandbox", "--port", "0", "--script", "email: 550", until="NOTIFYFLOW_WEBHOOKS") as output:
        variables = dict(each.removeprefix("export ").split("=", 1) for each in output if each.startswith("export "))
        variables["NOTIFYFLOW_WEBHOOKS"] = output[-1].split("=", 1)[1].strip("'")
        sent = line.run(
            "send",
            "-",
            input_text='{"key":"k","title":"t","severity":"INFO","recipients":[{"id":"a","email":"a@example.com"}]}',
            **variables,
        )
        assert sent.code == 1, sent
        url = next(each for each in output if "The inbox is at" in each).split("is at ")[1].split()[0].rstrip(".")
        arrived = fetched(f"{url}/inbox.json")
        assert b"a@example.com" in arrived
        assert b"status-page" in arrived


def test_an_invalid_script_is_refused(line: CommandLine):
    assert_refused(line.run("sandbox", "--port", "0", "--script", "sms: sing"), "sing")


@pytest.mark.parametrize(
    ("name", "view", "begins"),
    [
        ("mermaid", "simple", "flowchart"),
        ("svg", "simple", "<svg"),
        ("rst", "full", "QUEUED"),
        ("dot", "full", "digraph"),
        ("svg", "full", "<svg"),
    ],
)
def test_the_machines_are_drawn(line: CommandLine, name: str, view: str, begins: str):
    drawn = line.run("diagram", "--format", name, "--view", view)
    assert drawn.code == 0, drawn
    assert begins in drawn.out
    assert ("refused_for_good" in drawn.out) is (view == "full")


def test_a_policy_is_unrolled(line: CommandLine):
    simple, full = (line.run("diagram", "--policy", "insistent", "--view", view) for view in ("simple", "full"))
    assert (simple.code, full.code) == (0, 0), (simple, full)
    assert "nobody acknowledges in 5 m" in simple.out
    assert "unacknowledged after 5 min" in full.out
    assert_refused(line.run("diagram", "--policy", "nightly"), "nightly", "insistent")


def test_without_graphviz_the_error_says_what_to_install(line: CommandLine):
    ended = line.run("diagram", "--format", "svg", "--view", "full", PATH=str(line.folder))
    assert ended.code == 3, ended
    assert "graphviz" in ended.err


def test_the_database_is_upgraded(line: CommandLine):
    first, second = line.run("db", "upgrade"), line.run("db", "upgrade")
    assert (first.code, second.code) == (0, 0)
    assert first.out == f"The database now has schema {WANTED}.\n"
    assert second.out == f"Nothing to do: the database has schema {WANTED} or newer.\n"
    assert incidents_in(line.folder) == 0


def test_stored_data_is_checked_and_damage_exits_with_1(sandboxed: CommandLine):
    assert sandboxed.run("send", sandboxed.write("incident.json", INCIDENT)).code == 0
    clean = sandboxed.run("check")
    assert (clean.code, clean.out) == (0, "1 incident checked; no findings.\n"), clean
    with closing(sqlite3.connect(sandboxed.folder / "notifyflow.db")) as database, database:
        row = database.execute("UPDATE notifyflow_notification SET max_attempts = 0 RETURNING id, incident_id").fetchone()
    database.close()
    damaged = sandboxed.run("check")
    assert damaged.code == 1
    assert f"✕ attempts: notification {row[0]} has 1 counted attempt, and may have 0 (incident {row[1]})" in damaged.out
    document = sandboxed.run("check", "--json").document
    assert document["incidents"] == 1
    assert {"rule": "attempts", "machine": "notification", "row": row[0], "incident_id": row[1]}.items() <= document["findings"][
        0
    ].items()


def test_old_incidents_are_pruned_after_a_dry_run(sandboxed: CommandLine):
    assert sandboxed.run("send", sandboxed.write("incident.json", INCIDENT)).code == 0
    assert sandboxed.run("resolve", "db-1").code == 0
    with closing(sqlite3.connect(sandboxed.folder / "notifyflow.db")) as database, database:
        database.execute("UPDATE notifyflow_incident SET resolved_at = '2020-01-01 00:00:00.000000+00:00'")
        database.execute("UPDATE notifyflow_notification SET state = 'SENT', due_at = NULL WHERE state IN ('QUEUED', 'SENDING')")
    database.close()
    foreseen = sandboxed.run("prune", "--older-than", "90d", "--dry-run", "--json").document
    assert (foreseen.pop("is_dry_run"), foreseen["incidents"], incidents_in(sandboxed.folder)) == (True, 1, 1)
    pruned = sandboxed.run("prune", "--older-than", "90d")
    assert (pruned.code, pruned.out[:40]) == (0, "Deleted: 1 incident, 1 escalation, 2 not"), pruned
    assert incidents_in(sandboxed.folder) == 0


@pytest.mark.parametrize(
    ("span", "expected"), [("23h", "--older-than: 23 h 00 m is less than a day"), ("soon", "is not a duration")]
)
def test_recent_incidents_are_not_pruned(line: CommandLine, span: str, expected: str):
    assert_refused(line.run("prune", "--older-than", span), expected)


def test_a_check_of_an_unavailable_database_exits_with_3(line: CommandLine):
    assert line.run("check", NOTIFYFLOW_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none").code == 3


def test_a_database_with_a_newer_schema_is_refused_and_not_changed(line: CommandLine):
    assert line.run("db", "upgrade").code == 0
    database = sqlite3.connect(line.folder / "notifyflow.db")
    with database:
        database.execute("UPDATE notifyflow_migration SET version = 999, oldest = 999")
    database.close()
    for command in (("db", "upgrade"), ("send", line.write("incident.json", INCIDENT))):
        ended = line.run(*command)
        assert ended.code == 3, ended
        assert "999" in ended.err
        assert "Traceback" not in ended.err
    assert incidents_in(line.folder) == 0


OTHER_TABLES = {
    "db upgrade": ("db", "upgrade"),
    "send": ("send", "incident.json"),
    "up": ("up", "--port", "0"),
    "web": ("web", "--port", "0"),
    "config check": ("config", "check"),
}


@pytest.mark.parametrize("command", OTHER_TABLES.values(), ids=OTHER_TABLES)
def test_a_database_with_the_tables_of_an_unreleased_version_is_refused(line: CommandLine, command: tuple[str, ...]):
    assert line.run("db", "upgrade").code == 0
    line.write("incident.json", INCIDENT)
    with closing(sqlite3.connect(line.folder / "notifyflow.db")) as database, database:
        database.execute("UPDATE notifyflow_migration SET digest = 'of other tables'")
    ended = line.run(*command)
    assert ended.code == 3, ended
    assert "before 0.1.0 there are no upgrades: start with an empty one" in " ".join((ended.out + ended.err).split())
    assert "Traceback" not in ended.err
    assert incidents_in(line.folder) == 0


def test_a_fault_that_does_not_stop_a_start_is_a_warning(sandboxed: CommandLine):
    checked = sandboxed.run("config", "check", "--json")
    assert checked.code == 0, checked
    assert checked.document["channels"]["sms"] == ["twilio"]
    assert any(each["where"] == "NOTIFYFLOW_TRUSTED_ENDPOINTS" for each in checked.document["warnings"])
    assert "The settings allow a start." in sandboxed.run("config", "check").out


def test_checking_the_settings_creates_no_database(sandboxed: CommandLine):
    checked = sandboxed.run("config", "check", "--json").document
    assert checked["database"]["is_good"]
    assert checked["broker"]["is_good"]
    assert list(sandboxed.folder.glob("*.db*")) == []


def test_checking_the_settings_finds_an_unavailable_database_or_broker(line: CommandLine):
    away = {
        "NOTIFYFLOW_DATABASE_URL": "postgresql://ada:sesame@127.0.0.1:1/notifyflow",
        "NOTIFYFLOW_BROKER_URL": "redis://ada:sesame@127.0.0.1:1/0",
    }
    checked = line.run("config", "check", **away)
    assert checked.code == 3, checked
    assert "✕ database: " in checked.out
    assert "✕ broker: does not accept messages" in checked.out
    assert "allow a start" not in checked.out
    assert "sesame" not in checked.out + checked.err


def test_help_and_version_are_printed(line: CommandLine):
    assert "send" in line.run("--help").out
    version = line.run("--version").out
    assert version.startswith("notifyflow 0.")
    as_module = subprocess.run([sys.executable, "-m", "notifyflow", "--version"], check=True, capture_output=True, text=True)
    assert as_module.stdout == version
    assert line.run("send").code == 2
    assert "Did you mean 'status'?" in line.run("stauts").err


def test_the_shell_completes_commands_and_options(line: CommandLine):
    for typed, expected in (
        ("notifyflow sta", ["status"]),
        ("notifyflow ack --na", ["--namespace"]),
        ("notifyflow db u", ["upgrade"]),
    ):
        variables = {"_NOTIFYFLOW_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
        assert line.run(**variables).out.split() == expected
    assert "--install-completion" in line.run("--help").out


def test_sending_is_paused_for_a_while_shown_and_resumed(sandboxed: CommandLine, sandbox: Sandbox):
    assert "until" in sandboxed.run("pause", "--all", "--for", "30m", "--by", "ada", "--include-critical").out
    shown = sandboxed.run("pause", "--json").document
    assert [(each["scope"], each["paused_by"], each["is_for_critical"]) for each in shown] == [("all", "ada", True)]
    assert sandboxed.run("send", sandboxed.write("incident.json", INCIDENT), "--timeout", "1").code == 1
    status = sandboxed.run("status", "db-1", "--json").document
    (row,) = status["escalations"][0]["notifications"]
    assert (row["state"], row["deferred_by"], row["attempts"]) == ("QUEUED", "pause", [])
    assert [each["scope"] for each in status["pauses"]] == ["all"]
    assert "everything is paused until" in sandboxed.run("status", "db-1").out
    day = r"\w{3} \d{1,2} \w{3} (\d{4} )?"
    until = rf"until {day}\d\d:\d\d:\d\d UTC-03 \(({day})?\d\d:\d\d:\d\d UTC\) by ada"
    assert re.search(until, sandboxed.run("pause", TZ="<-03>3").out)
    assert sandbox.inbox.messages() == ()
    assert sandboxed.run("resume", "--all", "--by", "ada").out == "Resumed.\n"
    assert sandboxed.run("resume", "--all").out == "It was not paused.\n"
    assert sandboxed.run("pause").out == "Nothing is paused.\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--all",), ["--for", "30m"]),
        (("--all", "--channel", "sms", "--for", "30m"), ["must name one thing"]),
        (("--channel", "smss", "--for", "30m"), ["--channel: 'smss' is not a known channel", "Use sms, if that was meant"]),
        (
            ("--channel", "fax", "--for", "25h", "--by", " "),
            ["--channel: 'fax' is not a known channel", "24 h", "--by: it is empty"],
        ),
    ],
)
def test_an_invalid_pause_is_refused_with_all_its_faults(line: CommandLine, arguments: tuple[str, ...], expected: list[str]):
    assert_refused(line.run("pause", *arguments), *expected)
