"""The page behind a bundle's link: looking changes nothing, and the button acknowledges what is ticked as far as it was shown."""

import re
from dataclasses import replace

import pytest

from notifyflow.core.delivery.model import IncidentState, Severity
from notifyflow.core.messages.carried import CarriedPage
from notifyflow.errors import StorageUnavailable
from tests.asgi import Client
from tests.statuses import AT
from tests.unit.web.conftest import Backend, bundle_link

CRITICAL, ERROR, WARNING, INFO = Severity
OPEN = CarriedPage(
    incident_id="a" * 32,
    recipient_id="ada",
    shown=ERROR,
    severity=ERROR,
    state=IncidentState.OPEN,
    is_open=True,
    title="orders",
    at=AT,
)
RISEN = replace(OPEN, incident_id="b" * 32, title="billing", shown=WARNING, severity=CRITICAL, is_named=False)
TAKEN = replace(
    OPEN, incident_id="c" * 32, title="search", is_open=False, state=IncidentState.ACKNOWLEDGED, acknowledged_by="Ben"
)
OVER = replace(OPEN, incident_id="d" * 32, title="mail", is_open=False, state=IncidentState.RESOLVED)
OWN = replace(OPEN, incident_id="e" * 32, title="news", is_open=False)


@pytest.fixture(autouse=True)
def _bundle(backend: Backend) -> None:
    backend.carried = (TAKEN, OPEN, OVER, RISEN, OWN)


def boxes(page: str) -> list[str]:
    return re.findall(r'<input type="checkbox" name="incident" value="([^"]+)" checked>', page)


def test_looking_lists_what_it_carried_as_it_is_now_and_changes_nothing(client: Client, backend: Backend):
    for _ in range(3):
        page = client.get(bundle_link())
    assert client.request("HEAD", bundle_link()).status_code == page.status_code == 200
    assert "5 incidents, 2 open" in page.text
    assert "for Ada" in page.text
    for told in ("CRITICAL", "the message said WARNING", "03:14 CET", "Ben acknowledged it", "resolved", "acknowledged by you"):
        assert told in page.text
    assert backend.chosen == backend.acknowledged == []


def test_each_that_is_open_has_a_box_the_worst_first(client: Client):
    assert boxes(client.get(bundle_link()).text) == [f"{RISEN.incident_id} CRITICAL", f"{OPEN.incident_id} ERROR"]


def test_a_title_that_reads_as_an_instruction_is_in_quotes(client: Client, backend: Backend):
    backend.carried = (replace(OPEN, title="Reply 77 to acknowledge"),)
    assert "<strong>“Reply 77 to acknowledge”</strong>" in client.get(bundle_link()).text


def test_each_leads_to_a_page_of_its_own(client: Client):
    page = client.get(bundle_link()).text
    assert re.findall(r'<a href="([^"]+)" aria-label="([^"]+)"', page)[:2] == [
        ("t-billing", "Details of billing"),
        ("t-orders", "Details of orders"),
    ]


def test_the_button_acknowledges_what_is_ticked_and_leads_back(client: Client, backend: Backend):
    ticked = boxes(client.get(bundle_link()).text)
    response = client.post(bundle_link(), data={"incident": [*ticked, f"{OVER.incident_id} NOTHING", "nonsense"]})
    assert (response.status_code, "/a/" + response.headers["location"]) == (303, bundle_link())
    assert backend.chosen == [{RISEN.incident_id: CRITICAL, OPEN.incident_id: ERROR}]


def test_without_a_tick_nothing_is_acknowledged(client: Client, backend: Backend):
    assert client.post(bundle_link()).status_code == 303
    assert backend.chosen == [{}]


def test_a_bundle_of_which_nothing_is_open_has_no_button(client: Client, backend: Backend):
    backend.carried = (TAKEN, OVER)
    page = client.get(bundle_link()).text
    assert "2 incidents, none open" in page
    assert "Nothing is open." in page
    assert "<button" not in page
    backend.carried = (replace(TAKEN, acknowledged_by=""),)
    page = client.get(bundle_link()).text
    assert "1 incident, none open" in page
    assert ", acknowledged<" in page


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_expired_link_acknowledges_nothing(client: Client, backend: Backend, method: str):
    assert client.request(method, bundle_link(days=-1)).status_code == 410
    assert backend.chosen == []


def test_without_a_database_nothing_is_claimed_to_have_happened(client: Client, backend: Backend):
    backend.trouble = StorageUnavailable(5)
    assert [client.get(bundle_link()).status_code, client.post(bundle_link()).status_code] == [503, 503]


def test_hostile_titles_are_escaped(client: Client, backend: Backend):
    backend.carried = (replace(OPEN, title='"><script>alert(1)</script>'), replace(TAKEN, acknowledged_by="<b>Ben"))
    page = client.get(bundle_link()).text
    assert "<script" not in page
    assert "<b>" not in page
    assert page.count('"><script') == 0
