"""The lines of the how-to about watched jobs ping as they stand, with curl, over a socket."""

import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from healthchecks_decorator import healthcheck

from notifyflow.app import NotifyFlow
from notifyflow.cli.frame.serving import listen, served, url_of
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.core.oncall.directory import read_directory
from notifyflow.core.oncall.pings import Mark, read_entries
from notifyflow.settings import Settings
from tests.integration.test_docs import blocks

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "how-to" / "watch-a-job.rst"
PEOPLE = 'default.to = ["ada"]\nrecipients.ada = { email = "ada@example.com" }\n'
NAME = "nightly-backup"


class Host:
    """A machine whose jobs ping a served web application."""

    def __init__(self, flow: NotifyFlow, url: str, folder: Path) -> None:
        self.flow = flow
        self.url = url
        self.key = flow.access().create("host", {KeyScope.PING}, valid_for=None, heartbeat=NAME)[1]
        self.job = folder / "backup.sh"
        self.job.write_text("#!/bin/sh\necho backed up $1\nexit $1\n")
        self.job.chmod(0o755)

    def run(self, line: str, ended: int) -> str:
        """Run a line of the page whose job ends so; return what is known of it then."""
        line = line.replace("https://notify.example.com", self.url).replace("/opt/backup.sh", f"{self.job} {ended}")
        environment = {**os.environ, "KEY": self.key, "EXIT_STATUS": str(ended), "no_proxy": "*"}
        subprocess.run(["sh", "-c", line], env=environment, check=True, capture_output=True, timeout=60)
        return " ".join(self.marks()[-2:])

    def marks(self) -> list[Mark]:
        (job,) = self.flow.overview.heartbeats()[0]
        return [mark for _, mark in read_entries(job.pings)]

    def output(self) -> str:
        return self.flow.overview.heartbeats()[0][0].output


@pytest.fixture
def host(sqlite_url: str, tmp_path: Path) -> Iterator[Host]:
    directory = tmp_path / "directory.toml"
    directory.write_text(PEOPLE + blocks(PAGE, "toml")[0])
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_DIRECTORY": str(directory)})
    with NotifyFlow(settings) as flow, listen("127.0.0.1", 0) as listening, served(flow.asgi(), listening):
        flow.oncall.roster()
        yield Host(flow, url_of(listening), tmp_path)


def test_its_table_is_a_directory() -> None:
    assert list(read_directory(PEOPLE + blocks(PAGE, "toml")[0], SHIPPED).heartbeats) == [NAME]
    reference = (ROOT / "docs" / "reference" / "directory.rst").read_text()
    (tables,) = re.findall(r"   \.\. code-block:: toml\n\n((?:      .*\n|\n)+)   ``every``", reference)
    declared = tomllib.loads(re.sub("^      ", "", tables, flags=re.MULTILINE))["heartbeats"]
    assert set(declared) == {NAME, "export"}


def test_the_lines_for_cron_systemd_and_kubernetes_ping_as_the_job_ended(host: Host) -> None:
    cron = blocks(PAGE, "text")[0].split("  ", 1)[1].strip()
    assert host.run(cron, 0) == "on time"
    assert host.run(cron, 1) == "on time failed"
    unit = dict(re.findall(r"(Exec\w+)=-?(.*)", blocks(PAGE, "ini")[0]))
    assert host.run(unit["ExecStartPre"], 0) == "failed started"
    assert host.run(unit["ExecStopPost"], 0) == "started late"
    kubernetes = blocks(PAGE, "yaml")[0].rpartition("- ")[2].strip()
    assert host.run(f"({kubernetes}) || test $? = 2", 2) == "late failed"


def test_the_script_says_when_it_starts_and_what_the_job_said(host: Host) -> None:
    script = shlex.join([str(ROOT / "examples" / "watched-job.sh"), f"{host.url}/v1/heartbeats/{host.key}"])
    assert host.run(f"{script} /opt/backup.sh", 0) == "started on time"
    assert host.run(f"{script} /opt/backup.sh || true", 3) == "started failed"
    assert host.output() == "backed up 3"


def test_a_client_of_healthchecks_pings_as_it_is(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", host.key)
    monkeypatch.setenv("no_proxy", "*")
    example: dict[str, Any] = {}
    exec(blocks(PAGE, "python")[0].replace("https://notify.example.com", host.url), example)
    example["backup"]()
    assert host.marks() == [Mark.STARTED, Mark.ON_TIME]

    @healthcheck(url=f"{host.url}/v1/heartbeats/{host.key}", send_start=True, send_diagnostics=True)
    def export(orders: int) -> dict[str, int]:
        return {"share": 100 // orders}

    export(4)
    assert host.output() == "share=25"
    with pytest.raises(ZeroDivisionError):
        export(0)
    assert host.marks()[2:] == [Mark.STARTED, Mark.ON_TIME, Mark.STARTED, Mark.FAILED]
