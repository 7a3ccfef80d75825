"""Who begins and who ends a duty is told once, by mail and chat, in time, and whoever fails to be reached pages nobody."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.chain import Chain, Planned
from notifyflow.core.delivery.incident_events import Subscriber
from notifyflow.core.delivery.model import Ended, IncidentState, Kind, NotificationState, Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.core.oncall.hand_overs import HandOver
from notifyflow.core.oncall.overrides import Wish
from notifyflow.pipeline.delivery.notify import Submitted, store_all
from notifyflow.pipeline.oncall import hand_overs, overrides
from notifyflow.pipeline.oncall.roster import store_directory
from notifyflow.pipeline.rollup import roll_up_all
from notifyflow.pipeline.upkeep.forget import forget
from notifyflow.pipeline.upkeep.prune import prune_strays
from notifyflow.storage.store import Store
from tests.builders import REFUSED_US, START, a_contact, an_incident
from tests.driver import Driver
from tests.metrics import stored

DIRECTORY = """
default.to = ["ada"]
[recipients.ada]
name = "Ada"
email = "ada@example.com"
phone = "+15005550001"
timezone = "Europe/Berlin"
[recipients.ben]
name = "Ben"
email = "ben@example.com"
addresses.slack = "https://hooks.slack.com/ben"
quiet = "03:00-05:00"
[recipients.cy]
phone = "+15005550003"
[schedules.primary]
timezone = "Europe/Berlin"
handover = true
layers = [{ who = ["ada", "ben"], from = 2026-11-24T05:00:00, every = "1d" }]
"""
HANDED_OVER = START + timedelta(hours=1)
KEY = "notifyflow/hand-over/primary"
TITLE = "Hand-over of primary: Ben since Wed 25 Nov 05:00 CET"
"""The duty goes from Ada to Ben an hour after the start, at 05:00 in Berlin."""


@pytest.fixture
def driver(store: Store) -> Driver:
    driver = Driver(store, operations=[a_contact("ops", "email")])
    driver.deps = replace(driver.deps, subscribers=(Subscriber(name="status", url="", secrets=()),))
    store_directory(driver.deps, DIRECTORY, changed_at=START - timedelta(hours=9))
    return driver


def tell(driver: Driver, *, minutes: float = 62) -> tuple[HandOver, ...]:
    driver.clock.at = START + timedelta(minutes=minutes)
    told = hand_overs.tell(driver.deps)
    driver._note(told.follow_ups)
    return told.value.now


def click(driver: Driver, who: str, *, seconds: int) -> str:
    """Let somebody take the duty for half an hour; return the override's id."""
    driver.clock.at = START + timedelta(seconds=seconds)
    wish = Wish(schedules=("primary",), people=(who,), ends_at=driver.clock.at + timedelta(minutes=30), by=who)
    (made,) = overrides.make(driver.deps, wish).overrides
    return made.id


def give_back(driver: Driver, override_id: str, *, seconds: int) -> None:
    driver.clock.at = START + timedelta(seconds=seconds)
    driver._note(overrides.cancel(driver.deps, override_id, by="ada").follow_ups)


def look(driver: Driver, *, since: int, until: int) -> list[tuple[int, tuple[str, ...], tuple[str, ...]]]:
    """Look every 15 seconds as processes do; return after how many seconds what was told."""
    found = []
    for second in range(since, until + 1, 15):
        found += [(second, each.before, each.after) for each in tell(driver, minutes=second / 60)]
    return found


def addressees(driver: Driver) -> list[tuple[str, str]]:
    driver.deliver()
    return sorted((each.channel, each.message.address) for each in driver.seen)


def told(driver: Driver) -> IncidentStatus:
    found = driver.store.read(lambda reads: reads.status(KEY))
    assert found is not None
    return found


def test_who_begins_and_who_ends_are_told_by_mail_and_chat_once_their_quiet_hours_are_over(driver: Driver) -> None:
    assert tell(driver, minutes=61.9) == ()
    (found,) = tell(driver)
    assert (found.at, found.before, found.after) == (HANDED_OVER, ("ada",), ("ben",))
    assert addressees(driver) == [("email", "ada@example.com")]
    content = driver.seen[0].message.content
    assert (content.kind, content.title, content.severity) == (Kind.STATUS_UPDATE, TITLE, Severity.INFO)
    assert content.body == "On duty: Ben, until Thu 26 Nov 05:00 CET\nBefore: Ada"
    assert (content.link, content.also_paged, content.status_update) == (None, "", "")
    driver.pass_time(hours=1)
    assert addressees(driver)[1:] == [("email", "ben@example.com"), ("slack", "https://hooks.slack.com/ben")]
    assert driver.seen[-1].message.content.title == "Hand-over of primary: Ben since Wed 25 Nov 04:00 UTC"


