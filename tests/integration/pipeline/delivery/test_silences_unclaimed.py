"""A page that no worker has claimed when a silence ends leaves in one message with what the silence held."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from notifyflow.core.delivery.model import DeferralReason, Severity
from notifyflow.core.limits.silences import AuthorKind, Silence
from notifyflow.errors import UnreadableRow
from notifyflow.pipeline.delivery.silences import silencing
from notifyflow.pipeline.limits import claim as claims
from notifyflow.pipeline.transaction.ports import Dependencies
from tests.builders import a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver
from tests.patience import PatientStore
from tests.silencing import end, orders, silence
from tests.waiting import wait_until

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MAIL = a_recipient("ada", "email")


@pytest.fixture(params=[True, False], ids=["bundling", "no bundling"])
def alone(request: pytest.FixtureRequest, driver: Driver) -> Driver:
    """Return a driver whose pages leave together by themselves, or only after a silence."""
    driver.deps = replace(driver.deps, is_bundling=request.param)
    return driver


def hold_three(driver: Driver) -> Silence:
    """Let a silence of an hour hold three pages, and open a fourth incident that no worker has looked at."""
    started = silence(driver, span=HOUR)
    for number in range(3):
        driver.notify(orders(f"db-{number}"), MAIL)
        driver.deliver()
    driver.notify(orders("db-late", severity=Severity.WARNING), MAIL)
    driver.clock.at += MINUTE
    return started


def carried(driver: Driver) -> list[int]:
    return [len(each.attempts) for each in driver.seen]


@pytest.mark.parametrize("is_early", [True, False], ids=["early", "planned"])
def test_it_waits_for_what_was_held_while_the_end_is_carried_out(
    alone: Driver, is_early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = hold_three(alone)
    if is_early:
        with monkeypatch.context() as crash:
            crash.setattr(silencing, "carry_out", lambda deps, silence_id: silencing.NOTHING)
            end(alone, started)
    else:
        alone.clock.at += HOUR - MINUTE
    alone.notify(orders("db-after"), a_recipient("ben", "email"))
    alone.deliver()
    assert [each.message.address for each in alone.seen] == ["ben@email"]
    alone.sweep()
    alone.deliver()
    assert carried(alone) == [1, 4]


@pytest.mark.parametrize("is_early", [True, False], ids=["early", "planned"])
def test_it_leaves_with_what_was_held_once_the_end_is_carried_out(alone: Driver, is_early: bool) -> None:
    started = hold_three(alone)
    if is_early:
        end(alone, started)
    else:
        alone.clock.at += HOUR - MINUTE
    alone.sweep()
    late = alone.pages(key="db-late")["email"]
    assert (late.deferred_by, late.due_at, late.has_been_silenced) == (DeferralReason.SILENCE, alone.clock.now(), True)
    assert [each.ended_at for each in alone.status("db-late").silences] == [alone.clock.now()]
    alone.deliver()
    assert carried(alone) == [4]


def test_a_second_page_of_an_incident_that_is_held_waits_as_well(alone: Driver) -> None:
    started = silence(alone, span=HOUR)
    both = a_recipient("ada", "email", "slack")
    for number in range(2):
        alone.notify(orders(f"db-{number}"), both)
        alone.claim("email")
    alone.claim("slack", limit=1)
    alone.clock.at += MINUTE
    end(alone, started)
    alone.deliver()
    assert sorted((each.channel, len(each.attempts)) for each in alone.seen) == [("email", 2), ("slack", 2)]


def test_what_it_does_not_cover_is_not_kept(alone: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    started = hold_three(alone)
    alone.notify(an_incident("billing-1"), MAIL)
    alone.notify(orders("db-9", severity=Severity.CRITICAL), MAIL)
    with monkeypatch.context() as crash:
        crash.setattr(silencing, "carry_out", lambda deps, silence_id: silencing.NOTHING)
        end(alone, started)
    alone.deliver()
    assert sorted(each.message.content.key for each in alone.seen) == ["billing-1", "db-9"]
    assert [alone.status(key).silences for key in ("billing-1", "db-9")] == [(), ()]


def test_a_silence_that_is_cancelled_or_void_has_kept_nothing(alone: Driver) -> None:
    planned = silence(alone, after=HOUR)
    silence(alone, span=HOUR, author=(AuthorKind.KEY, "nobody"))
    alone.notify(orders(), MAIL)
    alone.clock.at += MINUTE
    end(alone, planned)
    alone.sweep()
    alone.deliver()
    assert (carried(alone), alone.status().silences) == ([1], ())


@pytest.mark.parametrize("damage", [Damage.WORD, Damage.DOCUMENT, Damage.REFUSED])
@pytest.mark.parametrize("machine", ["incident", "notification"])
def test_a_damaged_one_keeps_no_other_from_leaving_with_the_rest(alone: Driver, machine: str, damage: Damage) -> None:
    started = hold_three(alone)
    alone.notify(orders("db-bad"), MAIL)
    bad = alone.status("db-bad").facts.id if machine == "incident" else alone.pages(key="db-bad")["email"].id
    with damaged(alone.deps, machine, bad, damage):
        alone.clock.at += MINUTE
        end(alone, started)
        alone.sweep()
        with suppress(UnreadableRow):  # the incident that cannot be read leaves, too, and its outcome is recorded by a later try
            alone.deliver()
        assert carried(alone)[0] in (4, 5)
    release_all(alone.deps)


def test_it_waits_a_few_seconds_only_for_an_end_that_nobody_carries_out(alone: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    hold_three(alone)
    monkeypatch.setattr(silencing, "carry_out", lambda deps, silence_id: silencing.NOTHING)
    alone.clock.at += HOUR - MINUTE
    alone.deliver()
    assert alone.seen == []
    alone.clock.at += timedelta(seconds=10)
    alone.deliver()
    assert sum(carried(alone)) == 4


def test_many_are_looked_at_in_sets(alone: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silencing, "_SET", 2)
    started = hold_three(alone)
    for number in range(5):
        alone.notify(an_incident(f"billing-{number}"), a_recipient("ben", "email"))
        alone.notify(orders(f"db-late-{number}"), MAIL)
    alone.clock.at += MINUTE
    end(alone, started)
    alone.deliver()
    assert max(carried(alone)) == 9


def test_it_leaves_with_the_rest_though_one_claim_has_found_it_before_the_end_and_defers_it_afterwards(
    alone: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process dies, or is slow, between its claim and the transaction that defers."""
    started = hold_three(alone)
    put_off = claims._put_off

    def slow(deps: Dependencies, *given: object) -> None:
        end(alone, started)
        put_off(deps, *given)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(claims, "_put_off", slow)
        assert alone.claim("email") == ()
    alone.sweep()
    alone.deliver()
    assert carried(alone) == [4]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_one_that_another_claim_has_locked_is_waited_for_when_the_end_is_carried_out(
    database_url: str, connection: psycopg.Connection[Any]
) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with closing(PatientStore(database_url)) as store, ThreadPoolExecutor(1) as pool:
        driver = Driver(store)
        started = hold_three(driver)
        late = driver.pages(key="db-late")["email"].id
        connection.execute("SELECT 1 FROM notifyflow_notification WHERE id = %s FOR UPDATE", (late,))
        ended = pool.submit(end, driver, started)
        with psycopg.connect(connection.info.dsn, autocommit=True) as watching:
            wait_until(lambda: watching.execute(waiting).fetchone() == (1,))
        driver.deliver()
        assert driver.seen == []
        connection.rollback()
        assert ended.result()
        driver.deliver()
        assert carried(driver) == [4]
