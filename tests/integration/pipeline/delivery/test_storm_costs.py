"""A page that comes in a storm costs as much as alone, however many wait with it."""

from datetime import timedelta

from notifyflow.core.delivery.model import NotificationState, Severity
from tests.builders import START, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.pipeline.delivery.test_storms import deliver_each, numbered

CRITICAL, ERROR, WARNING = Severity.CRITICAL, Severity.ERROR, Severity.WARNING


def notify(driver: Driver, key: str, who: str, severity: Severity = ERROR) -> None:
    driver.notify(an_incident(key, severity=severity), a_recipient(who, "sms"))


def searches(statements: list[str], what: str) -> int:
    return sum(what in sql for sql in statements)


def test_a_page_that_waits_reads_nothing_of_what_waits_already(driver: Driver, counted: list[str]) -> None:
    needed = []
    for who, waiting in (("ada", 3), ("ben", 40)):
        deliver_each(driver, *(f"{who}-{number}" for number in range(2 + waiting)), who=who)
        notify(driver, f"{who}-last", who)
        counted.clear()
        assert driver.claim("sms") == ()
        needed.append(len(counted))
        assert not searches(counted, '"waits_until" IS NOT NULL')
        assert driver.pages(key=f"{who}-last", who=who)["sms"].waits_until is not None
    assert needed[0] == needed[1]


def test_the_page_of_the_beat_takes_all_that_wait(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 20))
    driver.note_sweep(START + timedelta(seconds=59))
    (call,) = driver.claim("sms", limit=1)
    assert len(call.attempts) == 18


def test_a_claim_lets_many_people_wait_in_few_transactions(driver: Driver, counted: list[str]) -> None:
    people = [f"p{number}" for number in range(30)]
    for key in numbered(1, 3):
        for who in people:
            notify(driver, f"{who}-{key}", who)
        driver.deliver()
        driver.note_sweep(driver.clock.at + timedelta(seconds=0.1))
    for who in people:
        notify(driver, f"{who}-last", who)
    counted.clear()
    assert driver.claim("sms", limit=1) == ()
    assert all(driver.pages(key=f"{who}-last", who=who)["sms"].waits_until is not None for who in people)
    assert searches(counted, 'UPDATE "notifyflow_lane"') <= 5  # 1, 3, 7, 15 and the rest


def test_what_waits_takes_no_room_and_what_leaves_does(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 3))
    for key in numbered(4, 6):
        notify(driver, key, "ada")
    for who in ("ben", "eve", "joe"):
        notify(driver, f"{who}-1", who)
    left = [[each.message.incident_id for each in driver.claim("sms", limit=1)] for _ in range(4)]
    assert [len(each) for each in left] == [1, 1, 1, 0]
    assert {driver.pages(key=key)["sms"].state for key in numbered(3, 6)} == {NotificationState.QUEUED}


def test_a_beat_leaves_whole_behind_pages_that_wait(driver: Driver) -> None:
    deliver_each(driver, *(f"ben-{number}" for number in range(5)), who="ben")
    driver.note_sweep(START + timedelta(seconds=40))
    deliver_each(driver, *numbered(1, 3))
    driver.note_sweep(START + timedelta(seconds=50))
    for key in numbered(4, 11):
        notify(driver, key, "ada")
    driver.note_sweep(START + timedelta(seconds=61))
    calls = [driver.claim("sms", limit=1) for _ in range(2)]
    assert [[(call.message.address, len(call.attempts)) for call in some] for some in calls] == [[("ben@sms", 3)], []]


def test_in_a_storm_pages_are_counted_only_for_a_critical_one(driver: Driver) -> None:
    deliver_each(driver, *numbered(1, 3))
    deliver_each(driver, *numbered(4, 5), severity=CRITICAL)
    deliver_each(driver, *numbered(6, 7), severity=WARNING)
    lane = driver.pages(key="db-3")["sms"].lane

    def read(severity: Severity) -> dict[Severity, int]:
        states = driver.store.run(lambda ledger: ledger.lanes.read([(lane, severity)], now=driver.clock.at))
        return {each.severity: each.incidents for each in states.arrivals.get(lane, ())}

    everything = {CRITICAL: 2, ERROR: 3, WARNING: 2}
    assert (read(ERROR), read(CRITICAL), read(WARNING)) == ({}, everything, everything)
