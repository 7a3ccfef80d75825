import json
from dataclasses import replace
from datetime import timedelta

from notifyflow.core.delivery.chain import place
from notifyflow.core.delivery.model import NotificationState, Result
from notifyflow.core.insight.list_documents import IncidentLineDocument, MessageDocument
from notifyflow.core.insight.message_log import LoggedMessage
from notifyflow.core.insight.schemas import IncidentSummaryDocument
from notifyflow.core.insight.views import IncidentLine, IncidentSilence, IncidentSummary, RecipientCounts
from tests.chains import chain
from tests.statuses import AT, FACTS, INCIDENT, attempt, notification

LINE = IncidentLine(
    facts=FACTS,
    title=INCIDENT.title,
    labels={"team": "orders"},
    source="",
    url=INCIDENT.url,
    occurred_at=AT,
    counts=RecipientCounts(recipients=3, reached=1, failed=2, critical=1, failed_pages=4),
)
SMS = notification("sms", NotificationState.FAILED, attempt(1, Result.PERMANENT_FAILURE, "no such number", "21211"))


def test_a_line_of_the_list_is_a_summary_with_whom_it_reached() -> None:
    document = IncidentLineDocument.of(LINE).as_json()
    assert json.loads(json.dumps(document)) == document
    summary = IncidentSummaryDocument.of(IncidentSummary(facts=FACTS, content=INCIDENT)).as_json()
    assert document.keys() - summary.keys() == {"recipients", "reached", "failed", "critical", "failed_pages", "chain", "silence"}
    assert document["state"] == LINE.state
    assert (document["key"], document["source"], document["reached"], document["failed_pages"]) == ("db-1", None, 1, 4)


def test_a_line_of_the_list_says_how_far_its_chain_has_come_and_who_is_next() -> None:
    reached = replace(place(chain().steps), people={"ben": "Ben"})
    documents = [
        IncidentLineDocument.of(replace(LINE, chain=each)).as_json() for each in (reached, replace(reached, following=None))
    ]
    assert [each["chain"] for each in documents] == [
        {"step": 1, "steps": 3, "next_at": "2026-11-25T02:24:03Z", "next": ["ben"]},
        {"step": 1, "steps": 3, "next_at": None, "next": ["ben"]},
    ]
    assert IncidentLineDocument.of(LINE).as_json()["chain"] is None


def test_a_line_of_the_list_says_what_silences_it() -> None:
    silence = IncidentSilence(silence_id="s-1", began_at=AT, ended_at=AT + timedelta(hours=2), author="Grace", reason="upgrade")
    assert IncidentLineDocument.of(LINE).as_json()["silence"] is None
    assert IncidentLineDocument.of(replace(LINE, silence=silence)).as_json()["silence"] == {
        **{"silence_id": "s-1", "author": "Grace", "reason": "upgrade"},
        **{"began_at": "2026-11-25T02:14:03Z", "ended_at": "2026-11-25T04:14:03Z"},
    }


def test_a_message_has_its_recipient_and_its_incident_and_no_address() -> None:
    message = LoggedMessage(facts=SMS, recipient_id="ada", name="Ada", address="+15005550006", key="db-1", title="down")
    document = MessageDocument.of(message).as_json()
    assert json.loads(json.dumps(document)) == document
    assert (document["recipient"], document["recipient_name"], document["key"], document["title"]) == (
        "ada",
        "Ada",
        "db-1",
        "down",
    )
    assert (document["state"], document["attempts"][0]["code"]) == ("FAILED", "21211")
    assert document["address"] == "'+15…' (12 characters)"


def test_an_address_that_is_forgotten_is_null() -> None:
    message = LoggedMessage(facts=SMS, recipient_id="ada", name="forgotten", address="", key="db-1", title="forgotten")
    assert MessageDocument.of(message).as_json()["address"] is None
