import os
from datetime import timedelta
from pathlib import Path

import pytest

from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.core.oncall.directory import read_directory
from notifyflow.errors import StorageUnavailable
from notifyflow.service.oncall.directory import DirectoryFile
from tests.facts import NOW
from tests.log_lines import capture_logs

LONG_AGO = NOW - timedelta(hours=1)


class Clock:
    now_is = NOW

    def now(self):
        return self.now_is


class WatchedFile:
    """A directory's file, and the notices that operations got about it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reported: list[str] = []
        self.trouble: Exception | None = None
        self.clock = Clock()
        self.file = DirectoryFile(path, SHIPPED, self.clock, self.report)

    def write(self, who: str, at=LONG_AGO) -> None:
        self.path.write_text(f'[recipients.{who}]\n[default]\nto = ["{who}"]\n', encoding="utf-8")
        self.date(at)

    def spoil(self, at) -> None:
        self.path.write_bytes(b"\xff\xfe not a directory")
        self.date(at)

    def date(self, at) -> None:
        os.utime(self.path, (at.timestamp(), at.timestamp()))

    def report(self, reason: str) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.reported.append(reason)

    @property
    def who(self) -> list[str]:
        version = self.file.current()
        return [] if version is None else list(read_directory(version.document, SHIPPED).recipients)


@pytest.fixture
def watched(tmp_path: Path) -> WatchedFile:
    watched = WatchedFile(tmp_path / "directory.toml")
    watched.write("ada")
    return watched


def test_the_next_read_returns_a_change(watched: WatchedFile):
    with capture_logs() as logs:
        assert watched.who == watched.who == ["ada"]
        watched.write("ben", at=LONG_AGO + timedelta(minutes=1))
        assert watched.who == ["ben"]
    assert [line["event"] for line in logs] == ["app.directory_read"] * 2
    assert watched.reported == []


def test_a_file_that_is_being_written_is_not_read(watched: WatchedFile):
    assert watched.who == ["ada"]
    watched.write("ben", at=NOW - timedelta(seconds=0.5))
    assert watched.who == ["ada"]
    watched.clock.now_is = NOW + timedelta(seconds=1)
    assert watched.who == ["ben"]


def test_the_first_read_does_not_wait(watched: WatchedFile):
    watched.date(NOW)
    assert watched.who == ["ada"]


def test_a_broken_file_keeps_the_last_good_version_and_operations_is_notified_once(watched: WatchedFile):
    assert watched.who == ["ada"]
    watched.spoil(LONG_AGO + timedelta(minutes=1))
    with capture_logs() as logs:
        assert watched.who == watched.who == ["ada"]
    assert [(line["event"], line["log_level"]) for line in logs] == [("app.directory_refused", "error")]
    assert len(watched.reported) == 1
    watched.write("ben", at=LONG_AGO + timedelta(minutes=2))
    assert watched.who == ["ben"]
    watched.spoil(LONG_AGO + timedelta(minutes=3))
    assert watched.who == ["ben"]
    assert len(watched.reported) == 2


def test_a_missing_file_counts_as_broken(watched: WatchedFile):
    assert watched.who == ["ada"]
    watched.path.unlink()
    assert watched.who == watched.who == ["ada"]
    assert len(watched.reported) == 1


def test_operations_is_notified_once_the_notice_can_be_stored(watched: WatchedFile):
    assert watched.who == ["ada"]
    watched.spoil(LONG_AGO + timedelta(minutes=1))
    watched.trouble = StorageUnavailable(5)
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            watched.file.current()
    watched.trouble = None
    assert watched.who == ["ada"]
    assert len(watched.reported) == 1


def test_a_file_broken_from_the_start_has_no_version(watched: WatchedFile):
    watched.spoil(LONG_AGO)
    assert watched.file.current() is None
    assert len(watched.reported) == 1


def test_a_version_has_the_time_at_which_its_file_was_changed(watched: WatchedFile):
    version = watched.file.current()
    assert version is not None
    assert version.changed_at == LONG_AGO


def test_no_file_has_no_version_and_tells_nobody(watched: WatchedFile):
    assert DirectoryFile(None, SHIPPED, watched.clock, watched.report).current() is None
    assert watched.reported == []
