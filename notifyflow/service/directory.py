"""The directory's file: read when it changed, and not used when it is broken."""

import threading
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from notifyflow.core.intake.directory import NOBODY, Directory, read_directory
from notifyflow.core.intake.validation import CheckAddress
from notifyflow.core.ports import Clock
from notifyflow.errors import Fault, InvalidDirectory

_log = structlog.get_logger("notifyflow.app")

_BROKEN = "its file was changed and cannot be used; what stood in it before stays in force (see `notifyflow directory check`)"
_AT_REST_AFTER = timedelta(seconds=1)

Stamp = tuple[int, int, int]


def read_file(path: Path, policies: Collection[str]) -> Directory:
    """Read a directory file.

    Raises:
        InvalidDirectory: When it cannot be read, or used, with all that is wrong.
    """
    return read_directory(text_of(path), policies)


def text_of(path: Path) -> str:
    """Give a directory file's text.

    Raises:
        InvalidDirectory: When it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        fault = Fault("document", f"it cannot be read ({type(error).__name__})", "Give a UTF-8 text file that we may read")
        raise InvalidDirectory((fault,)) from None


class DirectoryFile:
    """The directory as its file says it, for threads to share; the next read notices a change.

    A change is left alone for the first second, so that a file that is being written is not read half. A broken one is logged and
    told, once, and the last good one stays.

    Args:
        path: The file; None where there is none, and every alert goes to nobody.
        policies: The names of the policies there are.
        clock: The one owner of time.
        tell: Tells operations what is wrong.
    """

    def __init__(self, path: Path | None, policies: Collection[str], clock: Clock, tell: Callable[[str], None]) -> None:
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
        self._addresses: frozenset[str] = frozenset()
        self._addresses_of: Directory | None = None

    def current(self) -> Directory:
        """Give the directory that is in force.

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
        """Name those at the end of a route whose texts go to a number.

        Raises:
            StorageUnavailable: As ``current`` does.
        """
        directory = self.current()
        if self._numbers_of is not directory:
            self._numbers, self._numbers_of = directory.numbers(check, channels), directory
        return self._numbers.get(number, ())

    def addresses(self, check: CheckAddress) -> frozenset[str]:
        """Return every address that the directory knows.

        Raises:
            StorageUnavailable: As ``current`` does.
        """
        directory = self.current()
        if self._addresses_of is not directory:
            self._addresses, self._addresses_of = directory.addresses(check), directory
        return self._addresses

    def _has_changed(self, path: Path) -> bool:
        try:
            found = path.stat()
        except OSError:
            stamp, is_at_rest = None, True
        else:
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            is_at_rest = abs(self._clock.now() - datetime.fromtimestamp(found.st_mtime, UTC)) >= _AT_REST_AFTER
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
