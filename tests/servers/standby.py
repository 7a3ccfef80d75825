"""A hot standby of a PostgreSQL of the tests, by real streaming replication through a relay that can hold it back."""

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql

from tests.servers.postgres import Postgres
from tests.servers.relay import Relay
from tests.waiting import wait_until

NAME = "standby"
"""Its name in ``pg_stat_replication`` and for ``synchronous_standby_names``."""
_SETTINGS = {"wal_retrieve_retry_interval": "100ms", "wal_receiver_status_interval": "1s"}


class Withholding(Relay):
    """Holds back what the server says while it is told to, and passes it on afterwards; no connection is cut."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._passes = threading.Event()
        self._passes.set()

    def hold(self) -> None:
        self._passes.clear()

    def release(self) -> None:
        self._passes.set()

    def may_reply(self, data: bytes) -> bool:
        del data
        while not self._passes.wait(0.05):
            if self.is_over.is_set():
                return False
        return True


class Standby(Postgres):
    """A copy of a primary that follows it until it is promoted.

    Attributes:
        stream: The relay between the two. While it holds, what the primary commits does not arrive here.
    """

    def __init__(self, folder: Path, primary: Postgres, stream: Withholding, *, settings: Mapping[str, str]) -> None:
        self._primary = primary
        super().__init__(folder, settings=_SETTINGS | settings)
        self.stream = stream

    def initialise(self) -> None:
        if self._user:
            shutil.chown(self._folder, self._user)
        source = self._primary.direct_url()
        backup = [self._binaries / "pg_basebackup", "-d", source, "-D", self._data, "-c", "fast", "-X", "stream", "-N"]
        subprocess.run(backup, check=True, capture_output=True, **self._how())
        conninfo = f"host=127.0.0.1 port={self.stream.port} user=postgres application_name={NAME}"
        self._write_settings(self._settings | {"primary_conninfo": conninfo, "hot_standby_feedback": "on"})
        (self._data / "standby.signal").touch()

    def promote(self) -> None:
        """Make it a primary of its own, on a new timeline; return once it takes writes."""
        self.execute(sql.SQL("SELECT pg_promote()"))

    def catch_up(self) -> None:
        """Wait until it has replayed all that the primary has committed."""
        ((written,),) = self._primary.execute(sql.SQL("SELECT pg_current_wal_flush_lsn()::text"))
        behind = sql.SQL("SELECT pg_last_wal_replay_lsn() < {}::pg_lsn").format(written)
        try:
            wait_until(lambda: self.execute(behind) == [(False,)])
        except AssertionError:
            raise AssertionError(f"the standby has not replayed {written}:\n{self.log.read_text()[-4000:]}") from None

    def _installation(self) -> Path:
        return self._primary.installation


@contextmanager
def standby_of(primary: Postgres, *, settings: Mapping[str, str] | None = None) -> Iterator[Standby]:
    """Run a standby of a server that runs; it is stopped at the end, promoted or not."""
    with (
        tempfile.TemporaryDirectory(prefix="notifyflow-standby-", ignore_cleanup_errors=True) as folder,
        Withholding(primary.server_port) as stream,
    ):
        server = Standby(Path(folder), primary, stream, settings=settings or {})
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.end()
