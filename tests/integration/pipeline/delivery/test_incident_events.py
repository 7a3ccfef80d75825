"""What other systems learn of an incident: queued with the event itself, never paged, never cancelled."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.delivery.incident_events import Subscriber
from notifyflow.core.delivery.model import IncidentState, NotificationState, Severity
from notifyflow.core.delivery.policy import DEFAULT, Acknowledgement
from notifyflow.pipeline.upkeep.adopt import adopt, resolve_quarantined
from notifyflow.storage.store import Store
from tests.builders import BUSY, REFUSED, a_contact, a_recipient, an_incident
from tests.driver import Driver

ADA = a_recipient("ada", "email")
ALL = Subscriber(name="status", url="https://status.example.com", secrets=())
ENDS = Subscriber(name="chat", url="https://chat.example.com", secrets=(), events=frozenset({"resolved"}))


@pytest.fixture
def subscribed(store: Store) -> Driver:
    driver = Driver(store, operations=[a_contact("ops", "email")])
    driver.deps = replace(driver.deps, subscribers=(ALL, ENDS))
    return driver


def events(driver: Driver, subscriber: str = "status") -> list[str]:
    return [
        row.incident_event.event
        for row in driver.status().incident_events
        if row.incident_event and row.incident_event.subscriber == subscriber
    ]


def test_every_change_is_an_event_and_a_repetition_is_none(subscribed: Driver) -> None:
    subscribed.notify(None, ADA)
    subscribed.notify(None, ADA)
    subscribed.notify(an_incident(title="worse"), ADA)
    subscribed.notify(an_incident(title="worse", severity=Severity.CRITICAL), ADA)
    subscribed.acknowledge(by="ada")
    subscribed.page_again("ada")
    subscribed.resolve(by="ops")
    assert events(subscribed) == ["opened", "amended", "severity_raised", "acknowledged", "paged_again", "resolved"]
    assert events(subscribed, "chat") == ["resolved"]
    assert not subscribed.acknowledge()
    assert len(events(subscribed)) == 6


def test_a_change_says_how_the_incident_stood_then(subscribed: Driver) -> None:
    incident_id = subscribed.notify(None, ADA).incident_id
    subscribed.acknowledge(by="ada")
    subscribed.clock.pass_time(timedelta(minutes=1))
    subscribed.resolve(by="ops")
    opened, acknowledged, ended, _ = [row.incident_event for row in subscribed.status().incident_events if row.incident_event]
    assert {each.incident_id for each in (opened, acknowledged, ended)} == {incident_id}
    assert [each.state for each in (opened, acknowledged, ended)] == [
        IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED,
    ]  # fmt: skip
    assert (acknowledged.by, acknowledged.via, ended.by) == ("ada", "library", "ops")
    assert opened.version < acknowledged.version < ended.version
    assert ended.at == subscribed.clock.now()


def test_events_survive_the_acknowledgement_and_the_end(subscribed: Driver) -> None:
    subscribed.notify(None, ADA)
    subscribed.acknowledge(by="ada")
    subscribed.resolve(by="ada")
    claimed = subscribed.claim("webhook")
    assert [each.message.address for each in claimed] == ["status", "status", "status", "chat"]
    for each in claimed:
        subscribed.record(each)
    assert {row.state for row in subscribed.status().incident_events} == {NotificationState.SENT}


def test_nobody_is_paged_in_their_place(subscribed: Driver) -> None:
    """The round of the events belongs to no recipient, and nothing is decided in it."""
    subscribed.notify(None, ADA)
    subscribed.deliver()
    status = subscribed.status()
    assert [each.facts.recipient_id for each in status.escalations] == ["ada"]
    assert status.is_settled
    assert status.operations_key is None
    assert subscribed.store.read(lambda reads: reads.audits.page("", now=subscribed.clock.now())).findings == ()


def test_with_each_the_subscribers_are_not_waited_for(subscribed: Driver) -> None:
    subscribed.notify(None, ADA, a_recipient("ben", "email"), policy=replace(DEFAULT, acknowledgement=Acknowledgement.EACH))
    subscribed.acknowledge(by="ada")
    assert subscribed.status().facts.state is IncidentState.OPEN
    subscribed.acknowledge(by="ben")
    assert subscribed.status().facts.state is IncidentState.ACKNOWLEDGED
    assert events(subscribed) == ["opened", "acknowledged"]


def test_it_is_tried_for_days_and_then_operations_gets_a_notice(subscribed: Driver) -> None:
    subscribed.notify(None, ADA)
    tries = 0
    while any(row.state is NotificationState.QUEUED for row in subscribed.status().incident_events):
        for claimed in subscribed.claim("webhook"):
            subscribed.record(claimed, BUSY)
            tries += 1
        subscribed.clock.pass_time(timedelta(minutes=30))
    (row,) = subscribed.status().incident_events
    assert (row.state, tries) == (NotificationState.FAILED, 10)
    assert row.attempts[-1].started_at - row.created_at > timedelta(days=3)
    assert subscribed.status("notifyflow/operations").content.title == "webhook status: an incident event could not be delivered"
    assert "opened" not in [each.incident_event for each in subscribed.status("notifyflow/operations").incident_events]


def test_operations_incidents_are_nobody_elses_business(subscribed: Driver) -> None:
    subscribed.respond("email", REFUSED)
    subscribed.notify(None, ADA)
    subscribed.deliver()
    assert subscribed.status("notifyflow/operations").incident_events == ()


def test_texts_that_change_often_are_sent_once_while_they_wait(subscribed: Driver) -> None:
    subscribed.notify(None, ADA)
    for number in range(3):
        subscribed.notify(an_incident(title=f"{number} % are lost"), ADA)
    assert events(subscribed) == ["opened", "amended"]
    *_, claimed = subscribed.claim("webhook")
    assert claimed.message.content.title == "2 % are lost"
    subscribed.notify(an_incident(title="all is lost"), ADA)
    assert events(subscribed) == ["opened", "amended", "amended"]


def test_texts_that_change_after_another_change_are_sent_again(subscribed: Driver) -> None:
    """A subscriber keeps the highest version: new texts under an older version than the last would be lost."""
    subscribed.notify(None, ADA)
    subscribed.notify(an_incident(title="1 % are lost"), ADA)
    subscribed.notify(an_incident(title="1 % are lost", severity=Severity.CRITICAL), ADA)
    subscribed.notify(an_incident(title="2 % are lost", severity=Severity.CRITICAL), ADA)
    assert events(subscribed) == ["opened", "amended", "severity_raised", "amended"]


def test_a_raised_severity_is_one_event_with_its_texts(subscribed: Driver) -> None:
    words = Subscriber(name="words", url="https://words.example.com", secrets=(), events=frozenset({"amended"}))
    subscribed.deps = replace(subscribed.deps, subscribers=(ALL, words))
    subscribed.notify(None, ADA)
    subscribed.notify(an_incident(severity=Severity.CRITICAL), ADA)
    assert events(subscribed) == ["opened", "severity_raised"]
    assert events(subscribed, "words") == []
    subscribed.resolve()
    subscribed.notify(None, ADA)
    subscribed.notify(an_incident(title="all is lost", severity=Severity.CRITICAL), ADA)
    assert events(subscribed) == ["opened", "severity_raised"]
    assert events(subscribed, "words") == ["amended"]


def test_a_cancelled_copy_sends_no_events(subscribed: Driver) -> None:
    subscribed.notify(None, ADA)
    adopt(subscribed.deps, "copy")
    resolve_quarantined(subscribed.deps)
    assert events(subscribed) == ["opened"]
    assert {row.state for row in subscribed.status().incident_events} == {NotificationState.CANCELLED}
