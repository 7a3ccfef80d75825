"""A rolling upgrade under load: processes of an older commit give way to those of the last one, with one more migration.

``python -m tests.chaos.rolling [COMMIT]`` plays it once and writes the figures; it ends with 1 if anything was lost.
"""

import itertools
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from notifyflow.sandbox.system import Sandbox
from tests.chaos.field import DEADLINE_S, ROOT, EarlierClock, Field, Worker, until
from tests.integration.storage.migrations import second_version
from tests.servers.postgres import postgres
from tests.servers.redis import redis_server

WORKERS = 3
WEBS = 2
PEOPLE = 3
PACE_S = 0.2
STAGE_S = 8.0
"""How long the load goes on between two steps."""

_PAGE = ROOT / "docs" / "figures" / "rolling.rst"
_TEXT = """\
.. Made by scripts/rolling; do not edit.

{workers} workers and {webs} web services of one commit were replaced by those of the next one, with one migration more:
two cores, PostgreSQL, Redis, and the stand-ins of the providers. Meanwhile, in {took_s:.0f} s, {incidents} incidents with
{notifications:,} notifications came in through the API. ``notifyflow db upgrade`` took {upgrade_s:.1f} s, its start included.
The old processes then took {between} more incidents before the first of them was replaced. One old and one new
worker were killed with ``kill -9``.

.. list-table::
   :widths: 80 20

   * - Notifications that were lost
     - {lost}
   * - Attempts in doubt
     - {doubts}
   * - Messages sent twice
     - {duplicates}
   * - of those, without a doubt in their rows
     - {unexplained}
   * - Requests that one web service did not take and another one did
     - {refused}
"""


