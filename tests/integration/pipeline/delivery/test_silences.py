"""What a silence holds waits, with its clocks stopped, and leaves at its end in one message; nothing slips through or is lost."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.accounts.users import Role, User
from notifyflow.core.delivery.model import (
    DeferralReason,
    EscalationState,
    NotificationState,
    Result,
    Severity,
    Step,
)
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT
from notifyflow.core.limits.silences import CARRIED_OUT_WITHIN, AuthorKind
from notifyflow.pipeline.delivery.silences import silencing
from notifyflow.pipeline.limits import claim as claims
from notifyflow.pipeline.transaction.ports import FollowUps
from notifyflow.pipeline.users import add, change
from notifyflow.storage.store import Store
from tests.builders import REFUSED, START, a_contact, a_recipient, an_incident
from tests.damage import Damage, damaged, release_all
from tests.driver import Driver
from tests.silencing import end, orders, silence

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
QUEUED, SENT, FAILED = NotificationState.QUEUED, NotificationState.SENT, NotificationState.FAILED
ERROR, CRITICAL = Severity.ERROR, Severity.CRITICAL
MAIL = a_recipient("ada", "email")
ADA = a_recipient("ada", "email", "sms", "voice")


def held(driver: Driver, key: str = "db-1") -> Mapping[str, tuple[timedelta, timedelta]]:
    """Return when each silence held an incident."""
    return {each.silence_id: (each.began_at - START, each.ended_at - START) for each in driver.status(key).silences}


def sent_at(driver: Driver, channel: str = "email") -> list[timedelta]:
    return [each.message.at - START for each in driver.sent(channel)]


def starts(driver: Driver, who: str = "ada", key: str = "db-1") -> list[timedelta]:
    return [each.facts.started_at - START for each in driver.escalations(who, key)]


def test_what_opens_under_a_silence_waits_visibly_and_leaves_at_its_end(driver: Driver) -> None:
    started = silence(driver)
    driver.notify(orders(), MAIL)
    driver.notify(an_incident("db-2"), MAIL)
    driver.deliver()
    waiting = driver.pages()["email"]
    assert (waiting.state, waiting.deferred_by) == (QUEUED, DeferralReason.SILENCE)
    assert waiting.due_at == START + 2 * HOUR + CARRIED_OUT_WITHIN
    assert (driver.pages(key="db-2")["email"].state, sent_at(driver)) == (SENT, [0 * MINUTE])
    assert held(driver) == {started.id: (0 * MINUTE, 2 * HOUR)}
    driver.pass_time(hours=2)
    assert sent_at(driver) == [0 * MINUTE, 2 * HOUR]
    assert driver.store.read(lambda reads: reads.silences.find(started.id)).due_at is None  # type: ignore[union-attr]


def test_what_is_open_when_a_silence_begins_is_held_and_no_timer_runs_on(driver: Driver) -> None:
    driver.notify(orders(), ADA, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=4)
    silence(driver, span=40 * MINUTE)
    driver.pass_time(minutes=40)
    assert set(driver.pages()) == {"email"}
    driver.pass_time(minutes=1)
    assert set(driver.pages()) == {"email", "sms"}
    driver.pass_time(minutes=60)
    assert starts(driver) == [0 * MINUTE, 55 * MINUTE, 70 * MINUTE, 85 * MINUTE][: len(starts(driver))]


def test_a_silence_begins_later_as_planned(driver: Driver) -> None:
    started = silence(driver, after=25 * MINUTE, span=HOUR)
    driver.notify(orders(), ADA, policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=84)
    assert held(driver) == {started.id: (25 * MINUTE, 85 * MINUTE)}
    assert sent_at(driver) == [0 * MINUTE, 15 * MINUTE]
    driver.pass_time(minutes=7)
    assert starts(driver) == [0 * MINUTE, 15 * MINUTE, 90 * MINUTE]


def test_its_early_end_releases_all_as_one_message_the_most_severe_first(driver: Driver) -> None:
    driver.deps = replace(driver.deps, is_bundling=False)
    started = silence(driver)
    for number, severity in enumerate((Severity.WARNING, ERROR, Severity.WARNING)):
        driver.notify(orders(f"db-{number}", severity=severity), MAIL, a_recipient("ben", "email", "sms"))
    driver.deliver()
    driver.acknowledge("ben", key="db-2")
    driver.pass_time(minutes=20)
    assert driver.seen == []
    assert end(driver, started)
    assert not end(driver, started)
    driver.sweep()
    driver.deliver()
    assert {each.message.address: [row.message.content.key for row in each.attempts] for each in driver.seen} == {
        who: ["db-1 and db-0", "db-0"] for who in ("ada@email", "ben@email")
    }
    assert {each.message.content.delayed for each in driver.seen} == {"delayed 20 m by a silence"}
    assert held(driver, "db-0") == {started.id: (0 * MINUTE, 20 * MINUTE)}


def test_an_early_end_gives_back_the_clocks_of_its_incidents(driver: Driver) -> None:
    driver.notify(orders(), ADA, policy=INSISTENT)
    driver.deliver()
    started = silence(driver, span=10 * HOUR)
    driver.pass_time(minutes=30)
    end(driver, started)
    driver.pass_time(minutes=5)
    assert sent_at(driver, "sms") == [35 * MINUTE]


@pytest.mark.parametrize(("below", "above"), [(ERROR, CRITICAL), (Severity.INFO, Severity.WARNING)])
def test_a_severity_that_rises_above_it_pages_at_once(driver: Driver, below: Severity, above: Severity) -> None:
    started = silence(driver, "team=orders", f"severity<={below}")
    driver.notify(orders(severity=below), ADA)
    driver.deliver()
    driver.pass_time(minutes=10)
    driver.notify(orders(severity=above), ADA)
    driver.deliver()
    assert sent_at(driver) == [10 * MINUTE]
    assert held(driver) == {started.id: (0 * MINUTE, 10 * MINUTE)}


def test_labels_decide_when_they_change(driver: Driver) -> None:
    started = silence(driver)
    driver.notify(an_incident(), a_recipient("ada", "email", "sms"), policy=INSISTENT)
    driver.deliver()
    driver.pass_time(minutes=1)
    driver.notify(orders(), MAIL)
    driver.pass_time(minutes=10)
    assert (held(driver), driver.sent("sms")) == ({started.id: (1 * MINUTE, 2 * HOUR)}, [])
    driver.notify(replace(an_incident(), labels={"team": "payments"}), MAIL)
    driver.pass_time(minutes=4)
    assert (held(driver), sent_at(driver, "sms")) == ({started.id: (1 * MINUTE, 11 * MINUTE)}, [15 * MINUTE])
    driver.notify(orders(), MAIL)
    assert held(driver) == {started.id: (1 * MINUTE, 11 * MINUTE)}


def test_page_again_releases_the_incident_for_good(driver: Driver) -> None:
    started = silence(driver)
    driver.notify(orders(), MAIL, a_recipient("ben", "email"))
    driver.deliver()
    driver.pass_time(minutes=5)
    driver.page_again("ada")
    driver.sweep()
    driver.deliver()
    assert sorted(each.message.address for each in driver.seen) == ["ada@email", "ben@email"]
    assert held(driver) == {started.id: (0 * MINUTE, 5 * MINUTE)}


def test_page_again_releases_what_nobody_has_held_yet(driver: Driver) -> None:
    silence(driver)
    driver.notify(orders(), MAIL)
    driver.page_again("ada")
    driver.deliver()
    assert len(driver.seen) == 1


def test_critical_is_silenced_by_its_key_alone_and_operations_is_told(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("olga", "email")])
    silence(driver, "team=orders", "severity<=ERROR")
    driver.notify(orders(severity=CRITICAL), MAIL)
    driver.deliver()
    assert len(driver.seen) == 1
    started = silence(driver, "key=db-2", "severity<=CRITICAL")
    driver.notify(orders("db-2", severity=CRITICAL), MAIL)
    driver.deliver()
    (told,) = [each.message.content for each in driver.seen if each.message.address == "olga@email"]
    words = "silences: CRITICAL incidents are silenced until Wed 25 Nov 05:00 UTC; `notifyflow silence list` says by whom and why"
    assert f"{words} ({started.id})" in told.body
    assert [each.message.content.key for each in driver.seen if each.message.address == "ada@email"] == ["db-1"]


def test_operations_is_told_of_a_silence_that_is_started_again(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("olga", "email")])
    first = silence(driver, span=HOUR)
    driver.deliver()
    driver.pass_time(minutes=10)
    assert driver.seen == []
    end(driver, first)
    driver.pass_time(minutes=30)
    silence(driver, span=HOUR)
    driver.deliver()
    assert ["started again" in each.message.content.body for each in driver.seen] == [True]


def test_operations_is_not_paged_about_a_silenced_incident_before_its_end(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("olga", "email")])
    driver.notify(orders(), a_recipient("ada", "email", "sms"), policy=replace(DEFAULT, escalate_within=8 * HOUR))
    driver.respond("email", REFUSED)
    driver.respond("sms", REFUSED)
    (mail,) = driver.claim("email")
    started = silence(driver)
    driver.record(mail, REFUSED)
    driver.notify(orders("db-2"), a_recipient("ben"), MAIL)
    driver.deliver()
    driver.respond("email")
    driver.pass_time(minutes=30)
    assert driver.seen == []
    driver.resolve(key="db-1")
    end(driver, started)
    driver.sweep()
    driver.deliver()
    (told,) = [each.message.content for each in driver.seen if each.message.address == "olga@email"]
    assert ("Ben" in told.body, "Ada" in told.body) == (True, False)


def test_acknowledging_and_receipts_go_on(driver: Driver) -> None:
    driver.notify(orders(), a_recipient("ada", "sms"), a_recipient("ben", "email"))
    driver.deliver()
    (text,) = driver.sent("sms")
    silence(driver)
    driver.report(text.message.attempt_id, Result.DELIVERED)
    assert driver.pages()["sms"].state is NotificationState.DELIVERED
    driver.acknowledge("ada")
    assert driver.escalation("ben").state is EscalationState.ACKNOWLEDGED


def test_the_next_step_of_a_chain_waits(driver: Driver) -> None:
    driver.notify(orders(), MAIL, then=[Step(to=(a_recipient("ben", "email"),), after=10 * MINUTE)])
    driver.deliver()
    driver.pass_time(minutes=5)
    started = silence(driver, span=5 * HOUR)
    driver.pass_time(minutes=60)
    assert [each.facts.recipient_id for each in driver.status().escalations] == ["ada"]
    end(driver, started)
    driver.pass_time(minutes=5)
    assert starts(driver, "ben") == [70 * MINUTE]


def test_two_silences_hold_until_the_last_one_ends(driver: Driver) -> None:
    first, second = silence(driver, span=HOUR), silence(driver, "key=db-*", span=3 * HOUR)
    driver.notify(orders(), MAIL)
    driver.deliver()
    end(driver, first)
    driver.sweep()
    driver.deliver()
    assert driver.seen == []
    driver.pass_time(hours=3)
    assert (sent_at(driver), set(held(driver))) == ([3 * HOUR], {first.id, second.id})


def test_other_namespaces_and_incidents_of_our_own_are_not_silenced(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("olga", "email")])
    silence(driver, "key=*", "severity<=ERROR", namespaces=frozenset({"payments"}))
    silence(driver, "key=*")
    driver.respond("email", REFUSED)
    end(driver, silence(driver, "key=nothing"))
    driver.notify(orders(), MAIL, namespace="payments")
    driver.deliver()
    assert driver.seen == []


def user(store: Store, role: Role = Role.RESPONDER, namespaces: frozenset[str] | None = None) -> User:
    grace = User(id="u-1", name="grace", role=role, namespaces=namespaces, created_at=START)
    add(store, grace)
    return grace


@pytest.mark.parametrize(
    "lost",
    [
        {"role": Role.VIEWER},
        {"disabled_at": START},
        {"namespaces": frozenset({"payments"})},
    ],
)
def test_a_silence_is_void_once_its_author_may_no_longer_operate(driver: Driver, lost: dict[str, object]) -> None:
    grace = user(driver.store)
    started = silence(driver, author=(AuthorKind.USER, grace.id), namespaces=frozenset({""}))
    driver.notify(orders(), MAIL)
    driver.deliver()
    assert driver.seen == []
    driver.pass_time(minutes=1)
    change(driver.store, "grace", lambda stored: replace(stored, **lost))
    driver.notify(orders("db-2"), MAIL)
    driver.deliver()
    assert len(driver.seen) == 1
    driver.sweep()
    driver.deliver()
    assert len(driver.seen) == 2
    found = driver.store.read(lambda reads: reads.silences.find(started.id))
    assert found is not None
    assert (found.ended_at, found.ended_by) == (START + MINUTE, silencing.LOST_RIGHT)


def test_a_slow_claim_defers_nothing_for_a_silence_whose_author_may_no_longer_operate(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    grace = user(driver.store)
    silence(driver, author=(AuthorKind.USER, grace.id))
    driver.notify(orders(), MAIL)
    defer_one = claims._defer_one

    def slow(*given: Any, **named: Any) -> FollowUps:
        change(driver.store, "grace", lambda stored: replace(stored, disabled_at=START))
        return defer_one(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(claims, "_defer_one", slow)
        assert driver.claim("email") == ()
    driver.deliver()
    assert len(driver.seen) == 1


@pytest.mark.parametrize(
    ("scopes", "namespace", "fields"),
    [
        ({KeyScope.INGEST}, "", {}),
        ({KeyScope.READ}, "", {}),
        ({KeyScope.OPERATE}, "payments", {}),
        ({KeyScope.OPERATE}, "", {"revoked_at": START}),
        ({KeyScope.OPERATE}, "", {"expires_at": START}),
    ],
)
def test_a_key_that_may_not_operate_there_silences_nothing(
    driver: Driver, scopes: set[KeyScope], namespace: str, fields: dict[str, object]
) -> None:
    key = ApiKey(id="k-1", name="key", scopes=frozenset(scopes), digest="", created_at=START, namespace=namespace, **fields)  # type: ignore[arg-type]
    driver.store.run(lambda ledger: ledger.keys.add(key))
    silence(driver, author=(AuthorKind.KEY, "k-1"), namespaces=frozenset({""}))
    driver.notify(orders(), MAIL)
    driver.deliver()
    assert len(driver.seen) == 1


def test_openings_under_a_silence_are_no_flapping(store: Store) -> None:
    driver = Driver(store, operations=[a_contact("olga", "email")])
    silence(driver, "key=db-1", "severity<=CRITICAL")
    for _ in range(8):
        driver.notify(orders(severity=CRITICAL), MAIL)
        driver.deliver()
        driver.pass_time(minutes=1)
        driver.resolve("a monitor")
        driver.pass_time(minutes=1)
    assert not any("flapping" in each.message.content.body for each in driver.seen)


def test_a_silence_is_carried_on_with_after_a_crash(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silencing, "_SET", 2)
    for number in range(5):
        driver.notify(orders(f"db-{number}"), ADA, policy=INSISTENT)
    driver.deliver()
    with monkeypatch.context() as crash:
        crash.setattr(silencing, "carry_out", lambda deps, silence_id: silencing.NOTHING)
        started = silence(driver)
    driver.sweep()
    assert all(held(driver, f"db-{number}") for number in range(5))
    driver.pass_time(minutes=30)
    with monkeypatch.context() as crash:
        crash.setattr(silencing, "carry_out", lambda deps, silence_id: silencing.NOTHING)
        end(driver, started)
    driver.pass_time(minutes=5)
    assert len(driver.sent("sms")) == 1


@pytest.mark.parametrize("damage", [Damage.WORD, Damage.DOCUMENT, Damage.REFUSED])
def test_a_damaged_incident_holds_up_no_other(driver: Driver, damage: Damage) -> None:
    silence(driver)
    driver.notify(orders(), MAIL)
    driver.notify(orders("db-2"), MAIL)
    with damaged(driver.deps, "incident", driver.status().facts.id, damage):
        driver.deliver()
        assert driver.pages(key="db-2")["email"].deferred_by is DeferralReason.SILENCE
    release_all(driver.deps)
    driver.pass_time(hours=2)
    assert driver.pages(key="db-2")["email"].state is SENT


def test_a_system_without_silences_runs_no_statement_more(driver: Driver, counted: list[str]) -> None:
    for key in ("db-0", "db-1"):
        driver.notify(an_incident(key), MAIL)
        driver.deliver()
    counted.clear()
    driver.notify(an_incident("db-2"), MAIL)
    driver.deliver()
    driver.sweep()
    assert [each for each in counted if "notifyflow_silence" in each and "UNION" not in each] == []
