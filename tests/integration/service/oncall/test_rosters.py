"""The roster in force on several machines, some of which have a directory file."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.oncall.directory import NOBODY
from notifyflow.errors import InvalidDirectory
from notifyflow.service.oncall.roster import Rosters
from notifyflow.settings import Settings
from notifyflow.storage.dialects import execute
from tests.builders import CountingIds, HandClock
from tests.integration.web.delivery.test_api import SilentBell
from tests.log_lines import capture_logs


class Machines:
    """Processes on machines of their own, over one database."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.clock = HandClock()
        self._url = database_url
        self._folder = folder
        self._open = ExitStack()

    def start(self, name: str, who: str | None, *, hours: int = 0) -> Rosters:
        """Start a process, with a file that names somebody, or without one."""
        variables = {"NOTIFYFLOW_DATABASE_URL": self._url}
        if who is not None:
            self.write(name, who, hours=hours)
            variables["NOTIFYFLOW_DIRECTORY"] = str(self.path(name))
        flow = NotifyFlow(Settings.from_variables(variables), clock=self.clock, ids=CountingIds(), bell=SilentBell())
        return self._open.enter_context(flow)._service.rosters

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.toml"

    def write(self, name: str, who: str, *, hours: int) -> None:
        table = f'[recipients.{who}]\nphone = "+15005550006"\nemail = "{who}@example.com"\n'
        self.path(name).write_text(f'{table}[default]\nto = ["{who}"]\n')
        at = (self.clock.now() + timedelta(hours=hours)).timestamp()
        os.utime(self.path(name), (at, at))

    def stop(self) -> None:
        self._open.close()


@pytest.fixture
def machines(database_url: str, tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(database_url, tmp_path)
    yield machines
    machines.stop()


def who(rosters: Rosters) -> list[str]:
    return list(rosters.current().directory.recipients)


def test_a_machine_without_the_file_knows_who_stands_in_it(machines: Machines) -> None:
    without = machines.start("worker", None)
    assert without.current().directory is NOBODY
    assert who(machines.start("web", "ada", hours=-2)) == ["ada"]
    assert without.current().directory is NOBODY  # for a second
    machines.clock.pass_time(timedelta(seconds=1))
    assert who(without) == ["ada"]
    assert who(machines.start("cli", None)) == ["ada"]


def test_a_change_on_one_machine_reaches_all(machines: Machines) -> None:
    one, other = machines.start("one", "ada", hours=-3), machines.start("other", None)
    assert who(one) == who(other) == ["ada"]
    machines.write("one", "ben", hours=-1)
    assert who(one) == ["ben"]
    assert who(other) == ["ada"]
    assert list(other.read().directory.recipients) == ["ben"]


def test_an_older_file_on_another_machine_is_not_used_and_the_log_says_so(machines: Machines) -> None:
    new = machines.start("new", "ben", hours=-1)
    assert who(new) == ["ben"]
    with capture_logs() as logs:
        old = machines.start("old", "ada", hours=-2)
        assert who(old) == ["ben"]
        machines.clock.pass_time(timedelta(seconds=2))
        assert who(old) == who(new) == ["ben"]
    assert [each["event"] for each in logs] == ["app.directory_read", "app.directory_older"]


def test_a_file_that_is_broken_or_gone_changes_nobodys_duty(machines: Machines) -> None:
    assert who(machines.start("one", "ada", hours=-2)) == ["ada"]
    machines.path("two").write_text("[default")
    two = machines.start("two", None)
    assert who(two) == ["ada"]
    machines.path("one").unlink()
    machines.clock.pass_time(timedelta(seconds=2))
    assert who(two) == ["ada"]


def test_what_follows_from_the_directory_follows_its_changes(machines: Machines) -> None:
    def as_is(_channel: str, address: str) -> str:
        return address

    rosters = machines.start("one", "ada", hours=-2)

    def found() -> tuple[object, object, object]:
        return rosters.on_routes("+15005550006", as_is, ["sms"]), rosters.people(as_is), rosters.addresses(as_is)

    ways = {"email", "sms", "voice"}
    assert found() == found() == (("ada",), {"ada": ways}, {"+15005550006", "ada@example.com"})
    assert rosters.on_routes("+15005550007", as_is, ["sms"]) == ()
    machines.write("one", "ben", hours=-1)
    assert found() == (("ben",), {"ben": ways}, {"+15005550006", "ben@example.com"})
    assert machines.start("new", None).people(as_is) == {"ben": ways}


@pytest.mark.parametrize("is_copied", [False, True])
def test_a_process_with_the_file_stores_it_again_in_the_place_of_a_damaged_one(machines: Machines, is_copied: bool) -> None:
    with_file, without = machines.start("one", "ada", hours=-2), machines.start("two", None)
    assert who(with_file) == who(without) == ["ada"]
    use_cases = with_file._use_cases
    broken = "UPDATE notifyflow_roster SET document = '{', digest = 'of no other'"
    use_cases.deps.transactions.run(lambda ledger: execute(ledger._unit.db, broken) and None)
    machines.clock.pass_time(timedelta(seconds=2))
    for other in (without, machines.start("older", "ben", hours=-3)):
        with pytest.raises(InvalidDirectory):
            other.current()
    again = machines.start("again", "ada", hours=-4) if is_copied else with_file
    assert who(again) == who(without) == who(with_file) == ["ada"]


def test_without_a_directory_nobody_is_expected_to_be_reached(machines: Machines) -> None:
    assert machines.start("one", None).people(lambda _channel, address: address) == {}
