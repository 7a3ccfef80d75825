"""The roster in force, from the database; each process stores its directory's file there if it is newer."""

import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from notifyflow.core.intake.validation import CheckAddress
from notifyflow.core.oncall.directory import NOBODY, Directory
from notifyflow.core.oncall.roster import EMPTY, Roster
from notifyflow.errors import InvalidDirectory
from notifyflow.log import get_logger
from notifyflow.pipeline.oncall.roster import Kept, store_directory
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.oncall.directory import DirectoryFile, Version
from notifyflow.storage.store import Store

T = TypeVar("T")

_log = get_logger("notifyflow.app")

_READ_EVERY = timedelta(seconds=1)


class Rosters:
    """The roster in force; threads may share it.

    Args:
        store: The database.
        use_cases: Runs use cases.
        file: This process's directory file, or None.
    """

    def __init__(self, store: Store, use_cases: UseCases, file: DirectoryFile) -> None:
        self._store = store
        self._use_cases = use_cases
        self._deps = use_cases.deps
        self._file = file
        self._stored: Version | None = None
        self._is_older = False
        self._roster = EMPTY
        self._read_at: datetime | None = None
        self._reread_at: datetime | None = None
        self._numbers: _Derived[Mapping[str, tuple[str, ...]]] = _Derived({})
        self._people: _Derived[Mapping[str, frozenset[str]]] = _Derived({})
        self._addresses: _Derived[frozenset[str]] = _Derived(frozenset())
        self._renew_locks()

    def _renew_locks(self) -> None:
        self._lock, self._rereading = threading.Lock(), threading.Lock()

    def begin_anew(self) -> None:
        """Renew the locks in a forked child: the threads that hold them stayed with the parent."""
        self._renew_locks()
        self._file.begin_anew()

    def current(self) -> Roster:
        """Return the roster, as it was within the last second; another process may have changed it since.

        Raises:
            InvalidDirectory: When the stored directory is damaged, and this process has no file, or an older one.
            StorageUnavailable: When the database does not answer in time.
        """
        version = self._file.current()
        if version is self._stored and not self._is_old():
            return self._roster
        if self._lock.acquire(
            blocking=self._read_at is None or version is not self._stored
        ):  # others go on with the known roster
            try:
                self._renew(version)
            finally:
                self._lock.release()
        return self._roster

    def read(self) -> Roster:
        """Return the roster as it is now; raise ``StorageUnavailable`` as ``current`` does."""
        self._read_at = None
        return self.current()

    def reread(self) -> Roster:
        """Return the roster for somebody who misses a name in it: read again at most once a second for all together.

        A file that has just changed is waited for until it may be read. Raises as ``current``.
        """
        self._file.wait_until_at_rest()
        with self._rereading:
            now = self._deps.clock.now()
            if self._reread_at is None or not self._reread_at <= now < self._reread_at + _READ_EVERY:
                self._reread_at, self._read_at = now, None
            return self.current()

    @property
    def why_file_is_unused(self) -> str:
        """Why the directory's file was not used at the last read, in words; empty if it was, or without a file."""
        if self._file.is_refused:
            return "cannot be used; what is shown is what the database has. `notifyflow directory check` lists its faults"
        return "is older than the one in force, and is not used" if self._is_older else ""

    def on_routes(self, number: str, check: CheckAddress, channels: Collection[str]) -> tuple[str, ...]:
        """Return the recipients, by id, that the routes lead to at a number; raise ``StorageUnavailable`` as ``current`` does."""
        directory = self.current().directory
        return self._numbers.of(directory, lambda: directory.numbers(check, channels)).get(number, ())

    def people(self, check: CheckAddress) -> Mapping[str, frozenset[str]]:
        """Return the recipients that the routes lead to, by id, with their channels; raise ``StorageUnavailable`` as above."""
        directory = self.current().directory
        return self._people.of(directory, lambda: {} if directory is NOBODY else directory.people(check))

    def addresses(self, check: CheckAddress) -> frozenset[str]:
        """Return every address that the directory knows; raise ``StorageUnavailable`` as ``current`` does."""
        directory = self.current().directory
        return self._addresses.of(directory, lambda: directory.addresses(check))

    def labels(self) -> frozenset[str]:
        """Return the labels of all routes and watched jobs; none while the stored directory is damaged."""
        try:
            directory = self.current().directory
        except InvalidDirectory:
            return frozenset()
        matches = (route.match for route in directory.routes)
        return frozenset().union(*matches, *(job.all_labels for job in directory.heartbeats.values()))

    def _is_old(self) -> bool:
        now = self._deps.clock.now()
        return self._read_at is None or not self._read_at <= now < self._read_at + _READ_EVERY

    def _renew(self, version: Version | None) -> None:
        if version is self._stored and not self._is_old():  # another thread was quicker
            return
        self._use_cases.prepare()
        if version is not None and version is not self._stored:
            self._keep(version)
            self._stored = version
        now = self._deps.clock.now()
        try:
            self._roster = self._read_stored()
        except InvalidDirectory:
            if version is None:
                raise
            self._keep(version)
            self._roster = self._read_stored()
        self._read_at = now

    def _read_stored(self) -> Roster:
        return self._store.read(lambda reads: reads.roster.current())

    def _keep(self, version: Version) -> None:
        kept = store_directory(self._deps, version.document, changed_at=version.changed_at)
        self._is_older = kept is Kept.OLDER
        if self._is_older:
            _log.warning("app.directory_older", changed_at=version.changed_at.isoformat())
        elif kept is Kept.STORED:
            _log.info("app.directory_stored", changed_at=version.changed_at.isoformat())


class _Derived(Generic[T]):
    """Values derived from the directory, computed once for each; two threads may do so at once, with the same result."""

    def __init__(self, empty: T) -> None:
        self._known: tuple[Directory, T] = (NOBODY, empty)

    def of(self, directory: Directory, compute: Callable[[], T]) -> T:
        known = self._known
        if known[0] is not directory:
            known = self._known = (directory, compute())
        return known[1]
