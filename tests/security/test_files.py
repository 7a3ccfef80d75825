"""Database files are private to their owner, and contain nothing of a forgotten person."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.errors import StorageUnavailable
from notifyflow.storage.store import Store
from tests.integration.engine.scripted import ScriptedChannel, ScriptedProvider, channels
from tests.log_lines import capture_logs

PHONE = "+15005550123"
MARKS = (PHONE, "Ada-mark", "ada-mark@example.com", "body-mark")
ADA = Recipient(id="ada", name="Ada-mark", email="ada-mark@example.com", phone=PHONE)


def _files(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


def _found(folder: Path) -> set[str]:
    """Search the raw files in another process: closing a database's file drops the locks of its process."""
    return {mark for mark in MARKS if subprocess.run(["grep", "-rqaF", mark, str(folder)], check=False).returncode == 0}


class _Numbers(ScriptedChannel):
    """A channel that accepts any address."""

    def check_address(self, address: str) -> str:
        return address


def _flow(folder: Path) -> NotifyFlow:
    url = SecretStr(f"sqlite:///{folder}/notifyflow.db")
    return NotifyFlow(Settings(database_url=url), channels=channels(ScriptedProvider()) | {"sms": _Numbers(ScriptedProvider())})


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_the_files_are_for_their_owner_only_whatever_the_mask_is(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        store = Store(f"sqlite:///{tmp_path}/notifyflow.db")
        store.upgrade()
        store.run(lambda ledger: ledger.adoption.environment())
        assert _files(tmp_path) == dict.fromkeys(("notifyflow.db", "notifyflow.db-wal", "notifyflow.db-shm"), 0o600)
        store.close()
    finally:
        os.umask(before)


def test_a_file_that_was_opened_to_a_group_stays_so_with_its_journal(tmp_path: Path) -> None:
    """An operator may share the file between several users."""
    store = Store(f"sqlite:///{tmp_path}/notifyflow.db")
    store.upgrade()
    store.close()
    (tmp_path / "notifyflow.db").chmod(0o660)
    store.run(lambda ledger: ledger.adoption.environment())
    assert set(_files(tmp_path).values()) == {0o660}
    store.close()


@pytest.mark.parametrize(
    ("mode", "mode_shown"), [(0o644, "0644"), (0o660, "0660"), (0o604, "0604"), (0o600, None), (0o700, None)]
)
def test_a_file_that_others_may_use_is_warned_of_at_every_start(tmp_path: Path, mode: int, mode_shown: str | None) -> None:
    (tmp_path / "notifyflow.db").touch()
    (tmp_path / "notifyflow.db").chmod(mode)
    for _ in range(2):
        with _flow(tmp_path) as flow, capture_logs() as lines:
            flow.start()
            flow.start()
        warnings = [line for line in lines if line["event"] == "app.database_file_exposed"]
        assert [(line["log_level"], line["mode"]) for line in warnings] == ([("warning", mode_shown)] if mode_shown else [])
        assert all(line["remedy"] == f"chmod 600 {tmp_path}/notifyflow.db" for line in warnings)
    assert _files(tmp_path)["notifyflow.db"] == mode, "it is for its owner to change"


def test_a_file_that_we_made_is_not_warned_of(tmp_path: Path) -> None:
    with capture_logs() as lines, _flow(tmp_path) as flow:
        flow.start()
    assert "app.database_file_exposed" not in [line["event"] for line in lines]


def test_the_files_hold_nothing_of_a_forgotten_person(tmp_path: Path) -> None:
    """Another process keeps the files open, so that no last close cleans them up."""
    folder = tmp_path / "data"
    folder.mkdir()
    with _flow(folder) as flow, _flow(folder) as another:
        for number in range(30):
            flow.notify(Incident(key=f"k{number}", title="t", body="body-mark " * 200 * (number % 3)), [ADA])
        for number in range(30):
            flow.resolve(f"k{number}", by="ops")
            assert flow.wait(f"k{number}", timeout_s=60)
        another.status("k1")
        assert _found(folder) == set(MARKS)
        flow.maintenance.forget("ada")
        assert _found(folder) == set()


def test_a_forget_that_leaves_copies_in_the_log_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with _flow(folder) as flow:
        flow.notify(Incident(key="k", title="t"), [ADA])
        flow.resolve("k", by="ops")
        assert flow.wait("k", timeout_s=60)
        reader = Store(f"sqlite:///{folder}/notifyflow.db")

        def forget_meanwhile(reads: object) -> None:
            reads.incidents(1)  # type: ignore[attr-defined]  # from now on this state is kept for us
            with flow._store.within(1), pytest.raises(StorageUnavailable, match=r"write-ahead log.*Try again"):
                flow.maintenance.forget("ada")

        reader.read(forget_meanwhile)
        reader.close()
        assert flow.maintenance.forget("ada").incidents == 1
        assert _found(folder) == set()
