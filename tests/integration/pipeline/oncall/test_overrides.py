"""An override leaves open incidents alone, or pages its people for them, too."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.chain import Chain, Planned
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.core.oncall.overrides import Swap, Wish
from notifyflow.errors import IdempotencyMismatch
from notifyflow.pipeline.delivery.notify import Submitted, store_all
from notifyflow.pipeline.oncall import overrides
from notifyflow.pipeline.oncall.roster import store_directory
from notifyflow.storage.store import Store
from tests.builders import a_contact, an_incident
from tests.driver import Driver
from tests.facts import NOW

DIRECTORY = """
recipients = { ada = {}, ben = { email = "ben@example.com" }, cy = { email = "cy@example.com" } }
default.to = ["ada"]
[schedules.primary]
timezone = "UTC"
layers = [{ who = ["ben"], from = 2026-01-05T09:00:00, every = "1w" }]
[schedules.both]
timezone = "UTC"
layers = [{ who = ["ben", "cy"], from = 2026-01-05T09:00:00, every = "1w" }]
"""
TEN = timedelta(minutes=10)
WISH = Wish(schedules=("primary",), people=("cy",), ends_at=NOW + timedelta(hours=8), by="cy")
SWAP = Swap(schedule="both", first=NOW, second=NOW + timedelta(days=7), by="cy")
CHAIN = Chain(to=("ada",), then=(Planned(to=("@primary",), after=TEN), Planned(to=("ada",), after=TEN)))


@pytest.fixture
def driver(store: Store) -> Driver:
    driver = Driver(store)
    store_directory(driver.deps, DIRECTORY, changed_at=driver.clock.now())
    return driver


def begin(driver: Driver) -> None:
    """Store an incident that pages Ada, and after ten minutes whoever is on duty."""
    checked = CheckedIncident(incident=an_incident("db-1"), contacts=(a_contact("ada", "email"),), faults=(), chain=CHAIN)
    store_all(driver.deps, [Submitted(checked=checked, policy=DEFAULT)]).only()


def join(driver: Driver, *people: str, instead_of: str = "", schedules: tuple[str, ...] = ("primary",)) -> list[bool]:
    """Put people on duty, and let them join what is open; return for each incident whether they did."""
    ends_at = driver.clock.now() + timedelta(hours=8)
    wish = Wish(schedules=schedules, people=people, instead_of=instead_of, ends_at=ends_at, by="cy")
    (made,) = overrides.make(driver.deps, wish).overrides
    return [overrides.join_open(driver.deps, each, made).value for each in overrides.open_incidents(driver.deps, made)]


def paged(driver: Driver, key: str = "db-1") -> set[str]:
    return {each.facts.recipient_id for each in driver.status(key).escalations}


def test_the_people_of_an_override_are_paged_for_what_has_paged_those_on_duty(driver: Driver) -> None:
    begin(driver)
    driver.pass_time(minutes=10)
    assert paged(driver) == {"ada", "ben"}
    assert join(driver, "cy") == [True]
    assert paged(driver) == {"ada", "ben", "cy"}
    assert driver.status("db-1").steps[1].paged == ("ben", "cy")
    assert join(driver, "cy") == [False]


def test_what_has_not_come_to_the_schedule_yet_is_left_alone(driver: Driver) -> None:
    begin(driver)
    assert join(driver, "cy") == []
    driver.pass_time(minutes=10)
    assert paged(driver) == {"ada", "cy"}


@pytest.mark.parametrize("end", ["acknowledge", "resolve"])
def test_what_is_not_open_any_more_is_left_alone(driver: Driver, end: str) -> None:
    begin(driver)
    driver.pass_time(minutes=10)
    wish = Wish(schedules=("primary",), people=("cy",), ends_at=driver.clock.now() + timedelta(hours=8), by="cy")
    (made,) = overrides.make(driver.deps, wish).overrides
    (incident_id,) = overrides.open_incidents(driver.deps, made)
    getattr(driver, end)(by="ben", key="db-1")
    assert not overrides.join_open(driver.deps, incident_id, made).value
    assert overrides.open_incidents(driver.deps, made) == ()
    assert paged(driver) == {"ada", "ben"}


@pytest.mark.parametrize("wish", [WISH, SWAP], ids=["wish", "swap"])
def test_a_change_is_made_once_under_its_name_and_another_one_not_at_all(driver: Driver, wish: Wish | Swap) -> None:
    first = overrides.make(driver.deps, wish, once="k")
    overrides.make(driver.deps, replace(WISH, people=("ada",)))
    driver.pass_time(minutes=10)
    assert overrides.make(driver.deps, wish, once="k") == replace(first, is_new=False)
    overrides.cancel(driver.deps, first.overrides[0].id, by="ben")
    assert overrides.make(driver.deps, wish, once="k").overrides == first.overrides
    known = driver.store.read(lambda reads: reads.roster.current()).overrides
    assert len([each for each in known if each.ends_at > driver.clock.now()]) == len(first.overrides)
    for other in (replace(WISH, people=("ben",)), replace(WISH, by="ben"), replace(SWAP, by="ben")):
        with pytest.raises(IdempotencyMismatch):
            overrides.make(driver.deps, other, once="k")
    assert overrides.make(driver.deps, WISH, once="l").is_new


def test_a_cover_joins_only_what_has_paged_the_person_who_is_covered_for(driver: Driver) -> None:
    begin(driver)
    driver.pass_time(minutes=10)
    assert join(driver, "cy", instead_of="ada") == [False]
    assert join(driver, "cy", instead_of="ben") == [True]
