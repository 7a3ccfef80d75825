"""What other systems are told of an incident: queued with the event itself, never paged, never cancelled."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.incident_events import Subscriber
from notifyflow.core.model import IncidentState, NotificationState, Severity
from notifyflow.core.policy import DEFAULT, Acknowledgement
from notifyflow.pipeline.adopt import adopt, resolve_quarantined
from notifyflow.storage.store import Store
from tests.builders import BUSY, REFUSED, a_contact, a_recipient, an_incident
from tests.driver import Driver

ADA = a_recipient("ada", "email")
ALL = Subscriber(name="status", url="https://status.example.com", secrets=())
ENDS = Subscriber(name="chat", url="https://chat.example.com", secrets=(), events=frozenset({"resolved"}))


@pytest.fixture
def told(store: Store) -> Driver:
    driver = Driver(store, operations=[a_contact("ops", "email")])
    driver.deps = replace(driver.deps, subscribers=(ALL, ENDS))
    return driver


def events(driver: Driver, subscriber: str = "status") -> list[str]:
    return [
        row.incident_event.event
        for row in driver.status().incident_events
        if row.incident_event and row.incident_event.subscriber == subscriber
    ]


def test_every_change_is_told_and_a_repetition_is_none(told: Driver) -> None:
    told.notify(None, ADA)
    told.notify(None, ADA)
    told.notify(an_incident(title="worse"), ADA)
    told.notify(an_incident(title="worse", severity=Severity.CRITICAL), ADA)
    told.acknowledge(by="ada")
    told.page_again("ada")
    told.resolve(by="ops")
    assert events(told) == ["opened", "amended", "severity_raised", "acknowledged", "paged_again", "resolved"]
    assert events(told, "chat") == ["resolved"]
    assert not told.acknowledge()
    assert len(events(told)) == 6


def test_a_change_says_how_the_incident_stood_then(told: Driver) -> None:
    incident_id = told.notify(None, ADA).incident_id
    told.acknowledge(by="ada")
    told.clock.pass_time(timedelta(minutes=1))
    told.resolve(by="ops")
    opened, taken, ended, _ = [row.incident_event for row in told.status().incident_events if row.incident_event]
    assert {each.incident_id for each in (opened, taken, ended)} == {incident_id}
    assert [each.state for each in (opened, taken, ended)] == [
        IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED,
    ]  # fmt: skip
    assert (taken.by, taken.via, ended.by) == ("ada", "library", "ops")
    assert opened.version < taken.version < ended.version
    assert ended.at == told.clock.now()


def test_what_is_told_survives_the_acknowledgement_and_the_end(told: Driver) -> None:
    told.notify(None, ADA)
    told.acknowledge(by="ada")
    told.resolve(by="ada")
    claimed = told.claim("webhook")
    assert [each.message.address for each in claimed] == ["status", "status", "status", "chat"]
    for each in claimed:
        told.record(each)
    assert {row.state for row in told.status().incident_events} == {NotificationState.SENT}


def test_nobody_is_paged_in_their_place(told: Driver) -> None:
    """The round that holds what is told belongs to nobody: it is no recipient's, and nothing is decided in it."""
    told.notify(None, ADA)
    told.deliver()
    status = told.status()
    assert [each.facts.recipient_id for each in status.escalations] == ["ada"]
    assert status.is_settled
    assert status.operations_key is None
    assert told.store.read(lambda reads: reads.audit("", now=told.clock.now())).findings == ()


def test_with_each_the_subscribers_are_not_waited_for(told: Driver) -> None:
    told.notify(None, ADA, a_recipient("ben", "email"), policy=replace(DEFAULT, acknowledgement=Acknowledgement.EACH))
    told.acknowledge(by="ada")
    assert told.status().facts.state is IncidentState.OPEN
    told.acknowledge(by="ben")
    assert told.status().facts.state is IncidentState.ACKNOWLEDGED
    assert events(told) == ["opened", "acknowledged"]


def test_it_is_tried_for_days_and_then_operations_is_told(told: Driver) -> None:
    told.notify(None, ADA)
    tries = 0
    while any(row.state is NotificationState.QUEUED for row in told.status().incident_events):
        for claimed in told.claim("webhook"):
            told.record(claimed, BUSY)
            tries += 1
        told.clock.pass_time(timedelta(minutes=30))
    (row,) = told.status().incident_events
    assert (row.state, tries) == (NotificationState.FAILED, 10)
    assert row.attempts[-1].started_at - row.created_at > timedelta(days=3)
    assert told.status("notifyflow/operations").content.title == "webhook status: an incident event could not be delivered"
    assert "opened" not in [each.incident_event for each in told.status("notifyflow/operations").incident_events]


def test_operations_incidents_are_nobody_elses_business(told: Driver) -> None:
    told.respond("email", REFUSED)
    told.notify(None, ADA)
    told.deliver()
    assert told.status("notifyflow/operations").incident_events == ()


def test_words_that_change_often_are_told_once_while_they_wait(told: Driver) -> None:
    told.notify(None, ADA)
    for number in range(3):
        told.notify(an_incident(title=f"{number} % are lost"), ADA)
    assert events(told) == ["opened", "amended"]
    *_, claimed = told.claim("webhook")
    assert claimed.message.content.title == "2 % are lost"
    told.notify(an_incident(title="all is lost"), ADA)
    assert events(told) == ["opened", "amended", "amended"]


def test_words_that_change_after_another_change_are_told_anew(told: Driver) -> None:
    """A subscriber keeps the highest version: new words under an older one than it has seen would be lost."""
    told.notify(None, ADA)
    told.notify(an_incident(title="1 % are lost"), ADA)
    told.notify(an_incident(title="1 % are lost", severity=Severity.CRITICAL), ADA)
    told.notify(an_incident(title="2 % are lost", severity=Severity.CRITICAL), ADA)
    assert events(told) == ["opened", "amended", "severity_raised", "amended"]


def test_a_raised_severity_is_told_once_with_its_words(told: Driver) -> None:
    words = Subscriber(name="words", url="https://words.example.com", secrets=(), events=frozenset({"amended"}))
    told.deps = replace(told.deps, subscribers=(ALL, words))
    told.notify(None, ADA)
    told.notify(an_incident(severity=Severity.CRITICAL), ADA)
    assert events(told) == ["opened", "severity_raised"]
    assert events(told, "words") == []
    told.resolve()
    told.notify(None, ADA)
    told.notify(an_incident(title="all is lost", severity=Severity.CRITICAL), ADA)
    assert events(told) == ["opened", "severity_raised"]
    assert events(told, "words") == ["amended"]


def test_a_copy_that_is_cancelled_tells_nobody(told: Driver) -> None:
    told.notify(None, ADA)
    adopt(told.deps, "copy")
    resolve_quarantined(told.deps)
    assert events(told) == ["opened"]
    assert {row.state for row in told.status().incident_events} == {NotificationState.CANCELLED}
