"""The database of this environment: its schema is checked or upgraded, and its owner verified, before its first use."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from notifyflow.app.forks import FORKED
from notifyflow.core.delivery.ports import Clock
from notifyflow.errors import Fault, InvalidSettings, StorageUnavailable, WrongEnvironment
from notifyflow.log import get_logger
from notifyflow.pipeline.upkeep.adopt import claim_environment
from notifyflow.service.replica import Replica
from notifyflow.settings import Settings
from notifyflow.storage.dialects import dialect_for
from notifyflow.storage.store import Store

_log = get_logger("notifyflow.app")

SPARE_CONNECTIONS = 4
"""How many connections a process opens at most beside those of its sends."""
_TRY_AGAIN_AFTER_S = 2.0
_TRIES_TO_A_LINE = 8  # about a minute


def is_there(url: str) -> bool:
    """Return whether a database exists, as far as known without connecting: a file may still have to be created."""
    return not dialect_for(url).is_missing()


def disk_faults(settings: Settings, store: Store) -> Iterator[Fault]:
    """Yield the fault of an SQLite file that is lost with its machine or container, where the settings require a disk."""
    if settings.require_disk and (found := store.volatile):
        file, kind = found
        what = f"names {file} on {kind}, which is lost with its machine or container"
        remedy = "Name a file on a volume (in the image: below /data), or a PostgreSQL; NOTIFYFLOW_REQUIRE_DISK=false allows it"
        yield Fault("NOTIFYFLOW_DATABASE_URL", what, remedy)


def replica_of(settings: Settings, store: Store, clock: Clock) -> Replica | None:
    """Return the replica that the settings name, which is not connected to yet; None without one.

    Raises:
        InvalidSettings: When its URL is not one that PostgreSQL's client library understands.
    """
    if settings.read_url is None:
        return None
    pool_size = settings.concurrent_sends + SPARE_CONNECTIONS
    try:
        replica = Store(
            settings.read_url.get_secret_value(), pool_size=pool_size, prepares=settings.prepared_statements, is_patient=False
        )
    except InvalidSettings as error:
        raise InvalidSettings(tuple(replace(fault, where="NOTIFYFLOW_READ_URL") for fault in error.faults)) from None
    return Replica(replica, store, clock)


class Database:
    """The database of an environment, which may have no name."""

    def __init__(self, store: Store, clock: Clock, environment: str | None) -> None:
        self.store = store
        self._clock = clock
        self._environment = environment
        self._is_open = False
        self._is_prepared = False
        self._lock = threading.Lock()
        FORKED.add(self)

    def prepare(self) -> None:
        """Open the database, once, and claim it for this environment if it has no name yet.

        Raises:
            WrongEnvironment: When it belongs to another environment.
            SchemaMismatch: When it does not have the schema of this version.
            StorageUnavailable: When it does not answer in time.
        """
        if self._is_prepared:
            return
        waited_s = self.store.left_s
        if not self._lock.acquire(timeout=waited_s):
            raise StorageUnavailable(round(waited_s, 1), "another thread still waits for it")
        try:
            if not self._is_prepared:
                if not self._is_open:
                    self.open()
                    self._is_open = True  # also if the rest takes too long this time
                self._clock.now()  # measured over the open connection, and not over a second one in a transaction
                self._claim()
                self._is_prepared = True
        finally:
            self._lock.release()

    def wait_until_prepared(self, pause: Callable[[float], object]) -> bool:
        """Prepare the database, and try again while its server is away; a file is tried once.

        Args:
            pause: Waits for some seconds, and returns whether to give up.

        Returns:
            Whether it is prepared; False if it was given up.

        Raises:
            StorageUnavailable: When waiting does not help: for a file, or when the server refuses the user or the database.
            WrongEnvironment: As ``prepare`` does.
            SchemaMismatch: As ``prepare`` does.
        """
        tries = 0
        while True:
            try:
                self.prepare()
            except StorageUnavailable as error:
                if self.store.is_embedded or error.is_refused:
                    raise
                if tries % _TRIES_TO_A_LINE == 0:
                    _log.warning("app.database_awaited", reason=error.reason)
                tries += 1
            else:
                return True
            if pause(_TRY_AGAIN_AFTER_S):
                return False

    def open(self) -> None:
        """Upgrade the schema of an embedded file, or check that of a server.

        Raises:
            SchemaMismatch: When a server's database does not have the schema of this version.
            StorageUnavailable: When it does not answer in time.
        """
        if self.store.is_embedded:
            self.store.upgrade()
        else:
            self.store.check_schema()

    def begin_anew(self) -> None:
        """Renew the lock in a forked child: the thread that holds it stayed with the parent."""
        self._lock = threading.Lock()

    def _claim(self) -> None:
        """Verify that the database is this environment's; one without a name gets the name of the first process that has one."""
        name = self._environment
        if self.store.read_one(lambda reads: reads.adoption.environment()) == name:
            return
        owner = claim_environment(self.store, name, now=self._clock.now())
        if owner != name:
            raise WrongEnvironment(owner, name)
