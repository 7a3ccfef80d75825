"""A real Prometheus Alertmanager, Debian's, started by hand: alone, on a port and a folder of its own."""

import json
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.servers.ports import reserve_port

_DEADLINE_S = 60


class Alertmanager:
    """One server, which forwards alerts to the receivers of its configuration."""

    def __init__(self, url: str, log: Path) -> None:
        self._url = url
        self._log = log

    def fire(self, labels: Mapping[str, str], annotations: Mapping[str, str]) -> None:
        """Tell it of an alert, as Prometheus does."""
        self._post({"labels": labels, "annotations": annotations})

    def end(self, labels: Mapping[str, str]) -> None:
        """Tell it that an alert is over."""
        self._post({"labels": labels, "endsAt": datetime.now(UTC).isoformat()})

    @property
    def log(self) -> str:
        return self._log.read_text()

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _post(self, alert: Mapping[str, object]) -> None:
        request = urllib.request.Request(
            f"{self._url}/api/v2/alerts", json.dumps([alert]).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30):
            pass


@contextmanager
def alertmanager(configuration: str) -> Iterator[Alertmanager]:
    """Run a server with this configuration, in YAML, for as long as the block lasts."""
    program = shutil.which("prometheus-alertmanager")
    assert program is not None, "no prometheus-alertmanager on PATH; Debian: apt-get install prometheus-alertmanager"
    with tempfile.TemporaryDirectory(prefix="alertmanager-") as name:
        folder, address = Path(name), f"127.0.0.1:{reserve_port()}"
        (folder / "alertmanager.yml").write_text(configuration)
        options = [f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder}", f"--web.listen-address={address}"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([program, *options, "--cluster.listen-address="], stdout=log, stderr=log)
        server = Alertmanager(f"http://{address}", folder / "log")
        try:
            deadline = time.monotonic() + _DEADLINE_S
            while not server.is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Alertmanager did not start:\n{server.log}")
                time.sleep(0.05)
            yield server
        finally:
            process.kill()
            process.wait(_DEADLINE_S)
