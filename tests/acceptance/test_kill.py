"""The embedded engine, killed with SIGKILL while it delivers, and started again."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from notifyflow import NotifyFlow, Settings
from notifyflow.core.delivery.model import NotificationState
from notifyflow.sandbox.system import Sandbox

DEADLINE_S = 60
COUNT = 40
CHILD = """
import json, sys
from notifyflow import Incident, NotifyFlow, Recipient

people = [Recipient(id=name, slack=url) for name, url in json.load(sys.stdin).items()]
with NotifyFlow.from_env() as flow:
    flow.notify(Incident(key="db-1", title="orders db is down"), people)
    print("accepted", flush=True)
    flow.wait("db-1")
"""


def run_until_killed(variables: Mapping[str, str], people: Mapping[str, str], sandbox: Sandbox) -> None:
    """Notify in a child process, and kill it as soon as the provider has received some."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFYFLOW_", "COVERAGE_"))}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], env={**kept, **variables}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(people))
        child.stdin.close()
        assert any("accepted" in line for line in child.stdout)
        deadline = time.monotonic() + DEADLINE_S
        while len(sandbox.inbox.messages()) < COUNT // 4:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.kill()


def test_nothing_is_lost_and_only_what_is_in_doubt_is_repeated(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        sandbox.script("slack: slow 300 ms")
        variables = {
            **sandbox.settings(),
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'notifyflow.db'}",
            "NOTIFYFLOW_CONNECT_TIMEOUT_S": "1",
            "NOTIFYFLOW_READ_TIMEOUT_S": "1",
            "NOTIFYFLOW_LEASE_S": "4",
            "NOTIFYFLOW_CONCURRENT_SENDS": "5",
        }
        people = {f"p{number}": sandbox.slack_url(f"p{number}") for number in range(COUNT)}
        run_until_killed(variables, people, sandbox)
        sandbox.script("all: ok")
        with NotifyFlow(Settings.from_variables(variables)) as flow:
            left = flow.status("db-1")
            assert {row.state for each in left.escalations for row in each.notifications} > {NotificationState.QUEUED}
            assert flow.wait("db-1", timeout_s=DEADLINE_S)
            status = flow.status("db-1")
        seen = Counter(message.to for message in sandbox.inbox.messages() if message.is_accepted)
    assert len(status.escalations) == COUNT
    for escalation in status.escalations:
        (row,) = escalation.notifications
        assert row.state is NotificationState.SENT
        assert 1 <= seen[escalation.contact.recipient_id] <= 1 + sum(attempt.is_doubted for attempt in row.attempts)
