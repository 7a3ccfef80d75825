"""The tutorial's commands run in their order, and do what it says."""

import json
import re
import textwrap
import tomllib
import urllib.request
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.cli.frame.serving import listen, served, url_of
from notifyflow.sandbox import Sandbox
from tests.acceptance.commands import CommandLine
from tests.servers.ports import reserve_port
from tests.waiting import wait_until

FOLDER = Path(__file__).parents[2] / "docs/tutorial"
TUTORIAL = (FOLDER / "first-incident.rst").read_text(encoding="utf-8")
PROVIDERS = (FOLDER / "real-providers.rst").read_text(encoding="utf-8")
NEXT_PERSON = (FOLDER / "next-person.rst").read_text(encoding="utf-8")
QUEUE = {"NOTIFYFLOW_SES_CONFIGURATION_SET", "NOTIFYFLOW_SQS_QUEUE_URL"}


def commands(page: str) -> list[list[str]]:
    """Every `notifyflow …` line of a page, as words."""
    lines = re.findall(r"^   notifyflow (.+)$", page, re.MULTILINE)
    return [[word.strip("'") for word in re.findall(r"'[^']*'|\S+", line)] for line in lines]


def block(page: str, language: str) -> str:
    """The only block of a page in a language."""
    (found,) = re.findall(rf"^\.\. code-block:: {language}\n\n((?:(?:   .*)?\n)+)", page, re.MULTILINE)
    return textwrap.dedent(found)


def exported(output: list[str]) -> dict[str, str]:
    return dict(each.removeprefix("export ").split("=", 1) for each in output if each.startswith("export "))


def test_the_tutorial_does_what_it_says(tmp_path: Path):
    names = ["demo", "sandbox", "config check", "up", "send", "status", "resolve"]
    names += ["send", "status", "resolve", "sandbox", "send", "ack"]
    lines = commands(TUTORIAL)
    assert [" ".join(words) if words[0] == "config" else words[0] for words in lines] == names
    _, sandbox, check, up, send, status, resolve, insist, look, end, failing, again, ack = lines
    port = reserve_port()
    operations = re.findall(r"NOTIFYFLOW_OPS_RECIPIENTS='(.+)'", TUTORIAL)[0]
    shared = {"NOTIFYFLOW_PUBLIC_URL": f"http://127.0.0.1:{port}", "NOTIFYFLOW_OPS_RECIPIENTS": operations}
    CommandLine(tmp_path, {}).write("incident.json", json.loads(block(TUTORIAL, "json")))

    with CommandLine(tmp_path, {}).running(*sandbox, "--port", "0", until="push ") as printed:
        line = CommandLine(tmp_path, shared | exported(printed))
        checked = line.run(*check)
        assert checked.code == 0, checked.out + checked.err
        assert re.findall("^! ([A-Z_]+)", checked.out, re.MULTILINE) == ["NOTIFYFLOW_TRUSTED_ENDPOINTS"]
        with line.running(*up, "--port", str(port), until="Listening on"):
            sent = line.run(*send)
            assert sent.code == 0, sent
            assert "Ada: mail accepted → SENT" in sent.out
            assert "→ REACHED" in sent.out
            assert "sms" not in sent.out
            (inbox,) = re.findall(r"The inbox is at (\S+)\.", "\n".join(printed))
            with urllib.request.urlopen(inbox, timeout=30) as page:
                (link,) = set(re.findall(rf"http://127\.0\.0\.1:{port}/a/[\w-]+", page.read().decode()))
            with urllib.request.urlopen(link, data=b"", timeout=30) as page:
                assert "You acknowledged it." in page.read().decode()
            shown = line.run(*status)
            assert "ACKNOWLEDGED" in shown.out
            assert "acknowledged by Ada" in shown.out
            assert line.run(*resolve).code == 0
            insisted = line.run(*insist)
            assert "Ada: mail accepted → SENT" in insisted.out
            assert "→ REACHED" not in insisted.out
            assert re.search("next: text at [0-9:]+ unless somebody acknowledges", line.run(*look).out)
            assert line.run(*end).code == 0

    with CommandLine(tmp_path, {}).running(*failing, "--port", "0", until="push ") as printed:
        line = CommandLine(tmp_path, shared | exported(printed))
        with line.running(*up, "--port", str(port), until="Listening on"):
            sent = line.run(*again)
            assert sent.code == 0, sent
            assert "Ada: mail refused_for_good → FAILED" in sent.out
            assert "Ada: text accepted → SENT" in sent.out
            acknowledged = line.run(*ack)
            assert "acknowledged by Ada" in acknowledged.out


