"""The documented requests get the documented responses, and every problem is documented."""

import json
import re
import shlex
from pathlib import Path

from notifyflow.app import NotifyFlow
from notifyflow.settings import Settings
from notifyflow.web.frame.problems import KINDS
from tests.builders import ALL_SCOPES
from tests.integration.test_docs import blocks
from tests.integration.web.delivery.test_api import SilentBell
from tests.published import Published

DOCS = Path(__file__).parents[4] / "docs"
REFERENCE = DOCS / "reference/rest-api.rst"


def test_the_requests_of_the_how_to_work(sqlite_url: str):
    shell = "\n".join(blocks(DOCS / "how-to/use-the-api.rst", "shell")).replace("\\\n", "")
    requests = re.findall(r"^curl (?:'[^']*'|[^'\n])+$", shell, flags=re.MULTILINE)
    assert len(requests) == shell.count("curl") == 6
    (shown,) = blocks(DOCS / "how-to/use-the-api.rst", "json")
    with NotifyFlow(Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": sqlite_url}), bell=SilentBell()) as flow:
        variables = {"URL": "", "KEY": flow.access().create("billing", ALL_SCOPES, valid_for=None)[1]}
        client = Published(flow.asgi())
        for request in requests:
            method, path, headers, body = read_curl(re.sub(r"\$(\w+)", lambda name: variables[name[1]], request))
            response = client.request(method, path, headers=headers, content=body)
            assert response.status_code in (200, 201), response.text
            if "INCIDENT" not in variables:
                variables["INCIDENT"] = response.json()["incident_id"]
                assert response.json() == json.loads(shown) | {"incident_id": variables["INCIDENT"]}
        assert flow.status("db-1").facts.resolved_by == "billing"


def read_curl(command: str) -> tuple[str, str, dict[str, str], str]:
    """Parse a curl command line: method, path, headers, body."""
    words = iter(shlex.split(command)[1:])
    method, path, headers, body = "GET", "", {}, ""
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                body = next(words)
            case _:
                path = word
    return method, path, headers, body


def test_the_problem_in_the_reference_is_returned(sqlite_url: str):
    (shown,) = blocks(REFERENCE, "json")
    with NotifyFlow(Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": sqlite_url}), bell=SilentBell()) as flow:
        client = Published(flow.asgi(), flow.access().create("billing", ALL_SCOPES, valid_for=None)[1])
        body = {"key": "db-1", "titel": "down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
        assert client.post("/v1/incidents", json=body).json() == json.loads(shown)


def test_every_kind_of_problem_has_its_row():
    page = REFERENCE.read_text()
    for status, kind, _ in KINDS.values():
        assert f"   * - {status}\n     - ``{kind}``\n" in page
