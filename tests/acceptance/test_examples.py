"""The examples run as they are."""

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from notifyflow.core.intake.documents import read_policies
from notifyflow.sandbox.system import Sandbox
from tests.acceptance.commands import CommandLine
from tests.servers.ports import reserve_port

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_every_example_is_listed():
    listed = set(re.findall(r"`(\S+) <", (EXAMPLES / "README.rst").read_text()))
    assert listed == {path.name for path in EXAMPLES.iterdir()} - {"README.rst", "__pycache__"}


def test_a_backup_that_fails_twice_pages_and_ends_as_the_backup_did(tmp_path: Path):
    with Sandbox() as sandbox:
        backup = [sys.executable, str(EXAMPLES / "backup.py"), sys.executable, "-c", "exit('disk full')"]
        environment = {"PATH": os.environ["PATH"], **sandbox.settings()}
        for _ in range(2):
            done = subprocess.run(backup, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
            assert done.returncode == 1
            assert "ada: REACHED" in done.stderr
        assert "disk full" in sandbox.inbox.messages(channel="email")[0].text


def post(url: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=30) as response:
        return json.load(response)


def test_the_application_pages_and_resolves(tmp_path: Path):
    with Sandbox() as sandbox:
        port = reserve_port()
        uvicorn = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "web_application:app", "--port", str(port)]
        environment = {"PATH": os.environ["PATH"], **sandbox.settings()}
        with subprocess.Popen(uvicorn, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                assert any("Uvicorn running" in line for line in process.stderr)
                url = f"http://127.0.0.1:{port}"
                assert post(f"{url}/orders/7/stuck")["is_new"] is True
                assert "order 7 is stuck" in sandbox.inbox.wait_for(lambda message: message.channel == "email").text
                assert post(f"{url}/orders/7/done") is None
                with urllib.request.urlopen(f"{url}/notify/livez", timeout=30) as alive:
                    assert alive.status == 200
            finally:
                process.terminate()


def test_the_incident_file_the_directory_and_the_requests_are_accepted_twice(tmp_path: Path):
    with Sandbox() as sandbox:
        port = reserve_port()
        url = f"http://127.0.0.1:{port}"
        operations = '[{"id": "operations", "email": "operations@example.com"}]'
        variables = {"NOTIFYFLOW_PUBLIC_URL": url, "NOTIFYFLOW_OPS_RECIPIENTS": operations}
        line = CommandLine(tmp_path, {**sandbox.settings(), **variables})
        checked = line.run("directory", "check", str(EXAMPLES / "directory.toml"))
        assert checked.code == 0, checked
        for _ in range(2):
            sent = line.run("send", str(EXAMPLES / "incident.json"))
            assert sent.code == 0, sent
            assert line.run("resolve", "db-1").code == 0
        made = line.run("keys", "create", "--name", "trial", *("--scope", "ingest", "--scope", "read", "--scope", "operate"))
        (key,) = re.findall(r"nf_\S+", made.out)
        with line.running("up", "--port", str(port), until="Listening on"):
            environment = {"PATH": os.environ["PATH"], "URL": url, "KEY": key}
            for _ in range(2):
                done = subprocess.run([EXAMPLES / "curl.sh"], env=environment, capture_output=True, text=True, timeout=60)
                assert done.returncode == 0, done
                opened, shown, acknowledged, resolved = done.stdout.splitlines()
                assert json.loads(shown)["id"] == opened.removeprefix("opened ")
                assert json.loads(acknowledged)["incident"]["state"] == "ACKNOWLEDGED"
                assert json.loads(resolved)["incident"]["state"] == "RESOLVED"


def test_the_policies_are_valid():
    assert set(read_policies((EXAMPLES / "policies.toml").read_text())) == {"working-hours", "all-hands"}
