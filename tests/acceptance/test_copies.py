"""A copy is refused, adopted, and emptied from the command line; and a person is forgotten."""

from pathlib import Path

from notifyflow.sandbox.system import Sandbox
from tests.acceptance.commands import CommandLine

INCIDENT = {"key": "db-1", "title": "orders db is down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
PRODUCTION = {"NOTIFYFLOW_ENVIRONMENT": "production"}
STAGING = {"NOTIFYFLOW_ENVIRONMENT": "staging", "NOTIFYFLOW_DELIVERY": "redirect:email=dev@example.com"}


def test_a_copy_is_refused_adopted_and_emptied_and_pages_nobody_of_production(tmp_path: Path):
    with Sandbox() as sandbox:
        line = CommandLine(tmp_path, sandbox.settings())
        file = line.write("incident.json", INCIDENT)
        assert line.run("send", file, **PRODUCTION).code == 0

        refused = line.run("send", file, **STAGING)
        assert refused.code == 2
        assert "production" in refused.err
        assert "notifyflow db adopt" in refused.err
        assert "1 incidents are held" in line.run("db", "adopt", **STAGING).out
        assert line.run("db", "adopt", "--release", "--cancel", **STAGING).code == 2
        still_paged = line.run("forget", "ada", **STAGING)
        assert (still_paged.code, "'db-1'" in still_paged.err) == (2, True)
        assert "1 incidents were held, and are resolved" in line.run("db", "adopt", "--cancel", **STAGING).out
        assert "Taken from 1 incident." in line.run("forget", "ada", **STAGING).out
        assert "all is as it should be" in line.run("check", **STAGING).out

        sent = line.run("send", file, **STAGING)
        assert (sent.code, "sandbox, redirected" in sent.err) == (0, True)
        assert line.run("status", "db-1", "--json", **STAGING).document["notice"] == "sandbox, redirected"
        assert [message.to for message in sandbox.inbox.messages()] == ["ada@example.com", "dev@example.com"]
        assert line.run("status", "db-1", **PRODUCTION).code == 2
