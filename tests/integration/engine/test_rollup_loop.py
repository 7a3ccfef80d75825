"""The sweeper makes figures of the log, now and then, and lets nothing that goes wrong there hold up a sweep."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr

from notifyflow import NotifyFlow, Settings
from notifyflow.core.delivery.model import Severity
from notifyflow.core.metrics.charts import Window
from notifyflow.engine.rollup_loop import RollupLoop
from notifyflow.errors import CommitUnknown, StorageUnavailable
from notifyflow.pipeline.rollup import EVERY
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.builders import a_recipient, an_incident
from tests.driver import Driver
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.log_lines import capture_logs
from tests.metrics import stored
from tests.waiting import wait_until

T = TypeVar("T")
OPENED = ("notifyflow_incident_events", "opened", "ERROR")


class Troubled:
    """The port ``Transactions``; raises an error before or after the next transaction."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.before: Exception | None = None
        self.after: Exception | None = None

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        before, self.before = self.before, None
        if before is not None:
            raise before
        result = self.store.run(use_case, timeout_s=timeout_s, tries=tries)
        after, self.after = self.after, None
        if after is not None:
            raise after
        return result

    def join(self, connection: object, use_case: Callable[[Ledger], Any]) -> Any:
        return self.store.join(connection, use_case)


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store)


def test_a_turn_counts_all_there_is_and_the_next_waits_for_some_seconds(driver: Driver) -> None:
    loop = RollupLoop(driver.deps)
    driver.notify(an_incident("a"), a_recipient("ada", "email"))
    loop.turn()
    driver.notify(an_incident("b"), a_recipient("ada", "email"))
    loop.turn()
    assert stored(driver.store)[OPENED] == 1
    driver.clock.pass_time(EVERY)
    loop.turn()
    assert stored(driver.store)[OPENED] == 2


def test_what_goes_wrong_is_logged_and_tried_again(driver: Driver) -> None:
    troubled = Troubled(driver.store)
    loop = RollupLoop(replace(driver.deps, transactions=troubled))
    driver.notify(an_incident("a"), a_recipient("ada", "email"))
    with capture_logs() as lines:
        for error in (StorageUnavailable(5.0, "gone"), ZeroDivisionError("about ada")):
            troubled.before = error
            loop.turn()
            driver.clock.pass_time(EVERY)
    assert [line["event"] for line in lines] == ["engine.storage_unavailable", "engine.fold_broke"]
    assert "ada" not in str(lines)
    loop.turn()
    assert stored(driver.store)[OPENED] == 1


def test_what_was_counted_in_a_commit_that_nobody_confirmed_is_not_counted_again(driver: Driver) -> None:
    troubled = Troubled(driver.store)
    loop = RollupLoop(replace(driver.deps, transactions=troubled))
    driver.notify(an_incident("a"), a_recipient("ada", "email"))
    troubled.after = CommitUnknown(5.0, None)
    loop.turn()
    driver.clock.pass_time(EVERY)
    loop.turn()
    assert stored(driver.store)[OPENED] == 1


def test_a_process_that_delivers_makes_figures_of_what_it_does(database_url: str, store: Store) -> None:
    with NotifyFlow(Settings(database_url=SecretStr(database_url)), channels=channels(ScriptedProvider())) as flow:
        flow.notify(an_incident("a", severity=Severity.CRITICAL), [a_recipient("ada", "email")])
        flow.wait("a", timeout_s=10)

        def accepted() -> int:
            course = flow._service.lists.charts(Window.HOUR).accepted.get(Severity.CRITICAL)
            return course.whole.count if course else 0

        wait_until(lambda: accepted() == 1)
        (called,) = flow._service.lists.charts(Window.DAY).providers
        assert (called.channel, called.made, called.success, called.took.count) == ("email", 1, 1.0, 1)
    assert stored(store)["notifyflow_incident_events", "opened", "CRITICAL"] == 1
