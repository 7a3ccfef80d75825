"""The page of the message log over both databases: filters, pages, what is masked, and the export."""

import csv
import re
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import Evidence, Incident, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.insight.message_log import MessageFilter
from notifyflow.pipeline.limits.claim import claim
from notifyflow.settings import Settings
from notifyflow.web.insight import messages
from tests.asgi import Client
from tests.builders import CountingIds, HandClock, a_recipient
from tests.dashboard import ORIGIN, Visit, visit
from tests.integration.web.delivery.test_api import SilentBell
from tests.leases import record_one
from tests.log_lines import capture_logs
from tests.notifying import notify

HOSTILE = "<script>alert(1)</script>\"'&%= +"
ADDRESS = "ada.lovelace@example.com"


class System:
    """A flow that delivers nothing by itself, and its pages."""

    def __init__(self, flow: NotifyFlow) -> None:
        self.flow = flow
        self.application = flow.asgi()

    def visit(self, role: Role = Role.VIEWER, **user: Any) -> Visit:
        return visit(self.flow, role, application=self.application, **user)

    def page(self, key: str = "db-1", who: str = "ada", title: str = "down", namespace: str = "") -> str:
        """Queue a mail; return its id."""
        recipient = a_recipient(who, email=ADDRESS)
        incident = Incident(key=key, title=title, severity=Severity.ERROR)
        notify(self.flow._deps, incident, [recipient], policy=DEFAULT, namespace=namespace)
        return self.flow._service.lists.messages(MessageFilter(), before=None, limit=1).messages[0].facts.id

    def send(self, **outcome: Any) -> None:
        """Send all mails that are due."""
        found = Outcome(**({"result": Result.ACCEPTED, "evidence": Evidence.ACCEPTED} | outcome))
        for claimed in claim(self.flow._deps, "email", (), limit=99, providers=("smtp",), reporting=()).claimed:
            for each in (claimed, *claimed.carried):
                record_one(self.flow._deps, each, found)


@pytest.fixture
def system(database_url: str) -> Iterator[System]:
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": database_url, "NOTIFYFLOW_PUBLIC_URL": ORIGIN})
    with NotifyFlow(settings, clock=HandClock(), ids=CountingIds(), bell=SilentBell()) as flow:
        yield System(flow)


def test_a_message_is_shown_with_all_that_is_known_of_it(system: System) -> None:
    system.page(title="orders db is down")
    system.send(provider_ref="<r1@host>", code="250")
    page = system.visit().get("/messages")
    assert page.status_code == 200
    for text in (
        "Ada",
        "orders db is down",
        "db-1",
        "sent",
        "smtp",
        "&lt;r1@host&gt;",
        "accepted by the provider",
        "03:00:00",
    ):
        assert text in page.text
    assert ADDRESS not in page.text
    assert "&#39;ada…&#39; (24 characters)" in page.text
    assert 'data-live="watching"' in page.text


def test_a_message_about_several_says_so_and_what_waits_for_others_says_until_when(system: System) -> None:
    for number in range(3):
        system.page(f"db-{number}")
        system.send()
    visit = system.visit()
    page = visit.get("/messages").text
    assert "waits for others until" in page
    assert "in one mail" not in page
    system.flow._deps.clock.pass_time(timedelta(seconds=61))
    system.page("db-3")
    system.send()
    page = visit.get("/messages").text
    assert page.count("told in one mail with 1 other") == 2
    assert "waits for others until" not in page
    found = {row["key"]: (row["position"], row["is_named"]) for row in rows(visit.get("/messages.csv").text)}
    assert found == {"db-0": ("", "True"), "db-1": ("", "True"), "db-2": ("0", "True"), "db-3": ("1", "True")}


def test_a_page_asks_often_while_a_message_moves(system: System) -> None:
    browser = system.visit()
    assert "No message was queued yet." in browser.get("/messages").text
    system.page()
    assert 'data-live="moving"' in browser.get("/messages").text


