"""The directory's file: read when it changed, and not used when it is broken."""

import threading
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from notifyflow.core.intake.directory import NOBODY, Directory, read_directory
from notifyflow.core.intake.validation import CheckAddress
from notifyflow.core.policy import Policy
from notifyflow.core.ports import Clock
from notifyflow.errors import Fault, InvalidDirectory
from notifyflow.log import get_logger

_log = get_logger("notifyflow.app")

_BROKEN = "its file was changed and cannot be used; the version before stays in force (see `notifyflow directory check`)"
_AT_REST_AFTER = timedelta(seconds=1)

Stamp = tuple[int, int, int]


def read_file(path: Path, policies: Mapping[str, Policy]) -> Directory:
    """Read a directory file.

    Raises:
        InvalidDirectory: When it cannot be read or used, with every fault.
    """
    return read_directory(text_of(path), policies)


def text_of(path: Path) -> str:
    """Return the text of a directory file.

    Raises:
        InvalidDirectory: When it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fault = Fault("document", f"it cannot be read ({type(error).__name__})", "Give a readable UTF-8 text file")
        raise InvalidDirectory((fault,)) from None


class DirectoryFile:
    """The directory in its file, read again when the file changes; threads may share it.

    A change is read after a second, so that a file is not read while it is being written. A broken file is logged and reported
    to operations once (``tell``), and the last good version stays in force. Without a file, no alert has recipients.
    """

    def __init__(self, path: Path | None, policies: Mapping[str, Policy], clock: Clock, tell: Callable[[str], None]) -> None:
        self._path = path
        self._policies = policies
        self._clock = clock
        self._tell = tell
        self._lock = threading.Lock()
        self._directory = NOBODY
        self._stamp: Stamp | None = None
        self._is_read = False
        self._is_untold = False
        self._numbers: Mapping[str, tuple[str, ...]] = {}
        self._numbers_of: Directory | None = None
        self._people: Mapping[str, frozenset[str]] = {}
        self._people_of: Directory | None = None
        self._addresses: frozenset[str] = frozenset()
        self._addresses_of: Directory | None = None

    def current(self) -> Directory:
        """Return the directory in force.

        Raises:
            StorageUnavailable: When operations is to be told of a broken file, and the database does not answer in time.
        """
        if self._path is None:
            return NOBODY
        with self._lock:
            if self._has_changed(self._path):
                self._read(self._path)
            if self._is_untold:
                self._tell(_BROKEN)
                self._is_untold = False
            return self._directory

    def on_routes(self, number: str, check: CheckAddress, channels: Collection[str]) -> tuple[str, ...]:
        """Return the recipients, by id, that the routes lead to at a number; raise ``StorageUnavailable`` as ``current`` does."""
        directory = self.current()
        if self._numbers_of is not directory:
            self._numbers, self._numbers_of = directory.numbers(check, channels), directory
        return self._numbers.get(number, ())

    def people(self, check: CheckAddress) -> Mapping[str, frozenset[str]]:
        """Return the recipients that the routes lead to, by id, with their channels; raise ``StorageUnavailable`` as above."""
        directory = self.current()
        if self._people_of is not directory:
            self._people, self._people_of = {} if directory is NOBODY else directory.people(check), directory
        return self._people

    def addresses(self, check: CheckAddress) -> frozenset[str]:
        """Return every address that the directory knows; raise ``StorageUnavailable`` as ``current`` does."""
        directory = self.current()
        if self._addresses_of is not directory:
            self._addresses, self._addresses_of = directory.addresses(check), directory
        return self._addresses

    def _has_changed(self, path: Path) -> bool:
        try:
            stat = path.stat()
        except OSError:
            stamp, is_at_rest = None, True
        else:
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            is_at_rest = abs(self._clock.now() - datetime.fromtimestamp(stat.st_mtime, UTC)) >= _AT_REST_AFTER
        has_changed = not self._is_read or (stamp != self._stamp and is_at_rest)
        if has_changed:
            self._stamp = stamp
        return has_changed

    def _read(self, path: Path) -> None:
        self._is_read = True
        try:
            self._directory = read_file(path, self._policies)
        except InvalidDirectory as error:
            self._is_untold = True
            _log.error("app.directory_refused", faults=len(error.faults), see="notifyflow directory check")
        else:
            self._is_untold = False
            _log.info("app.directory_read", recipients=len(self._directory.recipients), routes=len(self._directory.routes))
