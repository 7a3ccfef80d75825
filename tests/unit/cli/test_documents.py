import json
from dataclasses import replace

from notifyflow.cli import documents
from notifyflow.core.facts import Transition
from notifyflow.core.model import Kind, NotificationState, Notified
from notifyflow.errors import Fault
from tests.statuses import ACKNOWLEDGED, AT, EVENT, OPEN, notification


def test_a_status_is_a_document_of_plain_values():
    move = Transition(
        machine="incident", row_id="i", version=1, event="started", source="", target="OPEN", at=AT, detail={"by": "x"}
    )
    document = json.loads(json.dumps(documents.status(replace(OPEN, transitions=(move,)))))
    assert document["key"] == "db-1"
    assert document["state"] == "OPEN"
    assert document["is_settled"] is False
    assert document["opened_at"] == "2026-11-25T02:14:03+00:00"
    assert document["acknowledged_by"] is None
    ada, ben = document["escalations"]
    assert (ada["recipient"], ada["state"], ben["notifications"][0]["attempts"][0]["code"]) == ("ada", "REACHED", "404")
    assert document["transitions"][0]["target"] == "OPEN"


def test_what_other_systems_were_told_is_in_the_document():
    row = replace(notification("webhook", NotificationState.QUEUED), kind=Kind.INCIDENT_EVENT, tier=None, incident_event=EVENT)
    (told,) = documents.status(replace(OPEN, incident_events=(row,)))["incident_events"]
    assert (told["subscriber"], told["event"], told["state"], told["attempts"]) == ("status", "opened", "QUEUED", [])


def test_who_acknowledged_it_is_in_the_document():
    document = documents.status(ACKNOWLEDGED)
    assert (document["acknowledged_by"], document["acknowledged_via"]) == ("ada", "link")


def test_what_notify_did_is_a_document_with_its_faults():
    value = Notified(incident_id="i", is_new=True, added=("ada",), faults=(Fault("recipients[1].phone", "is none", "Give one"),))
    assert documents.notified(value) == {
        "incident_id": "i",
        "is_new": True,
        "added": ["ada"],
        "repeated": [],
        "faults": [{"where": "recipients[1].phone", "what": "is none", "remedy": "Give one"}],
    }
