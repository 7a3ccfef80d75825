import json
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from notifyflow.core.accounts.account_documents import ApiKeyDocument
from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.delivery.facts import Transition
from notifyflow.core.delivery.model import Kind, NotificationState, Notified
from notifyflow.core.insight.list_documents import FindingDocument
from notifyflow.core.insight.next_events import NextEvent, NextEventKind, NextEvents
from notifyflow.core.insight.report_document import IncidentReportDocument
from notifyflow.core.insight.schemas import (
    FaultDocument,
    IncidentDocument,
    IncidentSummaryDocument,
    NotifiedDocument,
    PauseDocument,
    SilenceDocument,
)
from notifyflow.core.insight.timeline import timeline
from notifyflow.core.insight.views import IncidentSummary
from notifyflow.core.intake.inbound_log import InboundReason
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.limits.silences import AuthorKind, Silence, read_matchers
from notifyflow.core.upkeep.audit import Finding, Rule
from notifyflow.errors import Fault
from tests.facts import inbound_entry
from tests.statuses import ACKNOWLEDGED, AT, EVENT, OPEN, notification


@pytest.mark.parametrize(("namespaces", "shown"), [(None, None), (frozenset({"b", "a"}), ["a", "b"])])
def test_a_silence_has_its_matchers_in_one_line(namespaces: frozenset[str] | None, shown: list[str] | None):
    silence = Silence(
        id="s-1",
        matchers=read_matchers(["team=orders"]),
        reason="upgrade",
        begins_at=AT,
        ends_at=AT + timedelta(hours=2),
        created_at=AT,
        author_kind=AuthorKind.COMMAND,
        author_id="",
        author="Grace",
        namespaces=namespaces,
    )
    document = SilenceDocument.of(silence)
    assert SilenceDocument.of(document.as_json()) == document
    assert document.as_json() == {
        **{"id": "s-1", "match": "team=orders severity<=ERROR", "namespaces": shown, "reason": "upgrade"},
        **{"begins_at": "2026-11-25T02:14:03Z", "ends_at": "2026-11-25T04:14:03Z", "ended_at": None, "ended_by": None},
        **{"author": "Grace", "author_kind": "command", "warnings": []},
    }
    (warned,) = SilenceDocument.of_all([silence], {"s-1": ["Nothing has had the label team."], "s-2": ["another"]})
    assert warned.as_json() == document.as_json() | {"warnings": ["Nothing has had the label team."]}


def test_a_status_is_a_document_of_plain_values():
    move = Transition(
        machine="incident", row_id="i", version=1, event="started", source="", target="OPEN", at=AT, detail={"by": "x"}
    )
    document = IncidentDocument.of(replace(OPEN, transitions=(move,))).as_json()
    assert json.loads(json.dumps(document)) == document
    assert (document["key"], document["state"], document["policy"]) == ("db-1", "OPEN", "default")
    assert document["is_settled"] is False
    ada, ben = document["escalations"]
    assert (ada["recipient"], ada["recipient_name"], ada["state"]) == ("ada", "Ada", "REACHED")
    assert ben["notifications"][0]["attempts"][0]["code"] == "404"
    assert document["transitions"] == [
        {
            **{"at": "2026-11-25T02:14:03Z", "machine": "incident", "row": "i", "event": "started"},
            **{"source": None, "target": "OPEN", "detail": {"by": "x"}},
        }
    ]


def test_instants_are_in_utc_with_z():
    document = IncidentDocument.of(
        replace(OPEN, facts=replace(OPEN.facts, last_seen_at=AT + timedelta(milliseconds=1)))
    ).as_json()
    assert (document["opened_at"], document["last_seen_at"]) == ("2026-11-25T02:14:03Z", "2026-11-25T02:14:03.001000Z")


def test_a_value_that_is_not_set_is_null_and_only_the_empty_namespace_is_an_empty_text():
    bare = replace(OPEN, content=replace(OPEN.content, body="", source=None, url="", labels=None))
    document = IncidentDocument.of(bare).as_json()
    assert {name for name, value in document.items() if value == ""} == {"namespace"}
    assert (document["body"], document["source"], document["url"], document["labels"]) == (None, None, None, {})
    assert document["acknowledged_by"] is None
    assert document["escalations"][0]["notifications"][0]["attempts"][0]["provider_ref"] is None


def test_the_severity_is_the_incidents_own_and_not_that_of_its_last_report():
    document = IncidentDocument.of(replace(OPEN, content=replace(OPEN.content, severity="INFO"))).as_json()
    assert document["severity"] == "CRITICAL"


def test_an_event_for_a_subscriber_has_its_delivery():
    row = replace(notification("webhook", NotificationState.QUEUED), kind=Kind.INCIDENT_EVENT, tier=None, incident_event=EVENT)
    (event,) = IncidentDocument.of(replace(OPEN, incident_events=(row,))).as_json()["incident_events"]
    assert (event["subscriber"], event["event"]) == ("status", "opened")
    assert (event["notification"]["state"], event["notification"]["attempts"]) == ("QUEUED", [])


