from dataclasses import replace

import pytest

from notifyflow.core.delivery.model import EscalationState, Kind, NotificationState, Severity
from notifyflow.core.delivery.policy import Acknowledgement
from notifyflow.core.insight.views import EscalationStatus
from notifyflow.errors import NotFound, StorageUnavailable
from tests.asgi import Client
from tests.statuses import ACKNOWLEDGED, INCIDENT, INCIDENT_ID, OPEN, RESOLVED, escalation, notification
from tests.unit.web.conftest import Backend, link

CANCELLED, SENDING, SENT = NotificationState.CANCELLED, NotificationState.SENDING, NotificationState.SENT


def test_looking_shows_the_incident_and_acknowledges_nothing(client: Client, backend: Backend):
    for _ in range(3):
        page = client.get(link())
    assert page.status_code == 200
    for text in ("CRITICAL", "orders db is down", "Writes fail.", "grafana", "orders", "03:14 CET", "02:14 UTC", "Acknowledge"):
        assert text in page.text
    assert backend.acknowledged == []


def test_a_mail_scanner_that_only_requests_the_head_acknowledges_nothing(client: Client, backend: Backend):
    assert client.request("HEAD", link()).status_code == 200
    assert backend.acknowledged == []


def test_the_clicked_button_acknowledges_it_and_leads_back_to_the_page(client: Client, backend: Backend):
    response = client.post(link())
    assert response.status_code == 303
    assert backend.acknowledged == [(INCIDENT_ID, "ada")]
    page = client.get("/a/" + response.headers["location"])
    assert "You acknowledged it." in page.text
    assert "<button" not in page.text


def test_the_button_acknowledges_no_more_than_its_page_showed(client: Client, backend: Backend):
    assert 'name="shown" value="CRITICAL"' in client.get(link()).text
    client.post(link(), data={"shown": "CRITICAL"})
    client.post(link(), data={"shown": "nonsense"})
    client.post(link())
    assert backend.shown == [Severity.CRITICAL, None, None]


def test_clicking_twice_is_as_good_as_once(client: Client):
    assert [client.post(link()).status_code for _ in range(2)] == [303, 303]


def test_the_others_see_who_has_it(client: Client, backend: Backend):
    backend.incidents[INCIDENT_ID] = ACKNOWLEDGED
    page = client.get(link("ben"))
    assert "Ada acknowledged it." in page.text
    assert "Acknowledged with the link on Wed 25 Nov 03:14 CET (02:14 UTC)" in page.text


def test_the_page_counts_the_pages_that_were_cancelled_and_already_sent(client: Client, backend: Backend):
    assert "No more pages are sent." in _page_of(client, backend, "ada")
    cancelled, sent, update = (notification("sms", state) for state in (CANCELLED, SENT, SENT))
    others = (
        escalation("ben", cancelled, sent, replace(sent, state=SENDING), replace(update, kind=Kind.STATUS_UPDATE)),
        escalation("cy", cancelled),
    )
    text = "No more pages are sent: 2 pages were cancelled, 2 were already on their way to others."
    assert text in _page_of(client, backend, "ada", *others)
    one = escalation("cy", sent)
    assert "No more pages are sent: 1 was already on its way to others." in _page_of(client, backend, "ada", one)
    assert "No more pages are sent: 1 page was cancelled." in _page_of(client, backend, "ada", others[1])


def _page_of(client: Client, backend: Backend, who: str, *others: EscalationStatus) -> str:
    own = escalation(who, notification("email", SENT))
    backend.incidents[INCIDENT_ID] = replace(ACKNOWLEDGED, escalations=(own, *others))
    return client.get(link(who)).text


def test_a_resolved_incident_says_that_it_is_over(client: Client, backend: Backend):
    backend.incidents[INCIDENT_ID] = RESOLVED
    assert "This incident is resolved." in client.get(link()).text


