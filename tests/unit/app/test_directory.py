import os
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from notifyflow.app.directory import DirectoryFile
from notifyflow.core.intake.directory import NOBODY
from notifyflow.core.policy import SHIPPED
from notifyflow.errors import StorageUnavailable
from tests.facts import NOW

LONG_AGO = NOW - timedelta(hours=1)


class Clock:
    now_is = NOW

    def now(self):
        return self.now_is


class House:
    """A directory's file, and what operations was told of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[str] = []
        self.trouble: Exception | None = None
        self.clock = Clock()
        self.file = DirectoryFile(path, SHIPPED, self.clock, self.tell)

    def write(self, who: str, at=LONG_AGO) -> None:
        self.path.write_text(f'[recipients.{who}]\n[default]\nto = ["{who}"]\n', encoding="utf-8")
        self.date(at)

    def spoil(self, at) -> None:
        self.path.write_bytes(b"\xff\xfe not a directory")
        self.date(at)

    def date(self, at) -> None:
        os.utime(self.path, (at.timestamp(), at.timestamp()))

    def tell(self, reason: str) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.told.append(reason)

    @property
    def who(self) -> list[str]:
        return list(self.file.current().recipients)


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path / "directory.toml")
    house.write("ada")
    return house


def test_a_change_is_taken_up_by_the_next_who_asks(house: House):
    with capture_logs() as logs:
        assert house.who == house.who == ["ada"]
        house.write("ben", at=LONG_AGO + timedelta(minutes=1))
        assert house.who == ["ben"]
    assert [line["event"] for line in logs] == ["app.directory_read"] * 2
    assert house.told == []


def test_a_file_that_is_being_written_is_left_alone_until_it_rests(house: House):
    assert house.who == ["ada"]
    house.write("ben", at=NOW - timedelta(seconds=0.5))
    assert house.who == ["ada"]
    house.clock.now_is = NOW + timedelta(seconds=1)
    assert house.who == ["ben"]


def test_the_first_look_does_not_wait(house: House):
    house.date(NOW)
    assert house.who == ["ada"]


def test_a_broken_file_keeps_the_last_good_one_and_operations_is_told_once(house: House):
    assert house.who == ["ada"]
    house.spoil(LONG_AGO + timedelta(minutes=1))
    with capture_logs() as logs:
        assert house.who == house.who == ["ada"]
    assert [(line["event"], line["log_level"]) for line in logs] == [("app.directory_refused", "error")]
    assert len(house.told) == 1
    house.write("ben", at=LONG_AGO + timedelta(minutes=2))
    assert house.who == ["ben"]
    house.spoil(LONG_AGO + timedelta(minutes=3))
    assert house.who == ["ben"]
    assert len(house.told) == 2


def test_a_file_that_is_gone_is_a_broken_one(house: House):
    assert house.who == ["ada"]
    house.path.unlink()
    assert house.who == house.who == ["ada"]
    assert len(house.told) == 1


def test_operations_is_told_as_soon_as_that_can_be_stored(house: House):
    assert house.who == ["ada"]
    house.spoil(LONG_AGO + timedelta(minutes=1))
    house.trouble = StorageUnavailable(5)
    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            house.file.current()
    house.trouble = None
    assert house.who == ["ada"]
    assert len(house.told) == 1


def test_a_file_that_is_broken_from_the_start_leads_to_nobody(house: House):
    house.spoil(LONG_AGO)
    assert house.file.current() is NOBODY
    assert len(house.told) == 1


def test_no_file_leads_to_nobody_and_nobody_is_told(house: House):
    assert DirectoryFile(None, SHIPPED, house.clock, house.tell).current() is NOBODY
    assert house.told == []


def test_whose_number_it_is_follows_the_file(house: House):
    def numbers(number: str):
        return house.file.on_routes(number, lambda channel, address: address)

    house.path.write_text('[recipients.ada]\nphone = "+1500"\n[default]\nto = ["ada"]\n', encoding="utf-8")
    house.date(LONG_AGO)
    assert (numbers("+1500"), numbers("+1600"), numbers("+1500")) == (("ada",), (), ("ada",))
    house.path.write_text('[recipients.ben]\nphone = "+1500"\n[default]\nto = ["ben"]\n', encoding="utf-8")
    house.date(LONG_AGO + timedelta(minutes=1))
    assert numbers("+1500") == ("ben",)
