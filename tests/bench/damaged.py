# ruff: noqa: T201 - a command prints
"""Measures how long forty pages take to be claimed and recorded, with a damaged one among them and without."""

import statistics
import time
from contextlib import nullcontext
from datetime import timedelta

from notifyflow.pipeline.delivery.record import Recording, record
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver
from tests.servers.postgres import postgres

ROUNDS = 10
PAGES = 40


def main() -> None:
    """Print the medians and the longest of ten rounds on PostgreSQL."""
    with postgres() as server:
        store = Store(server.url(server.create_database()))
        store.upgrade()
        driver = Driver(store)
        driver.notify(an_incident(key="old"), a_recipient("old", "teams"))
        driver.resolve(key="old")
        took: dict[bool, list[float]] = {False: [], True: []}
        for number in range(ROUNDS):
            for is_damaged in took:
                took[is_damaged].append(_round(driver, f"{number}-{is_damaged}", is_damaged=is_damaged))
        for is_damaged, some in took.items():
            name = "beside a damaged page" if is_damaged else "without"
            print(f"{name}: median {statistics.median(some) * 1000:.0f} ms, longest {max(some) * 1000:.0f} ms")
        store.close()


def _round(driver: Driver, name: str, *, is_damaged: bool) -> float:
    for number in range(PAGES + 1):
        driver.notify(an_incident(key=f"{name}-{number}"), a_recipient("ada", "email"))
    page = driver.pages("ada", f"{name}-7")["email"]
    with damaged(driver.deps, "notification", page.id, Damage.LINE) if is_damaged else nullcontext():
        began = time.monotonic()
        claimed = driver.claim("email", limit=PAGES + 1)
        leases = [each.lease for each in claimed]
        settled = record(driver.deps, [Recording(lease=each, outcome=ACCEPTED) for each in leases])
        took = time.monotonic() - began
        assert settled.results.count(None) == PAGES + (not is_damaged)
    release_all(driver.deps)
    driver.deliver()
    driver.note_sweep(driver.clock.at + timedelta(minutes=5))  # so that the provider's limit lets the next ones through
    return took


if __name__ == "__main__":
    main()
