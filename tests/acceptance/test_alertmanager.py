"""Debian's Prometheus Alertmanager sends to a running notifyflow: over its webhook, and as to PagerDuty."""

import json
import re
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifyflow.sandbox.system import Sandbox
from tests.acceptance.commands import CommandLine
from tests.servers.alertmanager import Alertmanager, alertmanager

DIRECTORY = """
[recipients.ada]
email = "ada@example.com"

[recipients.ben]
email = "ben@example.com"

[[routes]]
match = { team = "orders" }
to = ["ada"]

[recipients.cy]
email = "cy@example.com"

[[routes]]
match = { team = "billing", severity = "critical" }
to = ["cy"]

[[routes]]
keys = "prometheus"
to = ["ben"]

[default]
to = ["ada"]
"""
ROUTES = """
route:
  receiver: notifyflow
  group_wait: 10ms
  group_interval: 1s
  routes:
    - receiver: notifyflow-basic
      matchers: ['team = "basic"']
    - receiver: notifyflow-pagerduty
      matchers: ['team =~ "shop|billing"']
"""
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-alertmanager.rst"


def configuration(url: str, key: str) -> str:
    """Return the receivers that the documentation shows."""
    shown = re.findall(r"^\.\. code-block:: yaml\n\n((?:(?:   .*)?\n)+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    receivers = textwrap.dedent("\n".join(shown))
    return ROUTES + receivers.replace("https://notify.example.com", url).replace("KEY", key)


class System:
    """A running notifyflow, the sandbox, and an Alertmanager that sends to it."""

    def __init__(self, url: str, key: str, sandbox: Sandbox, caller: Alertmanager) -> None:
        self.caller = caller
        self._url = url
        self._key = key
        self._sandbox = sandbox

    def wait_for_page(self, to: str, title: str) -> None:
        try:
            self._sandbox.inbox.wait_for(lambda message: message.to == to and title in message.text)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.caller.log}") from error

    def wait_for_end(self) -> dict[str, str]:
        """Wait until no incident is open, and return the key of each title."""
        ends_at = time.monotonic() + 30
        while any(each["state"] != "RESOLVED" for each in self.incidents()):
            assert time.monotonic() < ends_at, f"{self.incidents()}\n{self.caller.log}"
            time.sleep(0.05)
        return {each["title"]: each["key"] for each in self.incidents()}

    def incidents(self) -> list[dict[str, Any]]:
        request = urllib.request.Request(f"{self._url}/v1/incidents", headers={"Authorization": f"Bearer {self._key}"})
        with urllib.request.urlopen(request, timeout=30) as response:
            found: list[dict[str, Any]] = json.load(response)["incidents"]
        return found


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with Sandbox() as sandbox:
        (tmp_path / "directory.toml").write_text(DIRECTORY)
        line = CommandLine(tmp_path, sandbox.settings() | {"NOTIFYFLOW_DIRECTORY": "directory.toml"})
        made = line.run("keys", "create", "--name", "prometheus", "--scope", "ingest", "--scope", "read", "--json").document
        with line.running("up", "--port", "0", until="Listening on") as output:
            url = output[-1].removeprefix("Listening on ")
            with alertmanager(configuration(url, made["key"])) as caller:
                yield System(url, made["key"], sandbox, caller)


WAYS = {
    "orders": ("alertmanager/", "ada@example.com"),  # the webhook, with the key as a bearer
    "basic": ("alertmanager/", "ben@example.com"),  # the webhook, with the key as a password
    "shop": ("pagerduty/", "ben@example.com"),  # as PagerDuty is called, with the key as the routing key
}


def test_alerts_page_and_resolve_over_every_receiver(system: System):
    alerts = {team: {"alertname": "DiskFull", "team": team, "severity": "critical"} for team in WAYS}
    for team, labels in alerts.items():
        system.caller.fire(labels, {"summary": f"{team} db is full", "description": "Nothing can be written."})
    for team, (_, to) in WAYS.items():
        system.wait_for_page(to, team)
    for labels in alerts.values():
        system.caller.end(labels)
    keys = system.wait_for_end()
    assert len(keys) == len(WAYS)
    for team, (integration, _) in WAYS.items():
        assert any(team in title and key.startswith(integration) for title, key in keys.items()), keys


def test_an_alert_for_pagerduty_keeps_its_severity_title_and_labels(system: System):
    labels = {"alertname": "DiskFull", "team": "billing", "severity": "critical"}
    system.caller.fire(labels, {"summary": "The billing db is full", "description": "Nothing can be written."})
    system.wait_for_page("cy@example.com", "Nothing can be written.")  # the route matches the alert's own labels
    (incident,) = system.incidents()
    assert (incident["severity"], incident["title"]) == ("CRITICAL", "The billing db is full")
    system.caller.end(labels)
    assert system.wait_for_end()["The billing db is full"].startswith("pagerduty/")