def test_the_part_with_the_next_person_does_what_it_says(tmp_path: Path):
    """Whoever is on duty changes with the week; the names of the page are replaced by theirs."""
    lines = commands(NEXT_PERSON)
    names = ["sandbox", "directory", "oncall", "up", "keys", "status", "ack", "resolve"]
    names += ["sandbox", "status", "resolve", "oncall", "oncall", "drill"]
    assert [words[0] for words in lines] == names
    sandbox, check, show, up, make_key, status, ack, resolve, failing, look, _, take, _, drill = lines
    variables = dict(re.findall(r"^   export (\w+)='?([^'\n]*)'?$", NEXT_PERSON, re.MULTILINE))
    port = reserve_port()
    variables["NOTIFYFLOW_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    (tmp_path / "directory.toml").write_text(block(NEXT_PERSON, "toml"))
    people = tomllib.loads(block(NEXT_PERSON, "toml"))["recipients"]

    with CommandLine(tmp_path, {}).running(*sandbox, "--port", "0", until="push ") as printed:
        line = CommandLine(tmp_path, variables | exported(printed))
        assert line.run(*check).code == 0
        first, second = (each["on_duty"]["people"][0] for each in line.run(*show, "--json").document)
        with line.running(*up, "--port", str(port), until="Listening on"):
            alert = block(NEXT_PERSON, "json").replace("KEY", key_of(line.run(*make_key).out))
            assert trigger(port, alert) == 202
            wait_until(lambda: set(paged(line, status)) == {first, second})
            assert "operations" in line.run(*status).out
            acknowledged = line.run(*[each.replace("ben", second) for each in ack])
            assert f"acknowledged by {people[second]['name']}" in acknowledged.out
            assert line.run(*resolve).code == 0
    script = failing[-1].replace("ada@example.com", people[first]["email"]).replace("+15005550011", people[first]["phone"])
    with CommandLine(tmp_path, {}).running(*failing[:-1], script, "--port", "0", until="push ") as printed:
        line = CommandLine(tmp_path, variables | exported(printed))
        with line.running(*up, "--port", str(port), until="Listening on"):
            assert trigger(port, alert) == 202
            wait_until(lambda: set(paged(line, look)) == {first, second})
            begun = [each["started_at"] for each in line.run(*look, "--json").document["steps"] if each["started_at"]]
            before, after = map(datetime.fromisoformat, begun)
            assert after - before < timedelta(seconds=5)
            assert line.run(*take).code == 0
            assert [each["on_duty"]["people"] for each in line.run(*show, "@primary", "--json").document] == [["cy"]]
            assert line.run(*drill).code == 0


def key_of(output: str) -> str:
    (key,) = re.findall(r"nf_\S+", output)
    return str(key)


def trigger(port: int, event: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/enqueue", data=event.encode(), timeout=30) as response:
        return int(response.status)


def paged(line: CommandLine, status: list[str]) -> list[str]:
    """Who was paged, by recipient id."""
    return [each["recipient"] for each in line.run(*status, "--json").document["escalations"]]


def files(page: str) -> dict[str, dict[str, Any]]:
    """The JSON files that a page tells the reader to save, by name."""
    found = re.findall(r"Save this\s+as ``([\w.]+)``[^`]*:\n\n\.\. code-block:: json\n\n((?:   .*\n)+)", page)
    return {name: json.loads(block) for name, block in found}


def test_the_part_with_real_providers_leads_to_a_phone_that_rings(tmp_path: Path):
    """Its settings and files are used as they are, but for the addresses of the providers; the sandbox has no queue."""
    variables = dict(re.findall(r"^   export (\w+)='?([^'\n]*)'?$", PROVIDERS, re.MULTILINE))
    Settings.from_variables(variables)
    states = {}
    with Sandbox(mail_over="ses") as sandbox, closing(listen("127.0.0.1", 0)) as listening:
        sandbox.script("voice: key 1")
        urls = {"slack": sandbox.slack_url("ada"), "teams": sandbox.teams_url("ada")}
        here = {"NOTIFYFLOW_PUBLIC_URL": url_of(listening), "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path}/notifyflow.db"}
        used = {name: value for name, value in variables.items() if name not in QUEUE}
        settings = Settings.from_variables(used | sandbox.settings() | here)
        with NotifyFlow(settings) as flow, served(flow.asgi(), listening):
            for name, document in files(PROVIDERS).items():
                people = document.pop("recipients")
                people = [
                    each | {channel: url for channel, url in urls.items() if "://" in each.get(channel, "")} for each in people
                ]
                policy = "insistent" if name == "night.json" else "default"
                done = flow.notify(Incident.from_dict(document), [Recipient.from_dict(each) for each in people], policy=policy)
                assert done.faults == ()
                if name != "night.json":
                    assert flow.wait(document["key"], timeout_s=60)
                    (notification,) = flow.status(document["key"]).escalations[0].notifications
                    states[name] = (notification.channel, notification.state)
            flow.acknowledge("night-1", by="ada")
            assert flow.status("call-1").facts.state == "ACKNOWLEDGED"
    assert states == {
        "chat.json": ("slack", "SENT"),
        "teams.json": ("teams", "SENT"),
        "mail.json": ("email", "SENT"),
        "text.json": ("sms", "DELIVERED"),
        "call.json": ("voice", "DELIVERED"),
    }
