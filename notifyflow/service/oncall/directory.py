"""The directory's file: read when it has changed, and not used while it is broken."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from notifyflow.core.delivery.policy import Policy
from notifyflow.core.delivery.ports import Clock
from notifyflow.core.intake.toml_lines import with_lines
from notifyflow.core.oncall.directory import Directory, read_directory
from notifyflow.errors import Fault, InvalidDirectory
from notifyflow.log import get_logger

_log = get_logger("notifyflow.app")

_BROKEN = "its file was changed and cannot be used; the version before stays in force (see `notifyflow directory check`)"
_AT_REST_AFTER = timedelta(seconds=1)

FileState = tuple[int, int, int]


def read_file(path: Path, policies: Mapping[str, Policy]) -> Directory:
    """Read a directory file.

    Raises:
        InvalidDirectory: When it cannot be read or used, with every fault and its line.
    """
    document = text_of(path)
    try:
        return read_directory(document, policies)
    except InvalidDirectory as invalid:
        raise InvalidDirectory(with_lines(invalid.faults, document)) from None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A faultless version of the file."""

    document: str
    changed_at: datetime


class DirectoryFile:
    """The directory in its file, read again when the file changes; threads may share it.

    A change is read after a second, so that a file is not read while it is being written. A broken file is logged and reported
    to operations once (``tell``), and the last good version stays in force.

    Attributes:
        is_refused: Whether the file as last read cannot be used.
    """

    def __init__(self, path: Path | None, policies: Mapping[str, Policy], clock: Clock, tell: Callable[[str], None]) -> None:
        self._path = path
        self._policies = policies
        self._clock = clock
        self._tell = tell
        self._version: Version | None = None
        self._state: FileState | None = None
        self._is_read = False
        self._is_untold = False
        self.is_refused = False
        self.begin_anew()

    def begin_anew(self) -> None:
        """Renew the lock in a forked child: the thread that holds it stayed with the parent."""
        self._lock = threading.Lock()

    def current(self) -> Version | None:
        """Return the last good version; None without a file, or if it was broken from the start.

        Raises:
            StorageUnavailable: When operations is to be told of a broken file, and the database does not answer in time.
        """
        if self._path is None:
            return None
        with self._lock:
            if self._has_changed(self._path):
                self._read(self._path)
            if self._is_untold:
                self._tell(_BROKEN)
                self._is_untold = False
            return self._version

    def wait_until_at_rest(self) -> None:
        """Wait until the file may be read, if it has changed within the last second."""
        if self._path is not None:
            with suppress(OSError):
                age = self._clock.now() - datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
                if timedelta() <= age < _AT_REST_AFTER:
                    time.sleep((_AT_REST_AFTER - age).total_seconds())

    def _has_changed(self, path: Path) -> bool:
        try:
            stat = path.stat()
        except OSError:
            state, is_at_rest = None, True
        else:
            state = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            is_at_rest = abs(self._clock.now() - datetime.fromtimestamp(stat.st_mtime, UTC)) >= _AT_REST_AFTER
        has_changed = not self._is_read or (state != self._state and is_at_rest)
        if has_changed:
            self._state = state
        return has_changed

    def _read(self, path: Path) -> None:
        self._is_read = True
        try:
            document = text_of(path)
            directory = read_directory(document, self._policies)
        except InvalidDirectory as error:
            self._is_untold = self.is_refused = True
            _log.error("app.directory_refused", faults=len(error.faults), see="notifyflow directory check")
        else:
            self._is_untold = self.is_refused = False
            changed_at = self._clock.now() if self._state is None else datetime.fromtimestamp(self._state[0] / 1e9, UTC)
            self._version = Version(document=document, changed_at=changed_at)
            _log.info("app.directory_read", recipients=len(directory.recipients), routes=len(directory.routes))