def test_an_announcement_is_acknowledged_by_each_reader(client: Client, backend: Backend):
    mine, other = OPEN.escalations
    policy = replace(mine.facts.policy, acknowledgement=Acknowledgement.EACH)
    unread = replace(mine, facts=replace(mine.facts, policy=policy))
    backend.incidents[INCIDENT_ID] = replace(OPEN, escalations=(unread, other))
    assert "You get no more pages for it." in client.get(link()).text
    read = replace(unread, facts=replace(unread.facts, state=EscalationState.ACKNOWLEDGED))
    backend.incidents[INCIDENT_ID] = replace(OPEN, escalations=(read, other))
    page = client.get(link())
    assert "You acknowledged it." in page.text
    assert "<button" not in page.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_expired_link_says_what_to_do_instead(client: Client, backend: Backend, method: str):
    page = client.request(method, link(days=-1))
    assert page.status_code == 410
    assert "This link has expired." in page.text
    assert "newest message" in page.text
    assert backend.acknowledged == []


@pytest.mark.parametrize("token", ["nonsense", "a" * 500, "AAAA%C3%A4"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_that_we_never_signed_is_refused(client: Client, backend: Backend, method: str, token: str):
    page = client.request(method, f"/a/{token}")
    assert page.status_code == 404
    assert "This link is invalid." in page.text
    assert "or run <code>notifyflow ack KEY</code>." in page.text
    assert backend.acknowledged == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_link_with_a_nul_character_is_refused_before_it_is_read(client: Client, backend: Backend, method: str):
    page = client.request(method, "/a/%00")
    assert page.status_code == 422
    assert backend.acknowledged == []


def test_a_link_to_a_deleted_incident_says_so(client: Client, backend: Backend):
    for method in ("GET", "POST"):
        page = client.request(method, link(incident_id="f" * 32))
        assert page.status_code == 404
        assert "has been deleted" in page.text
        assert client.request(method, link("eve")).status_code == 404
    assert backend.acknowledged == []


def test_an_incident_that_is_pruned_meanwhile_has_been_deleted(client: Client, backend: Backend):
    backend.trouble = NotFound(INCIDENT_ID)
    page = client.post(link())
    assert page.status_code == 404
    assert "has been deleted" in page.text


def test_operations_acknowledges_an_incident_it_was_paged_about(client: Client, backend: Backend):
    assert client.get(link("ops")).status_code == 404
    backend.incidents[INCIDENT_ID] = replace(OPEN, operations_key="notifyflow/operations")
    page = client.get(link("ops"))
    assert page.status_code == 200
    assert "orders db is down" in page.text
    assert "Acknowledge" in page.text
    assert backend.acknowledged == []
    assert client.post(link("ops")).status_code == 303
    assert backend.acknowledged == [(INCIDENT_ID, "ops")]


def test_operations_acknowledges_an_announcement_for_everybody(client: Client, backend: Backend):
    each = replace(OPEN.facts, policy=replace(OPEN.facts.policy, acknowledgement=Acknowledgement.EACH))
    backend.incidents[INCIDENT_ID] = replace(OPEN, facts=each, operations_key="notifyflow/operations")
    assert "Acknowledge" in client.get(link("ops")).text


def test_without_a_database_nothing_is_claimed_to_have_happened(client: Client, backend: Backend):
    backend.trouble = StorageUnavailable(5)
    for response in (client.get(link()), client.post(link())):
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
        assert "The database is unavailable." in response.text


def test_words_that_read_as_an_instruction_are_in_quotes(client: Client, backend: Backend):
    hostile = replace(INCIDENT, title="Reply 77 to acknowledge", body="It is slow.\nPress 1 twice")
    backend.incidents[INCIDENT_ID] = replace(OPEN, content=hostile)
    page = client.get(link()).text
    assert "<h1>“Reply 77 to acknowledge”</h1>" in page
    assert "It is slow.\n“Press 1 twice”" in page


def test_hostile_text_is_escaped(client: Client, backend: Backend):
    hostile = replace(
        INCIDENT, title='</title><script>alert("x")</script>', body="<img src=x onerror=alert(1)>", labels={"<b>": "</dd>"}
    )
    backend.incidents[INCIDENT_ID] = replace(OPEN, content=hostile)
    page = client.get(link()).text
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page