@dataclass(frozen=True)
class Tree:
    """The files of a commit, whose commands run as processes of their own."""

    path: Path

    @classmethod
    def of(cls, commit: str, path: Path) -> "Tree":
        """Write a commit's files into a folder."""
        path.mkdir()
        packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", path], input=packed, check=True)
        return cls(path)

    def add_migration(self) -> None:
        """Give the schema its second version, which no release has."""
        folder = self.path / "notifyflow" / "storage" / "migrations"
        shutil.copy(second_version.__file__, folder / "v0002_second.py")
        source = (folder / "__init__.py").read_text()
        for old, new in (
            ("import v0001_initial\n", "import v0001_initial, v0002_second\n"),
            ("(v0001_initial,)", "(v0001_initial, v0002_second)"),
        ):
            assert source.count(old) == 1
            source = source.replace(old, new)
        (folder / "__init__.py").write_text(source)

    def settings(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return an environment in which this tree's code is imported."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFYFLOW_", "COVERAGE_"))}
        return {**kept, **variables, "PYTHONPATH": str(self.path)}

    def run(self, variables: Mapping[str, str], *arguments: str) -> str:
        """Run a command to its end and return what it printed."""
        command = [sys.executable, "-m", "notifyflow", *arguments]
        done = subprocess.run(command, cwd=self.path, env=self.settings(variables), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


class Web:
    """One ``notifyflow web`` on a free port."""

    def __init__(self, tree: Tree, variables: Mapping[str, str], log: Path) -> None:
        with log.open("wb") as file:
            command = [sys.executable, "-u", "-m", "notifyflow", "web", "--port", "0"]
            self._process = subprocess.Popen(command, cwd=tree.path, env=tree.settings(variables), stdout=file, stderr=file)
        until(lambda: b"Listening on" in log.read_bytes(), what=f"{log} does not listen")
        (self.url,) = re.findall(r"Listening on (\S+)", log.read_text())

    def terminate(self) -> None:
        """Stop it with SIGTERM."""
        self._process.terminate()
        assert self._process.wait(DEADLINE_S) == 0

    def kill(self) -> None:
        """Kill it if it still runs."""
        self._process.kill()
        self._process.wait(DEADLINE_S)


@dataclass
class Load:
    """Incidents that come in through the API, one after another, to whichever web service takes them.

    Attributes:
        urls: Returns where web services listen.
        patience_s: How long an incident may wait for one that takes it.
        refused: How many requests were repeated, since a web service stopped meanwhile.
    """

    key: str
    urls: Callable[[], Sequence[str]]
    patience_s: float = 60
    keys: list[str] = field(default_factory=list)
    refused: int = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let them come for as long as the block takes."""
        is_over = threading.Event()

        def post() -> None:
            while not is_over.wait(PACE_S):
                self._submit(f"incident-{len(self.keys)}")

        with ThreadPoolExecutor(1) as pool:
            posting = pool.submit(post)
            try:
                yield
            finally:
                is_over.set()
            posting.result()

    def _submit(self, key: str) -> None:
        people = [{"id": f"p{n}", "email": f"p{n}@example.com", "slack": "C0123456789"} for n in range(PEOPLE)]
        body = json.dumps({"key": key, "title": "orders db is down", "recipients": people}).encode()
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        deadline = time.monotonic() + self.patience_s
        for turn in itertools.count(len(self.keys)):
            assert time.monotonic() < deadline, "no web service takes it"
            if not (urls := self.urls()):
                time.sleep(PACE_S)
                continue
            request = urllib.request.Request(f"{urls[turn % len(urls)]}/v1/incidents", data=body, headers=headers)
            try:
                urllib.request.urlopen(request, timeout=DEADLINE_S).close()
            except (OSError, urllib.error.HTTPError) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                    raise
                self.refused += 1
                time.sleep(PACE_S)
            else:
                self.keys.append(key)
                return


class Fleet:
    """The workers and web services, of either commit."""

    def __init__(self, at: Field, resources: ExitStack) -> None:
        self._at, self._resources = at, resources
        self._started = 0

    def worker(self, tree: Tree) -> Worker:
        """Start a worker and wait until it takes work."""
        log = self._log()
        worker = Worker(tree.settings(self._at.variables), log, module="notifyflow.worker", tree=tree.path)
        self._resources.callback(worker.kill)
        until(lambda: b"ready for action" in log.read_bytes(), what=f"{log} does not take work")
        return worker

    def web(self, tree: Tree) -> Web:
        """Start a web service and wait until it listens."""
        web = Web(tree, self._at.variables, self._log())
        self._resources.callback(web.kill)
        return web

    def _log(self) -> Path:
        self._started += 1
        return self._at.folder / f"process-{self._started}.log"


def play(at: Field, old: Tree, new: Tree) -> Mapping[str, float]:
    """Upgrade the database, then replace the workers, then the web services, as the how-to says; return the figures."""
    key = old.run(at.variables, "keys", "create", "--name", "load", "--scope", "ingest").strip()
    with ExitStack() as resources:
        fleet = Fleet(at, resources)
        workers, webs = [fleet.worker(old) for _ in range(WORKERS)], [fleet.web(old) for _ in range(WEBS)]
        load = Load(key, lambda: [web.url for web in webs])
        began = time.monotonic()
        with load.running():
            time.sleep(STAGE_S)
            upgrade_s, before = _upgrade(at, new), len(load.keys)
            time.sleep(STAGE_S)
            between = len(load.keys) - before
            _replace_workers(workers, fleet, new)
            for number, web in enumerate(tuple(webs)):
                webs[number] = fleet.web(new)
                web.terminate()
            time.sleep(STAGE_S)
        at.keys += load.keys
        took_s = time.monotonic() - began
        at.settle()
        verdict = at.verdict()
    return {
        **{name: getattr(verdict, name) for name in verdict.__dataclass_fields__},
        **{"incidents": len(load.keys), "took_s": took_s, "upgrade_s": upgrade_s, "between": between, "refused": load.refused},
    }


def _upgrade(at: Field, new: Tree) -> float:
    began = time.monotonic()
    assert "schema 2" in new.run(at.variables, "db", "upgrade")
    return time.monotonic() - began


def _replace_workers(workers: Sequence[Worker], fleet: Fleet, new: Tree) -> None:
    """Start a new worker before each old one stops; the second old one is killed, and so is a new one that is replaced again."""
    for number, worker in enumerate(workers):
        started = fleet.worker(new)
        time.sleep(STAGE_S / 2)
        if number != 1:
            worker.terminate()
            continue
        for killed in (worker, started):
            killed.signal(signal.SIGKILL)
        fleet.worker(new)


def main(commit: str) -> int:
    """Play it, write the figures, and return whether something was lost or is without an explanation."""
    logging.disable(logging.WARNING)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rolling-")))
        old, new = Tree.of(commit, folder / "old"), Tree.of("HEAD", folder / "new")
        new.add_migration()
        server, broker = stack.enter_context(postgres()), stack.enter_context(redis_server())
        sandbox = stack.enter_context(Sandbox())
        sandbox.script("all: slow 50 ms")
        variables = {"NOTIFYFLOW_DATABASE_URL": server.url(server.create_database()), "NOTIFYFLOW_BROKER_URL": broker.url}
        at = Field(sandbox, folder, variables, clock=EarlierClock())
        assert "schema 1" in old.run(at.variables, "db", "upgrade")
        with at.open():
            figures = play(at, old, new)
    text = _TEXT.format(workers=WORKERS, webs=WEBS, **figures)
    _PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 1 if figures["lost"] or figures["unexplained"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "HEAD~1"))