def test_it_is_a_resolved_incident_that_pages_nobody_and_counts_for_nothing(driver: Driver) -> None:
    tell(driver)
    driver.deliver()
    driver.pass_time(hours=2)
    status = told(driver)
    assert (status.facts.state, status.facts.namespace) == (IncidentState.RESOLVED, "notifyflow")
    assert status.content.title == TITLE
    assert {row.state for each in status.escalations for row in each.notifications} == {NotificationState.SENT}
    assert {row.kind for each in status.escalations for row in each.notifications} == {Kind.STATUS_UPDATE}
    assert status.incident_events == ()
    assert driver.store.read(lambda reads: reads.people.ids(after="", limit=9)) == []
    assert driver.store.read(lambda reads: reads.people.never_paged(["ada", "ben"])) == {"ada", "ben"}
    assert driver.store.read(lambda reads: reads.people.records(["ada", "ben"], None)) == {}
    roll_up_all(driver.deps)
    counted = stored(driver.store)
    assert [name for name, *_ in counted if "incident" in name or "escalation" in name] == []
    assert {labels[1] for name, *labels in counted if name == "notifyflow_notifications"} == {"status_update"}


def test_it_names_the_newest_open_incidents_that_the_schedule_is_paging_about(driver: Driver) -> None:
    people = (a_contact("ada", "email"),)
    for number in range(12):
        chain = Chain(to=("@primary",), then=(Planned(to=("ada",), after=timedelta(hours=9)),))
        incident = replace(an_incident(f"db-{number:02}"), title="down", url="https://x.example/1")
        checked = CheckedIncident(incident=incident, contacts=people, faults=(), chain=chain)
        store_all(driver.deps, [Submitted(checked=checked, policy=DEFAULT)]).only()
    driver.resolve(key="db-11")
    driver.deliver()
    driver.seen.clear()
    tell(driver)
    driver.deliver()
    content = next(each.message.content for each in driver.seen if each.message.content.key == KEY)
    _, _, _, heading, *lines = content.body.split("\n")
    assert heading == "Open incidents that @primary is paging about:"
    assert lines[0] == "- ERROR: down (db-10)"
    assert (len(lines), lines[-2:]) == (11, ["- ERROR: down (db-01)", "- and 1 more"])
    assert content.links["db-10"] == "https://x.example/1"


def test_two_workers_at_once_and_a_restart_tell_once(driver: Driver) -> None:
    driver.clock.at = HANDED_OVER + timedelta(minutes=2)
    with ThreadPoolExecutor(max_workers=4) as pool:
        told = [each.result() for each in [pool.submit(hand_overs.tell, driver.deps) for _ in range(4)]]
    assert sorted(len(each.value.now) for each in told) == [0, 0, 0, 1]
    assert {each.value.handled["primary"] for each in told} == {HANDED_OVER}
    assert tell(driver, minutes=90) == ()
    assert Counter(addressees(driver)) == Counter({("email", "ada@example.com"): 1})


def test_sixty_clicks_are_one_hand_over(driver: Driver) -> None:
    """Somebody who tries out buttons for five minutes sends nobody seventy mails."""
    found = []
    for number in range(30):
        taken = click(driver, "ben" if number % 2 else "cy", seconds=10 * number)
        if number < 29:
            give_back(driver, taken, seconds=10 * number + 5)
        found += look(driver, since=10 * number + 6, until=10 * number + 6)
    assert found == []
    assert look(driver, since=300, until=900) == [(420, ("ada",), ("ben",))]
    assert addressees(driver) == [("email", "ada@example.com")]
    driver.pass_time(hours=2)
    assert addressees(driver)[1:] == [("email", "ben@example.com"), ("slack", "https://hooks.slack.com/ben")]


def test_a_duty_that_never_rests_is_told_ten_minutes_after_its_first_change(driver: Driver) -> None:
    found = []
    for number in range(21):
        click(driver, "ben" if number % 2 else "cy", seconds=90 * number)
        found += look(driver, since=90 * number + 15, until=90 * number + 75)
    assert found == [(600, ("ada",), ("cy",)), (1230, ("cy",), ("ben",)), (1860, ("ben",), ("cy",))]