def test_a_list_shows_the_fields_of_the_whole_that_a_summary_has():
    whole = IncidentDocument.of(ACKNOWLEDGED).as_json()
    for value in (ACKNOWLEDGED, IncidentSummary(facts=ACKNOWLEDGED.facts, content=ACKNOWLEDGED.content)):
        summary = IncidentSummaryDocument.of(value).as_json()
        assert summary.items() <= whole.items()
        assert (summary["acknowledged_by"], summary["acknowledged_via"]) == ("ada", "link")


def test_a_summary_is_not_shown_as_a_whole_incident():
    with pytest.raises(ValidationError, match="escalations"):
        IncidentDocument.of(IncidentSummary(facts=OPEN.facts, content=OPEN.content))


def test_what_notify_did_is_a_document_with_its_faults():
    value = Notified(incident_id="i", is_new=True, added=("ada",), faults=(Fault("recipients[1].phone", "is none", "Give one"),))
    assert NotifiedDocument.of(value).as_json() == {
        "incident_id": "i",
        "is_new": True,
        "added": ["ada"],
        "added_count": 1,
        "repeated": [],
        "repeated_count": 0,
        "faults": [{"where": "recipients[1].phone", "what": "is none", "remedy": "Give one"}],
    }


def test_a_fault_at_a_name_that_utf_8_cannot_encode_can_be_written():
    assert json.dumps(FaultDocument.of(Fault("labels.\ud800", "is none", "Give one")).as_json(), ensure_ascii=False).encode()


def test_a_pause_of_everything_has_no_name():
    pause = Pause(scope=PauseScope.ALL, name="", ends_at=AT, paused_at=AT, paused_by="ada")
    assert PauseDocument.of(pause).as_json() == {
        **{"scope": "all", "name": None, "ends_at": "2026-11-25T02:14:03Z", "paused_at": "2026-11-25T02:14:03Z"},
        **{"paused_by": "ada", "is_for_critical": False},
    }


def test_a_key_is_shown_without_its_hash():
    key = ApiKey(id="k", name="pager", scopes=frozenset({KeyScope.READ, KeyScope.INGEST}), digest="0123", created_at=AT)
    document = ApiKeyDocument.of(key).as_json()
    assert document["scopes"] == ["ingest", "read"]
    assert "0123" not in str(document)


def test_a_finding_names_its_row():
    finding = Finding(rule=Rule.STATE, machine="incident", row_id="i", incident_id="i", what="is wrong")
    assert FindingDocument.of(finding).as_json() == {
        **{"rule": "state", "machine": "incident", "row": "i", "incident_id": "i", "what": "is wrong"},
    }


def test_a_document_is_read_back_from_its_json():
    row = replace(notification("webhook", NotificationState.QUEUED), kind=Kind.INCIDENT_EVENT, tier=None, incident_event=EVENT)
    incident = IncidentDocument.of(replace(OPEN, incident_events=(row,)))
    notified = NotifiedDocument.of(Notified(incident_id="i", is_new=True, added=("ada",)))
    assert IncidentDocument.model_validate_json(json.dumps(incident.as_json())) == incident
    assert NotifiedDocument.model_validate_json(json.dumps(notified.as_json())) == notified


def test_a_report_has_what_came_in_what_happened_and_what_comes_next():
    lines = [
        Transition(machine=machine, row_id=row, version=1, event=event, source="", target=target, at=AT, detail=detail)
        for machine, row, event, target, detail in (
            ("incident", OPEN.facts.id, "opened", "OPEN", {}),
            ("notification", "n-slack", "refused_for_good", "FAILED", {"attempt": "a1", "code": "404"}),
        )
    ]
    status = replace(OPEN, transitions=tuple(lines), arrivals=(inbound_entry(why=InboundReason.NO_ROUTE, route=""),))
    coming = NextEvent(what=NextEventKind.TIER, at=AT, channels=("sms",), tier=2)
    report = IncidentReportDocument.of_all(
        status, NextEvents(escalations={"e-ben": (coming,)}, now=AT), timeline(status, explain=lambda channel, code: "gone")
    )
    document = report.as_json()
    assert json.loads(json.dumps(document)) == document
    assert document.items() >= IncidentDocument.of(status).as_json().items()
    (next_,) = document["next"]
    assert (next_["recipient"], next_["what"], next_["text"]) == ("ben", "tier", "text now")
    opened, refused = document["timeline"]
    assert (opened["machine"], opened["recipient"], opened["tone"]) == ("incident", None, "plain")
    assert (refused["recipient"], refused["channel"], refused["code"]) == ("ben", "slack", "404")
    assert refused["text"] == "Slack message to Ben refused (slack): gone (404)"
    (came_in,) = document["arrivals"]
    assert (came_in["did"], came_in["why"], came_in["route"], came_in["left_out"]) == ("opened", "no_route", None, None)
    assert came_in["text"].startswith("through Alertmanager with the key prometheus: opened it")