def test_a_page_is_sent_again_only_when_a_message_has_changed(system: System) -> None:
    system.page()
    browser = system.visit()
    known = {"if-none-match": browser.get("/messages").headers["etag"]}
    assert browser.request("GET", "/messages", headers=known).status_code == 304
    system.send()
    assert browser.request("GET", "/messages", headers=known).status_code == 200


def test_a_filter_stands_in_the_url_and_in_the_form(system: System) -> None:
    system.page("db-1", "ada")
    system.page("db-2", "ben")
    browser = system.visit()
    page = browser.get(
        "/messages?recipient=ben&state=QUEUED&channel=email&since=2026-11-25T02:00&until=2026-11-25T04:00&ref="
    ).text
    assert "db-2" in page
    assert "db-1" not in page
    for field in ('value="ben"', '<option value="QUEUED" selected>', 'value="2026-11-25T02:00"'):
        assert field in page
    assert "No message is like this." in browser.get("/messages?state=FAILED").text
    assert "No message is like this." in browser.get("/messages?ref=unknown").text


def test_times_are_in_the_zone_of_the_visitor(system: System) -> None:
    system.page("db-1")
    browser = system.visit()
    known = browser.get("/messages").headers["etag"]
    browser.cookies["notifyflow_zone"] = "Asia/Kolkata"
    page = browser.request("GET", "/messages", headers={"if-none-match": known})
    assert page.status_code == 200
    assert "Wed 25 Nov 08:30:00" in page.text
    assert "times in Asia/Kolkata" in page.text
    assert "db-1" in browser.get("/messages?recipient=ada&since=2026-11-25T08:29").text
    assert "No message is like this." in browser.get("/messages?recipient=ada&since=2026-11-25T08:31").text
    assert len(rows(browser.get("/messages.csv?recipient=ada&until=2026-11-25T08:31").text)) == 1


@pytest.mark.parametrize("query", ["state=lost", "evidence=x", "since=yesterday", "unknown=1", f"key={'x' * 256}", "cursor=abc"])
def test_a_filter_that_is_not_known_is_refused(system: System, query: str) -> None:
    browser = system.visit()
    assert browser.get(f"/messages?{query}").status_code == 422
    assert "cursor" in query or browser.get(f"/messages.csv?{query}").status_code == 422


def test_older_messages_follow_page_by_page(system: System) -> None:
    for number in range(5):
        system.page(f"db-{number}")
    browser, address, seen = system.visit(), "/messages?limit=2", []
    while address:
        page = browser.get(address).text
        seen += re.findall(r'<span class="detail">(db-\d)</span>', page)
        older = re.search(r'href="messages(\?[^"]+)" rel="next"', page)
        address = f"/messages{older[1].replace('&amp;', '&')}" if older else ""
        if seen and len(seen) > 2:
            assert 'id="live"' not in page
    assert seen == ["db-4", "db-3", "db-2", "db-1", "db-0"]


def test_a_visitor_sees_only_the_messages_of_their_namespaces(system: System) -> None:
    hidden = system.page("db-1")
    shown = system.page("db-2", namespace="web")
    browser = system.visit(Role.ADMIN, namespaces=frozenset({"web"}))
    for address in ("/messages", "/messages.csv", "/messages?recipient=ada", "/messages?key=db-1"):
        text = browser.get(address).text
        assert hidden not in text
        assert ("db-2" in text) is ("key" not in address)
    assert browser.send("/messages", "/messages/reveal", notification=hidden).status_code == 404
    assert browser.send("/messages", "/messages/reveal", notification=shown).status_code == 200