def test_a_duty_that_is_given_back_at_once_concerns_nobody_and_does_not_hasten_the_next_change(driver: Driver) -> None:
    give_back(driver, click(driver, "ben", seconds=0), seconds=30)
    assert look(driver, since=45, until=600) == []
    click(driver, "ben", seconds=601)
    assert look(driver, since=610, until=1200) == [(730, ("ada",), ("ben",))]


def test_a_worker_that_comes_back_tells_what_it_missed_as_it_would_have(driver: Driver) -> None:
    for number in range(3):
        click(driver, "ben" if number % 2 else "cy", seconds=20 * number)
    click(driver, "ben", seconds=900)
    found = [(each.before, each.after) for each in tell(driver, minutes=55)]
    assert found == [(("ada",), ("cy",)), (("cy",), ("ben",)), (("ben",), ("ada",))]
    assert tell(driver, minutes=56) == ()


def test_nobody_is_told_an_hour_later(driver: Driver) -> None:
    assert tell(driver, minutes=120) == ()
    assert addressees(driver) == []


def test_a_message_that_could_not_leave_within_an_hour_is_given_up_and_quiet_hours_do_not_count(driver: Driver) -> None:
    tell(driver)
    driver.note_sweep(driver.clock.at + timedelta(minutes=61))
    assert addressees(driver) == [("email", "ben@example.com"), ("slack", "https://hooks.slack.com/ben")]
    (ended,) = (row for each in told(driver).escalations for row in each.notifications if row.ended)
    assert (ended.state, ended.ended) == (NotificationState.FAILED, Ended.EXPIRED)


def test_a_duty_that_is_taken_is_handed_over_and_who_has_a_phone_only_is_not_told(driver: Driver) -> None:
    driver.clock.at = START
    wish = Wish(schedules=("primary",), people=("cy",), ends_at=START + timedelta(minutes=30), by="cy")
    overrides.make(driver.deps, wish)
    (taken,) = tell(driver, minutes=2)
    assert (taken.at, taken.after, taken.until) == (START, ("cy",), START + timedelta(minutes=30))
    assert addressees(driver) == [("email", "ada@example.com")]
    assert driver.seen[0].message.content.body == "On duty: cy, until Wed 25 Nov 04:30 CET\nBefore: Ada"


def test_a_duty_that_is_given_back_is_handed_over(driver: Driver) -> None:
    wish = Wish(schedules=("primary",), people=("ben",), ends_at=START + timedelta(minutes=30), by="ben")
    (made,) = overrides.make(driver.deps, wish).overrides
    tell(driver, minutes=2)
    give_back(driver, made.id, seconds=180)
    tell(driver, minutes=5)
    assert addressees(driver) == [("email", "ada@example.com")] * 2
    content = driver.seen[-1].message.content
    assert (content.title, content.body.split("\n")[1]) == ("Hand-over of primary: Ada since Wed 25 Nov 04:03 CET", "Before: Ben")
    assert tell(driver, minutes=6) == ()


def test_a_message_that_fails_is_tried_once_and_operations_is_not_told(driver: Driver) -> None:
    driver.respond("email", REFUSED_US)
    tell(driver)
    driver.deliver()
    driver.pass_time(hours=1)
    failed = [row for each in told(driver).escalations for row in each.notifications if row.channel == "email"]
    assert [(row.state, len(row.attempts)) for row in failed] == [(NotificationState.FAILED, 1)] * 2
    assert driver.store.read(lambda reads: reads.status("notifyflow/operations")) is None


def test_who_is_forgotten_is_not_named_any_more_and_a_hand_over_is_pruned(driver: Driver) -> None:
    tell(driver)
    driver.pass_time(hours=2)
    forget(driver.deps, "ben")
    assert told(driver).content.title == TITLE.replace("Ben", "ben")
    incident_id = told(driver).facts.id
    prune_strays(driver.deps, before=HANDED_OVER)
    assert driver.store.run(lambda ledger: ledger.hand_overs.of(incident_id)) is not None
    prune_strays(driver.deps, before=driver.clock.at)
    assert driver.store.run(lambda ledger: ledger.hand_overs.of(incident_id)) is None
