"""A database that goes away in the middle of a sweep: what was committed before is reported, and the sweeper backs off."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from notifyflow import NotifyFlow, Settings
from notifyflow.errors import StorageUnavailable
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.builders import a_recipient, an_incident
from tests.driver import Driver
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.log_lines import capture_logs
from tests.waiting import wait_until

T = TypeVar("T")


class LeavingStore(Store):
    """A database that goes away as soon as somebody is a critical failure, until it is back."""

    is_back = False

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        if not self.is_back and self._has_failed():
            raise StorageUnavailable(timeout_s)
        return super().run(use_case, timeout_s=timeout_s, tries=tries)

    def _has_failed(self) -> bool:
        status = self.read(lambda reads: reads.status("db-1"))
        return status is not None and status.escalations[0].facts.critical_at is not None


def test_a_critical_failure_is_logged_though_the_database_goes_away_in_the_middle_of_the_sweep(sqlite_url: str) -> None:
    store = LeavingStore(sqlite_url)
    driver = Driver(store)
    driver.clock.at = datetime.now(UTC) - timedelta(hours=25)
    driver.notify(an_incident("db-1"), a_recipient("ada", "email"))
    settings = Settings.from_variables({})
    with capture_logs() as lines, NotifyFlow(settings, store=store, channels=channels(ScriptedProvider())) as flow:
        flow.start()
        wait_until(lambda: any(line["event"] == "engine.storage_unavailable" for line in lines))
        store.is_back = True
    store.close()
    events = [line["event"] for line in lines if line["event"].startswith("engine.")]
    wanted = ["engine.notification_failed", "engine.critical_failure", "engine.storage_unavailable"]
    assert [event for event in events if event in wanted][:3] == wanted
