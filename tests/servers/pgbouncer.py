"""A real PgBouncer in transaction mode, from Debian's package, between a PostgreSQL on loopback and its clients."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path
from textwrap import dedent
from typing import Any

import psycopg

from tests.servers.ports import reserve_port

SETTINGS = "PGBOUNCER"
"""The variable that puts a pooler before each PostgreSQL of the tests: settings of it, as ``max_prepared_statements=200``."""
_PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "pgbouncer.rst"
_DEADLINE_S = 60
_SETTINGS = {
    "listen_addr": "127.0.0.1",
    "unix_socket_dir": "",
    "auth_type": "any",
    "default_pool_size": "8",
    "server_round_robin": "1",  # by default, a client that is alone gets the same connection each time
}


class PgBouncer:
    """One pooler with the settings of the how-to page and a small pool, which lets everybody in as ``postgres``.

    It stays while its server stops and starts.
    """

    def __init__(self, folder: Path, server_port: int, *, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._server_port = server_port
        self._settings = _documented() | _SETTINGS | dict(settings)
        self._user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
        self._process: subprocess.Popen[bytes] | None = None
        self.port = reserve_port()

    def start(self) -> None:
        """Start it unless it runs, and wait until it responds."""
        if self._process is not None:
            return
        if self._user:
            shutil.chown(self._folder, self._user)
        parser = ConfigParser()
        parser["databases"] = {"*": f"host=127.0.0.1 port={self._server_port} user=postgres"}
        parser["pgbouncer"] = {"listen_port": str(self.port), **self._settings}
        configuration = self._folder / "pgbouncer.ini"
        with configuration.open("w") as file:
            parser.write(file)
        how: dict[str, Any] = {"user": self._user, "group": "nogroup", "extra_groups": ()} if self._user else {}
        with (self._folder / "pgbouncer.log").open("ab") as log:
            command = [_program(), configuration]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self._folder, **how)
        deadline = time.monotonic() + _DEADLINE_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer did not start:\n{(self._folder / 'pgbouncer.log').read_text()}")
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The id of its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(_DEADLINE_S)
            self._process = None

    def _is_ready(self) -> bool:
        try:  # its own console
            psycopg.connect(f"postgresql://pgbouncer@127.0.0.1:{self.port}/pgbouncer", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def settings_of_run() -> Mapping[str, str] | None:
    """Return the settings of the poolers that this run wants; None if it wants none."""
    text = os.environ.get(SETTINGS)
    return dict(pair.split("=", 1) for pair in text.split()) if text is not None else None  # type: ignore[misc]


def _documented() -> dict[str, str]:
    block = _PAGE.read_text().partition(".. code-block:: ini\n")[2].partition("\nPoint ")[0]
    parser = ConfigParser()
    parser.read_string(dedent(block))
    return dict(parser["pgbouncer"])


def _program() -> str:
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "no pgbouncer on PATH; Debian: apt-get install pgbouncer"
    return program
