"""A process imports the libraries of its providers when it starts to work, and not within a send or a request."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from notifyflow.sandbox import Sandbox

SCRIPT = """
import json, sys, time
from notifyflow import Incident, NotifyFlow, Recipient, Severity

with NotifyFlow.from_env() as flow:
    {begin}
    begun = set(sys.modules)
    flow.notify(
        Incident(key="db-1", title="down", severity=Severity.CRITICAL),
        [Recipient(id=channel, addresses={{channel: address}}) for channel, address in json.loads(sys.argv[1]).items()],
    )
    accepted, ends_at = 0, time.monotonic() + 60
    while accepted < len(json.loads(sys.argv[1])) and time.monotonic() < ends_at:
        time.sleep(0.05)
        attempts = [note.attempts for person in flow.status("db-1").escalations for note in person.notifications]
        accepted = sum(any(attempt.evidence is not None for attempt in each) for each in attempts)
print(json.dumps([accepted, sorted({{name.partition(".")[0] for name in set(sys.modules) - begun}})]))
"""
CLIENTS = {"boto3", "botocore", "dramatiq", "jinja2", "requests", "slack_sdk", "smtplib", "twilio"}


@pytest.mark.parametrize("begin", ["flow.start()", "flow.start(); flow.asgi()"])
def test_no_send_imports_the_library_of_its_provider(begin: str, tmp_path: Path) -> None:
    with Sandbox(receipts_after_s=0.05) as sandbox:
        addresses = {
            "email": "ada@example.com",
            "push": sandbox.push_arn("ada"),
            "slack": "U0ADA",
            "sms": "+15005550011",
            "teams": sandbox.teams_url("ada"),
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(begin=begin), json.dumps(addresses)],
            env={**os.environ, **sandbox.settings(), "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path}/notifyflow.db"},
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    accepted, imported = json.loads(done.stdout.splitlines()[-1])
    assert accepted == len(addresses)
    assert not CLIENTS.intersection(imported)