def test_an_admin_reveals_an_address_and_that_is_logged(system: System) -> None:
    id_ = system.page()
    browser = system.visit(Role.ADMIN)
    assert f'value="{id_}">show</button>' in browser.get("/messages").text
    with capture_logs() as lines:
        page = browser.send("/messages", "/messages/reveal", notification=id_)
    assert ADDRESS in page.text
    assert page.headers["cache-control"] == "no-store"
    (line,) = (line for line in lines if line["event"] == "web.address_revealed")
    assert (line["notification_id"], line["recipient_id"], line["user_id"]) == (id_, "ada", browser.user_id)
    assert browser.send("/messages", "/messages/reveal", notification="x").status_code == 404
    assert browser.send("/messages", "/messages/reveal").status_code == 404
    responder = system.visit(Role.RESPONDER)
    assert ">show</button>" not in responder.get("/messages").text
    assert responder.send("/messages", "/messages/reveal", notification=id_).status_code == 403


def test_hostile_values_stay_text(system: System) -> None:
    system.page(HOSTILE.strip(), HOSTILE.strip(), HOSTILE)
    system.send(result=Result.PERMANENT_FAILURE, evidence=None, code=HOSTILE, reason=HOSTILE, provider_ref=HOSTILE)
    browser = system.visit()
    page = browser.get("/messages").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    found = browser.request("GET", "/messages", params={"recipient": HOSTILE.strip(), "reason": HOSTILE.strip()}).text
    assert "<script>alert" not in found
    assert "alert(1)" in found


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


def test_an_export_has_a_row_for_each_attempt_with_masked_addresses(system: System) -> None:
    system.page(title="=1+1")
    system.send(result=Result.TEMPORARY_FAILURE, evidence=None, code="450", reason="try later")
    system.page("db-2")
    browser = system.visit()
    with capture_logs() as lines:
        response = browser.get("/messages.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="notifyflow-messages.csv"'
    assert response.headers["cache-control"] == "no-store"
    second, first = rows(response.text)
    assert (first["key"], first["state"], first["result"], first["code"], first["meaning"]) == (
        *("db-1", "QUEUED", "temporary_failure"),
        *("450", "try later"),
    )
    assert first["address"] == "'ada…' (24 characters)"
    assert (second["key"], second["attempt"], second["result"]) == ("db-2", "", "")
    assert ADDRESS not in response.text
    (line,) = (line for line in lines if line["event"] == "web.messages_exported")
    assert (line["user_id"], line["fields"]) == (browser.user_id, [])


def test_no_cell_of_an_export_is_a_formula(system: System) -> None:
    system.page("=cmd|' /C calc'!A0", "@ada")
    system.send(code="+1", reason="-1", provider_ref="=1")
    (row,) = rows(system.visit().get("/messages.csv").text)
    assert not [cell for cell in row.values() if cell[:1] in tuple("=+-@")]
    assert (row["key"], row["recipient"], row["code"]) == ("'=cmd|' /C calc'!A0", "'@ada", "'+1")


def test_an_export_is_read_and_sent_chunk_by_chunk(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "_IN_A_CHUNK", 2)
    for number in range(5):
        system.page(f"db-{number}")
    reads: list[int] = []
    read = system.flow._service.lists.messages

    def counted(wanted: MessageFilter, *, before: str | None, limit: int) -> Any:
        found = read(wanted, before=before, limit=limit)
        reads.append(len(found.messages))
        return found

    monkeypatch.setattr(system.flow._service.lists, "messages", counted)
    browser = system.visit()
    chunks = chunks_of(browser, "/messages.csv")
    assert reads == [2, 2, 1]
    assert [len(rows(",".join(messages._COLUMNS) + "\n" + chunk)) for chunk in chunks[1:]] == [2, 2, 1]
    assert len(rows(browser.get("/messages.csv?key=db-3").text)) == 1


def chunks_of(browser: Client, path: str) -> list[str]:
    """Return the parts of a response as they are sent."""
    import asyncio

    sent: list[bytes] = []
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())  # type: ignore[attr-defined]
    scope = {
        **{"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": ""},
        **{"headers": [(b"cookie", cookie.encode()), (b"host", b"notify.example")], "scheme": "https", "http_version": "1.1"},
        **{"server": ("notify.example", 443), "client": ("127.0.0.1", 1)},
    }

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            sent.append(message["body"])

    asyncio.run(browser.application(scope, receive, send))
    return [each.decode() for each in sent]
