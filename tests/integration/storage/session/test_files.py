"""A database file on a disk that fills up, on one that is read-only for a while, and what stands in it afterwards."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from notifyflow.core.delivery.model import Incident
from notifyflow.errors import StorageUnavailable
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.facts import incident
from tests.integration.storage.samples import begin, count


def _mount(*arguments: str) -> None:
    """Mount something; only root may."""
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def store(small_disk: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{small_disk}/notifyflow.db")
    opened.upgrade()
    begin(opened)
    yield opened
    opened.close()


def _fill(disk: Path) -> None:
    with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while ballast.write(b"0" * 4096):
            pass


class TestFullDisk:
    """A disk that is full is waited for, with pauses in between, and used again once there is room."""

    def test_tries_are_few_and_nothing_is_stored(self, store: Store, small_disk: Path) -> None:
        tries = 0

        def use_case(ledger: Ledger) -> None:
            nonlocal tries
            tries += 1
            large = Incident(key="large", title="t", body="b" * 60_000)
            ledger.incidents.add(incident(id="large", key="large"), large)

        _fill(small_disk)
        with pytest.raises(StorageUnavailable, match=r"SQLITE_FULL.*Its disk is full") as caught:
            store.run(use_case, timeout_s=2)
        assert str(small_disk / "notifyflow.db") in str(caught.value)
        assert 2 <= tries <= 30  # pauses of 2, 4, 8 … 250 ms, each shortened by half at most
        (small_disk / "ballast").unlink()
        store.run(use_case)
        assert {each.key for each in store.read(lambda reads: reads.incidents(10))} == {"db-1", "large"}


class TestReadOnly:
    """What was opened while the file was read-only is opened anew once it is not."""

    def test_a_store_that_found_the_disk_read_only_writes_once_it_is_writable(self, store: Store, small_disk: Path) -> None:
        store.close()
        another = Store(f"sqlite:///{small_disk}/notifyflow.db")
        _mount("-o", "remount,ro", str(small_disk))
        assert os.statvfs(small_disk).f_flag & os.ST_RDONLY
        with pytest.raises(StorageUnavailable, match="writable for this process") as caught:
            another.run(count, timeout_s=0.2)
        assert f"the database file {small_disk / 'notifyflow.db'} could not be used" in str(caught.value)
        assert "server" not in str(caught.value)
        _mount("-o", "remount,rw", str(small_disk))
        another.run(count)
        another.close()

    def test_a_connection_that_reads_on_is_made_new(self, store: Store, small_disk: Path) -> None:
        """It could read all the while, so that nothing but the refused write makes it new."""
        path = small_disk / "notifyflow.db"
        another = Store(f"sqlite:///{path}")
        _mount("--bind", str(path), str(path))
        _mount("-o", "remount,ro,bind", str(path))
        assert another.read(lambda reads: len(reads.incidents(10))) == 1
        with pytest.raises(StorageUnavailable, match="SQLITE_READONLY"):
            another.run(count, timeout_s=0.1)
        another.read(lambda reads: reads.incidents(1))
        subprocess.run(["umount", "--lazy", str(path)], check=True)
        another.run(count)
        another.close()
