"""The API in use: a key from the command line, a web service in its own process, requests over a socket."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from notifyflow.core.accounts.keys import read
from notifyflow.sandbox.system import Sandbox
from tests.acceptance.commands import CommandLine
from tests.published import Publication
from tests.waiting import wait_until

PATIENCE_S = 30


class Api:
    """The API of a running process."""

    def __init__(self, line: CommandLine, url: str) -> None:
        self.line = line
        self.url = url
        self.publication = Publication(requests.get(f"{url}/v1/openapi.json", timeout=PATIENCE_S).json())

    def make_key(self, *scopes: str) -> dict[str, Any]:
        arguments = [argument for scope in scopes for argument in ("--scope", scope)]
        made = self.line.run("keys", "create", "--name", "pager", "--expires", "90d", "--json", *arguments)
        assert made.code == 0, made.err
        return made.document

    def request(self, method: str, path: str, key: str, **values: Any) -> requests.Response:
        headers = {"authorization": f"Bearer {key}"}
        response = requests.request(method, self.url + path, headers=headers, timeout=PATIENCE_S, **values)
        self.publication.check(method, path.partition("?")[0], response)
        return response


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with Sandbox() as sandbox:
        line = CommandLine(tmp_path, sandbox.settings())
        with line.running("up", "--port", "0", until="Listening on") as lines:
            url = re.search(r"http://\S+", lines[-1])
            assert url is not None
            yield Api(line, url[0])


def test_an_incident_is_delivered_shown_and_acknowledged(api: Api):
    made = api.make_key("ingest", "read", "operate")
    key = made["key"]
    incident = {"key": "db-1", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
    submitted = api.request("POST", "/v1/incidents", key, json=incident)
    assert submitted.status_code == 201
    path = f"/v1/incidents/{submitted.json()['incident_id']}"
    wait_until(lambda: api.request("GET", path, key).json()["is_settled"])
    (escalation,) = api.request("GET", path, key).json()["escalations"]
    assert escalation["state"] == "REACHED"
    assert escalation["notifications"][0]["attempts"][0]["result"] is not None
    (way,) = api.request("GET", "/v1/recipients/ada", key).json()["ways"]
    assert (way["verdict"], way["address"]) == ("works", "'ada…' (15 characters)")
    assert api.request("POST", f"{path}/acknowledge", key).json()["incident"]["acknowledged_by"] == "pager"
    shown = api.line.run("status", "db-1", "--json").document
    assert (shown["state"], shown["acknowledged_via"]) == ("ACKNOWLEDGED", "api")
    wait_until(lambda: api.request("GET", "/readyz", key).status_code == 200)


def test_a_key_is_shown_once_and_is_valid_until_it_is_revoked(api: Api):
    made = api.make_key("read")
    assert api.request("GET", "/v1/incidents", made["key"]).status_code == 200
    assert api.request("POST", "/v1/incidents", made["key"], json={}).status_code == 403
    listed = api.line.run("keys", "list", "--json")
    (known,) = listed.document
    assert {name: known[name] for name in ("id", "name", "scopes", "revoked_at")} == {
        **{"id": made["id"], "name": "pager"},
        **{"scopes": ["read"], "revoked_at": None},
    }
    assert known["last_used_at"] is not None
    assert read(made["key"])[1] not in listed.out
    assert api.line.run("keys", "revoke", made["id"]).code == 0
    assert api.request("GET", "/v1/incidents", made["key"]).status_code == 401
    assert "revoked" in api.line.run("keys", "list").out


def test_invalid_arguments_of_the_keys_commands_exit_with_2(tmp_path: Path):
    line = CommandLine(tmp_path, {})
    assert line.run("keys", "revoke", "nope").code == 2
    assert line.run("keys", "create", "--name", " ", "--scope", "read").code == 2
    made = line.run("keys", "create", "--name", "a", "--scope", "read")
    assert re.fullmatch(r"nf_[0-9a-f]{32}_[\w-]{43}\n", made.out)
    assert "forever" in line.run("keys", "list").out


def test_a_key_keeps_its_namespace_when_it_is_rotated(api: Api):
    line = api.line
    made = line.run("keys", "create", "--name", "pager-b", "--namespace", "pager", "--scope", "ingest", "--scope", "read")
    assert "'pager'" in made.err
    (known,) = line.run("keys", "list", "--json").document
    assert (known["name"], known["namespace"]) == ("pager-b", "pager")
    assert "pager" in line.run("keys", "list").out.replace("pager-b", "")
    rotated = line.run("keys", "rotate", known["id"], "--overlap", "1h", "--json").document
    assert (rotated["name"], rotated["namespace"], rotated["scopes"]) == ("pager-b", "pager", ["ingest", "read"])
    incident = {"key": "db-1", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
    by_old, by_new = (api.request("POST", "/v1/incidents", key, json=incident) for key in (made.out.strip(), rotated["key"]))
    assert (by_old.status_code, by_new.status_code) == (201, 200)


def test_a_namespace_that_no_key_may_have_exits_with_2(tmp_path: Path):
    line = CommandLine(tmp_path, {})
    for name, namespace, scope in (("a", "*", "ingest"), ("a", "notifyflow", "read"), ("a", "two\nlines", "read")):
        refused = line.run("keys", "create", "--name", name, "--namespace", namespace, "--scope", scope)
        assert (refused.code, refused.out) == (2, "")
        assert "--namespace" in refused.err
    assert line.run("keys", "create", "--name", "notifyflow", "--scope", "read").code == 2
    assert line.run("keys", "rotate", "nope").code == 2
    assert line.run("keys", "list", "--json").document == []


def test_an_incident_key_in_several_namespaces_changes_nothing_until_one_is_named(api: Api):
    line = api.line
    secrets = [line.run("keys", "create", "--name", name, "--scope", "ingest", "--json").document["key"] for name in ("a", "b")]
    incident = {"key": "db-1", "title": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
    ids = [api.request("POST", "/v1/incidents", secret, json=incident).json()["incident_id"] for secret in secrets]
    for command in ("status", "ack", "resolve"):
        refused = line.run(command, "db-1")
        assert refused.code == 2
        assert all(part in refused.err for part in (*ids, "'a'", "'b'", "--namespace"))
    shown = line.run("ack", "db-1", "--by", "ada", "--namespace", "b", "--json").document
    assert (shown["id"], shown["namespace"], shown["state"]) == (ids[1], "b", "ACKNOWLEDGED")
    assert line.run("status", "db-1", "--namespace", "a", "--json").document["state"] == "OPEN"
    assert line.run("resolve", "db-1", "--namespace", "b").code == 0
    assert line.run("status", ids[0], "--json").document["namespace"] == "a"
    assert line.run("resolve", "db-1", "--json").document["id"] == ids[0]
    assert line.run("resolve", "db-1", "--namespace", "c").code == 2


def test_the_command_line_the_api_and_the_webhook_show_the_same_incident(tmp_path: Path):
    with Sandbox() as sandbox:
        line = CommandLine(tmp_path, {**sandbox.settings(), "NOTIFYFLOW_WEBHOOKS": sandbox.webhooks("status-page")})
        with line.running("up", "--port", "0", until="Listening on") as lines:
            api = Api(line, lines[-1].rpartition(" ")[2])
            key = api.make_key("ingest", "read")["key"]
            recipients = [{"id": "ada", "name": "Ada", "email": "ada@example.com"}, {"id": "ben", "phone": "+15005550006"}]
            incident = {
                "key": "db-1",
                "title": "down",
                "severity": "CRITICAL",
                "labels": {"team": "orders"},
                "recipients": recipients,
            }
            incident_id = api.request("POST", "/v1/incidents", key, json=incident).json()["incident_id"]
            posted = json.loads(sandbox.inbox.wait_for(lambda message: message.channel == "webhook").content.pieces[-1].text)
            wait_until(lambda: not unsettled(api.request("GET", f"/v1/incidents/{incident_id}", key).json()))
            assert line.run("ack", "db-1", "--namespace", "pager", "--by", "ada").code == 0
            wait_until(lambda: not unsettled(api.request("GET", f"/v1/incidents/{incident_id}", key).json()))
            by_api = api.request("GET", f"/v1/incidents/{incident_id}", key).json()
            by_command = line.run("status", incident_id, "--json").document
            (listed,) = api.request("GET", "/v1/incidents", key).json()["incidents"]
    beside = {"pauses": [], "next": [], "notice": by_command["notice"]}
    assert by_command == by_api | beside
    assert listed.items() <= by_api.items()
    of_the_event = ("state", "version", "by", "via", "notice")
    assert {name: value for name, value in posted["data"].items() if name not in of_the_event}.items() <= by_api.items()
    assert (posted["type"], posted["data"]["state"]) == ("incident.opened", "OPEN")
    assert posted["timestamp"] == by_api["opened_at"] == by_api["incident_events"][0]["at"]


def unsettled(incident: dict[str, Any]) -> list[str]:
    """Return the notifications that are not at rest."""
    rows = [row for escalation in incident["escalations"] for row in escalation["notifications"]]
    rows += [event["notification"] for event in incident["incident_events"]]
    return [row["id"] for row in rows if row["state"] in ("QUEUED", "SENDING")]
