"""Debian's Prometheus Alertmanager calls a running notifyflow: by its webhook, and as it calls PagerDuty."""

import json
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

[[routes]]
keys = "prometheus"
to = ["ben"]

[default]
to = ["ada"]
"""
CONFIGURATION = """
route:
  receiver: webhook
  group_wait: 10ms
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - receiver: pagerduty
      matchers: ['team = "shop"']
    - receiver: basic
      matchers: ['team = "basic"']
receivers:
  - name: webhook
    webhook_configs:
      - url: {url}/v1/alertmanager
        http_config:
          authorization:
            credentials: {key}
  - name: basic
    webhook_configs:
      - url: {url}/v1/alertmanager
        http_config:
          basic_auth:
            username: prometheus
            password: {key}
  - name: pagerduty
    pagerduty_configs:
      - url: {url}/v2/enqueue
        routing_key: {key}
        description: '{{{{ .CommonAnnotations.summary }}}}'
"""


class House:
    """A notifyflow that runs, in front of the sandbox, and an Alertmanager that calls it."""

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
        """Wait until no incident is open, and give what each title's key is."""
        ends_at = time.monotonic() + 30
        while any(each["state"] != "RESOLVED" for each in self._incidents()):
            assert time.monotonic() < ends_at, f"{self._incidents()}\n{self.caller.log}"
            time.sleep(0.05)
        return {each["title"]: each["key"] for each in self._incidents()}

    def _incidents(self) -> list[dict[str, Any]]:
        request = urllib.request.Request(f"{self._url}/v1/incidents", headers={"Authorization": f"Bearer {self._key}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: list[dict[str, Any]] = json.load(answer)["incidents"]
        return found


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with Sandbox() as sandbox:
        (tmp_path / "directory.toml").write_text(DIRECTORY)
        line = CommandLine(tmp_path, sandbox.settings() | {"NOTIFYFLOW_DIRECTORY": "directory.toml"})
        made = line.run("keys", "create", "--name", "prometheus", "--scope", "ingest", "--scope", "read", "--json").document
        with line.running("up", "--port", "0", until="Listening on") as said:
            url = said[-1].removeprefix("Listening on ")
            with alertmanager(CONFIGURATION.format(url=url, key=made["key"])) as caller:
                yield House(url, made["key"], sandbox, caller)


WAYS = {
    "orders": ("alertmanager/", "ada@example.com"),  # the webhook, with the key as a bearer
    "basic": ("alertmanager/", "ben@example.com"),  # the webhook, with the key as a password
    "shop": ("pagerduty/", "ben@example.com"),  # as PagerDuty is called, with the key as the routing key
}


def test_alerts_page_and_resolve_by_every_way_in_which_it_calls(house: House):
    alerts = {team: {"alertname": "DiskFull", "team": team, "severity": "critical"} for team in WAYS}
    for team, labels in alerts.items():
        house.caller.fire(labels, {"summary": f"{team} db is full", "description": "Nothing can be written."})
    for team, (_, to) in WAYS.items():
        house.wait_for_page(to, f"{team} db")
    for labels in alerts.values():
        house.caller.end(labels)
    keys = house.wait_for_end()
    assert keys.keys() == {f"{team} db is full" for team in WAYS}
    for team, (door, _) in WAYS.items():
        assert keys[f"{team} db is full"].startswith(door)
