import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts
from notifyflow.core.delivery.model import Contact, EscalationState, Incident, Recipient, Result, Severity, Stopped
from notifyflow.core.delivery.policy import CRITICAL_SCHEDULE, DEFAULT, NORMAL_SCHEDULE, VOICE_SCHEDULE, RetrySchedule
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus, IncidentSummary
from notifyflow.errors import InvalidIncident
from tests import strategies

NOW = datetime(2026, 11, 25, 2, 14, tzinfo=UTC)


def test_severities_are_ordered_by_urgency() -> None:
    assert sorted(Severity, key=lambda severity: severity.rank) == [
        Severity.CRITICAL,
        Severity.ERROR,
        Severity.WARNING,
        Severity.INFO,
    ]
    assert Severity.CRITICAL.is_above(Severity.ERROR)
    assert not Severity.ERROR.is_above(Severity.ERROR)


def test_results_are_ordered_as_the_rules_of_delivery_say() -> None:
    assert sorted(Result, key=lambda result: result.strength) == [
        Result.IN_DOUBT,
        Result.ACCEPTED,
        Result.TEMPORARY_FAILURE,
        Result.DELIVERED,
        Result.PERMANENT_FAILURE,
    ]


def test_a_phone_gives_sms_and_voice_and_an_explicit_address_wins() -> None:
    ada = Recipient(id="ada", email="a@example.com", phone="+1555", addresses={"voice": "+1666", "pager": "42"})
    assert ada.ways == {"email": "a@example.com", "sms": "+1555", "voice": "+1666", "pager": "42"}
    assert Recipient(id="bob").ways == {}


def test_a_schedule_is_found_by_channel_first_and_severity_then() -> None:
    assert DEFAULT.retries.schedule("voice", Severity.CRITICAL) is VOICE_SCHEDULE
    assert DEFAULT.retries.schedule("sms", Severity.CRITICAL) is CRITICAL_SCHEDULE
    assert DEFAULT.retries.schedule("sms", Severity.INFO) is NORMAL_SCHEDULE


def test_there_is_one_attempt_more_than_there_are_delays() -> None:
    assert (NORMAL_SCHEDULE.attempts, CRITICAL_SCHEDULE.attempts, VOICE_SCHEDULE.attempts) == (5, 5, 3)
    assert RetrySchedule(delays=()).attempts == 1


def test_a_critical_page_stays_fresh_for_longer() -> None:
    assert DEFAULT.freshness(Severity.CRITICAL) == timedelta(hours=72)
    assert DEFAULT.freshness(Severity.ERROR) == timedelta(hours=24)


def test_an_incident_is_settled_when_every_escalation_is() -> None:
    def status(*states: EscalationState) -> IncidentStatus:
        escalations = [
            EscalationFacts(
                id=state,
                incident_id="i",
                recipient_id="ada",
                round=1,
                severity=Severity.ERROR,
                policy=DEFAULT,
                started_at=NOW,
                state=state,
            )
            for state in states
        ]
        contact = Contact(recipient_id="ada", name="Ada", addresses={})
        return IncidentStatus(
            facts=IncidentFacts(id="i", key="db-1", severity=Severity.ERROR, policy=DEFAULT, opened_at=NOW, last_seen_at=NOW),
            content=Incident(key="db-1", title="down"),
            escalations=tuple(EscalationStatus(facts=facts, contact=contact, notifications=()) for facts in escalations),
            transitions=(),
        )

    settled = status(EscalationState.REACHED, EscalationState.CANCELLED)
    assert settled.is_settled
    assert [(each.recipient_id, each.state) for each in settled.escalations] == [("ada", "REACHED"), ("ada", "CANCELLED")]
    assert settled.state == IncidentSummary(facts=settled.facts, content=settled.content).state == "OPEN"
    assert not status(EscalationState.REACHED, EscalationState.ACTIVE).is_settled


@given(value=strategies.incidents | strategies.recipients)
def test_what_notify_takes_survives_pickling_copying_hashing_and_json(value: Incident | Recipient) -> None:
    as_json = json.dumps(value.to_dict())
    twins = [
        pickle.loads(pickle.dumps(value)),
        copy.copy(value),
        copy.deepcopy(value),
        replace(value),
        type(value)(**asdict(value)),
        type(value).from_dict(json.loads(as_json)),
    ]
    assert {value, *twins} == {value}
    assert {type(twin) for twin in twins} == {type(value)}


def test_what_notify_takes_keeps_a_copy_of_its_mapping_that_nobody_changes() -> None:
    labels, addresses = {"team": "orders"}, {"pager": "42"}
    incident = Incident(key="db-1", title="down", labels=labels)
    recipient = Recipient(id="ada", addresses=addresses)
    labels["team"] = addresses["pager"] = "changed"
    assert incident.labels == {"team": "orders"}
    assert recipient.addresses == {"pager": "42"}
    assert json.dumps(asdict(recipient)["addresses"]) == '{"pager": "42"}'


@pytest.mark.parametrize(
    "change",
    [
        lambda mapping: mapping.update(b="2"),
        lambda mapping: mapping.__setitem__("b", "2"),
        lambda mapping: mapping.__delitem__("a"),
        lambda mapping: mapping.__ior__({"b": "2"}),
        lambda mapping: mapping.setdefault("b", "2"),
        lambda mapping: mapping.pop("a"),
        lambda mapping: mapping.popitem(),
        lambda mapping: mapping.clear(),
    ],
)
def test_no_method_changes_a_frozen_dictionary(change: Callable[[dict[str, str]], object]) -> None:
    mapping = FrozenDict(a="1")
    with pytest.raises(TypeError, match="cannot be changed"):
        change(mapping)
    assert mapping == {"a": "1"}


def test_a_frozen_dictionary_is_hashed_copied_and_pickled_by_its_items() -> None:
    mapping = FrozenDict(a="1", b="2")
    assert hash(mapping) == hash(FrozenDict(b="2", a="1"))
    for same in (copy.deepcopy(mapping), pickle.loads(pickle.dumps(mapping))):
        assert (same, type(same)) == (mapping, FrozenDict)


def test_a_dictionary_is_read_like_an_incident_file_with_every_fault_at_once() -> None:
    with pytest.raises(InvalidIncident) as refused:
        Incident.from_dict({"key": "db-1", "titel": "down", "severity": "URGENT", "recipients": []})
    assert [fault.where for fault in refused.value.faults] == ["titel", "recipients", "title", "severity"]
    with pytest.raises(InvalidIncident) as refused:
        Recipient.from_dict({"id": "ada", "email": 5})
    assert [str(fault) for fault in refused.value.faults] == ["email: 5 is not text. Put it in quotes."]


def test_what_an_acknowledgement_or_a_resolve_did_is_true_if_it_changed_anything() -> None:
    assert Stopped(has_changed=True)
    assert not Stopped(has_changed=False)
