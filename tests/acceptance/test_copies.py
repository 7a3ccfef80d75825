"""A copy is refused, adopted, and emptied from the command line; and a person is forgotten."""

import os
import pty
from pathlib import Path

from notifyflow.sandbox.system import Sandbox
from tests.acceptance.commands import CommandLine, Ended

INCIDENT = {"key": "db-1", "title": "orders db is down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}
PRODUCTION = {"NOTIFYFLOW_ENVIRONMENT": "production"}
STAGING = {"NOTIFYFLOW_ENVIRONMENT": "staging", "NOTIFYFLOW_DELIVERY": "redirect:email=dev@example.com"}


def run_confirmed(line: CommandLine, reply: str, *arguments: str, **variables: str) -> Ended:
    """Run a command whose standard input is a terminal, and type a response."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, reply.encode())
        return line.run(*arguments, stdin=theirs, **variables)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_copy_is_refused_then_adopted_and_resolved_without_paging(tmp_path: Path):
    with Sandbox() as sandbox:
        line = CommandLine(tmp_path, sandbox.settings())
        file = line.write("incident.json", INCIDENT)
        assert line.run("send", file, **PRODUCTION).code == 0

        refused = line.run("send", file, **STAGING)
        assert refused.code == 2
        assert "production" in refused.err
        assert "notifyflow db adopt" in refused.err
        refused = line.run("db", "adopt", "--force", **STAGING)
        assert (refused.code, "Confirm with --yes" in refused.err) == (2, True)
        assert "1 incident is unfinished in this database of the environment production" in refused.err
        declined = run_confirmed(line, "n\n", "db", "adopt", "--force", **STAGING)
        assert (declined.code, "Nothing was done." in declined.err) == (2, True)
        assert "1 incident is quarantined" in run_confirmed(line, "y\n", "db", "adopt", "--force", **STAGING).out
        assert line.run("db", "adopt", "--release", "--resolve", **STAGING).code == 2
        still_paged = line.run("forget", "ada", **STAGING)
        assert (still_paged.code, "'db-1'" in still_paged.err) == (2, True)
        assert line.run("db", "adopt", "--resolve", **STAGING).code == 2
        assert "1 incident was resolved." in line.run("db", "adopt", "--resolve", "--yes", **STAGING).out
        assert "Removed from 1 incident." in line.run("forget", "ada", **STAGING).out
        assert "no findings" in line.run("check", **STAGING).out

        sent = line.run("send", file, **STAGING)
        assert (sent.code, "sandbox, redirected" in sent.err) == (0, True)
        assert line.run("status", "db-1", "--json", **STAGING).document["notice"] == "sandbox, redirected"
        assert [message.to for message in sandbox.inbox.messages()] == ["ada@example.com", "dev@example.com"]
        assert line.run("status", "db-1", **PRODUCTION).code == 2
