"""``notifyflow db adopt`` is run on a database in use: it needs ``--force``, and the quarantine is shown."""

import json
from pathlib import Path

from tests.acceptance.commands import CommandLine
from tests.security.conftest import Target

INCIDENT = {"key": "db-1", "title": "orders db is down", "recipients": [{"id": "ada", "email": "ada@example.com"}]}


def test_a_database_that_is_worked_on_is_adopted_only_when_forced_and_then_shows_its_quarantine(target: Target, tmp_path: Path):
    variables = target.sandbox.settings() | {"NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'target.db'}"}
    line = CommandLine(tmp_path, variables)
    file = line.write("incident.json", INCIDENT)
    assert line.run("send", file).code == 0

    for options in ((), ("--yes",)):
        refused = line.run("db", "adopt", *options)
        assert refused.code == 2
        assert "a process delivers from this database" in refused.err
        assert "1 unfinished incident." in refused.err
    refused = line.run("db", "adopt", "--force")
    assert (refused.code, "Confirm with --yes" in refused.err) == (2, True)
    assert not target.status("db-1").is_quarantined
    assert line.run("check").code == 0
    assert json.loads(target.request("GET", "/readyz")[1])["is_degraded"] is False

    assert "1 incident is quarantined" in line.run("db", "adopt", "--force", "--yes").out
    code, response = target.request("GET", "/readyz?exclude=sweeping")
    found = json.loads(response)
    assert (code, found["is_ready"], found["is_degraded"]) == (200, True, True)
    assert found["faults"][0]["where"] == "quarantine"
    assert "db adopt --release" in found["faults"][0]["remedy"]
    checked = line.run("check")
    assert (checked.code, "1 of them is quarantined" in checked.out) == (1, True)
    assert line.run("check", "--json").document["quarantined"] == 1
    sent = line.run("send", file)
    assert (sent.code, "is quarantined since the database was adopted" in sent.err) == (1, True)
    assert line.run("send", file, "--json").document["is_quarantined"] is True
    for command in ("status", "ack", "resolve"):
        assert "quarantined:" in line.run(command, "db-1").out
    assert line.run("db", "adopt", "--release").out == "1 incident was released and continues.\n"
    assert line.run("check").code == 0
