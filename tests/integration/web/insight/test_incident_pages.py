"""The pages *Incidents* and *One incident*: what became of a page is found by following links, as somebody at night would."""

import html
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest
from rich.console import Console

from notifyflow import web
from notifyflow.cli.frame.picture import picture
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.model import Incident, IncidentState, NotificationState, Recipient, Severity, Step
from notifyflow.core.limits.pauses import PauseScope
from notifyflow.testing import Driver
from notifyflow.web.frame.times import COOKIE, SAFE_COOKIE
from tests.dashboard import ORIGIN, Visit, visit

ADA = Recipient(id="ada", name="Ada", email="ada@example.com", phone="+15005550011")
BEN = Recipient(id="ben", name="Ben", email="ben@example.com", phone="+15005550012")
DOWN = Incident(key="db-1", title="orders db is down", severity=Severity.CRITICAL, source="grafana", labels={"team": "orders"})
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'{{7*7}}"
DIRECTORY = """
[recipients.ada]
email = "ada@example.com"

[default]
to = ["ada"]
"""


class Walk:
    """Somebody who looks at one page after the other."""

    def __init__(self, browser: Visit) -> None:
        self.browser = browser
        self.place = "/incidents"
        self.page = browser.get(self.place).text
        self.clicks = 0

    def click(self, name: str) -> None:
        """Follow the first link of a name."""
        links = re.findall(r'<a [^>]*?href="([^"]+)"[^>]*>(.*?)</a>', self.page)
        address = next(address for address, text in links if html.unescape(text) == name)
        self.place = urljoin(self.place, html.unescape(address))
        response = self.browser.get(self.place.partition("#")[0])
        assert response.status_code == 200
        self.page = response.text
        self.clicks += 1

    @property
    def words(self) -> str:
        """The text of the page, single-spaced."""
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", self.page)).split())


def driver_with(folder: Path, **variables: str) -> Driver:
    settings = {f"NOTIFYFLOW_{name}": value for name, value in variables.items()}
    return Driver({"NOTIFYFLOW_PUBLIC_URL": ORIGIN, **settings}, folder=folder)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    with driver_with(tmp_path) as driver:
        yield driver


def walk(driver: Driver, role: Role = Role.VIEWER) -> Walk:
    return Walk(visit(driver.flow, role))


def address_of(driver: Driver, key: str = "db-1") -> str:
    return f"/incidents/{driver.flow.status(key).facts.id}"


def test_a_landline_is_named_as_why_the_text_failed(driver: Driver) -> None:
    driver.sandbox.script("email: 550; sms: 30006; call: rings")
    driver.flow.notify(DOWN, [ADA])
    driver.advance(seconds=30)
    seen = walk(driver)
    assert "✕ 2 pages failed" in seen.words
    seen.click("orders db is down")
    assert "cannot be reached (30006)" in seen.words
    assert "the call went out instead" in seen.words
    assert seen.clicks == 1


def test_a_provider_that_refuses_us_is_no_fault_of_the_recipient(driver: Driver) -> None:
    driver.sandbox.script("sms: 401")
    driver.flow.notify(DOWN, [Recipient(id="ada", name="Ada", addresses={"sms": "+15005550011"})])
    driver.advance(seconds=1)
    seen = walk(driver)
    seen.click("orders db is down")
    assert "our credentials are not accepted" in seen.words or "refuses" in seen.words
    assert "the provider refuses us, not the recipient" in seen.words
    assert seen.clicks == 1


def test_a_page_that_a_limit_defers_says_until_when(tmp_path: Path) -> None:
    with driver_with(tmp_path, PROVIDER_LIMITS="smtp=1") as driver:
        for number in (1, 2):
            driver.flow.notify(
                Incident(key=f"db-{number}", title=f"db {number} is down"), [Recipient(id="ada", email="ada@example.com")]
            )
        driver.advance(seconds=2)
        seen = walk(driver)
        (waiting,) = (
            f"db {number} is down"
            for number in (1, 2)
            if driver.flow.status(f"db-{number}").escalations[0].notifications[0].state is NotificationState.QUEUED
        )
        seen.click(waiting)
        assert "(attempt 1: deferred by a limit)" in seen.words
        assert seen.clicks == 1


def test_a_recipient_who_sent_stop_is_named_as_why_no_text_left(driver: Driver) -> None:
    earlier = Incident(key="disk-1", title="orders disk is full", severity=Severity.CRITICAL)
    driver.flow.notify(earlier, [Recipient(id="ada", name="Ada", addresses={"sms": "+15005550011"})])
    driver.run_until_settled()
    driver.sandbox.reply("+15005550011", "STOP")
    driver.flow.resolve("disk-1", by="ada")
    driver.flow.notify(DOWN, [ADA])
    driver.sandbox.script("email: 550; call: rings")
    driver.advance(seconds=1)
    seen = walk(driver)
    seen.click("orders db is down")
    assert "STOP" in seen.words
    assert seen.clicks == 1


def test_an_acknowledged_incident_says_why_an_alert_paged_nobody_again(tmp_path: Path) -> None:
    directory = tmp_path / "directory.toml"
    directory.write_text(DIRECTORY)
    with driver_with(tmp_path, DIRECTORY=str(directory)) as driver:
        _, secret = driver.flow.access().create("prometheus", [KeyScope.INGEST], valid_for=None)
        alert = {"status": "firing", "labels": {"alertname": "orders db is down"}, "fingerprint": "f"}
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/json"}

        def fire() -> None:
            response = driver.request("POST", "/v1/alertmanager", body=json.dumps({"alerts": [alert]}), headers=headers)
            assert response.status == 202, response.text
            driver.advance(seconds=1)

        fire()
        driver.flow.acknowledge("alertmanager/f", by="ada", namespace="prometheus")
        fire()
        seen = walk(driver)
        title = driver.flow.status("alertmanager/f").content.title
        seen.click(title)
        assert "nothing more: ada acknowledged it from the application" in seen.words
        assert "through Alertmanager with the key prometheus" in seen.words
        assert "merged; nobody was paged again, since it had been acknowledged" in seen.words
        assert seen.clicks == 1


def test_what_comes_next_is_said_with_its_time(driver: Driver) -> None:
    driver.sandbox.script("email: 450 once, then ok")
    driver.flow.notify(DOWN, [ADA, BEN], policy="insistent")
    driver.deliver()
    seen = walk(driver)
    seen.click("orders db is down")
    assert re.search(r"mail in \d+ s \(attempt 2: the wait before the next attempt\)", seen.words)
    assert "text at 09:05:00 unless somebody acknowledges" in seen.words
    assert 'data-live="moving"' in seen.page


@pytest.mark.parametrize(("slack", "condition"), [(None, "text: opens if one fails"), ("C0123456789", "text: opens if 2 fail")])
def test_a_tier_opens_if_as_many_ways_fail_as_a_recipient_has(driver: Driver, slack: str | None, condition: str) -> None:
    driver.flow.notify(DOWN, [Recipient(id="ada", email="ada@example.com", phone="+15005550011", slack=slack)])
    driver.deliver()
    seen = walk(driver)
    seen.click("orders db is down")
    assert condition in seen.words


def test_times_are_those_of_the_visitors_zone(driver: Driver) -> None:
    driver.flow.notify(DOWN, [ADA], policy="insistent")
    driver.deliver()
    browser = visit(driver.flow, Role.VIEWER)
    browser.cookies["notifyflow_zone"] = "Europe/Berlin"
    assert "text at 10:05:00" in browser.get(address_of(driver)).text
    for unknown in ("../etc/passwd", "Mars/Phobos", "Europe", "."):
        browser.cookies["notifyflow_zone"] = unknown
        assert "text at 09:05:00" in browser.get(address_of(driver)).text
    browser.cookies["__Host-notifyflow_zone"] = "Asia/Kolkata"
    assert "text at 14:35:00" in browser.get(address_of(driver)).text, "the one that comes over https counts"


def test_the_script_names_the_zone_in_the_cookies_that_are_read() -> None:
    """The prefix is kept for https by browsers: over plain http they would refuse the cookie."""
    script = (Path(web.__file__).parent / "assets" / "dashboard.js").read_text()
    assert f'isSecure ? "{SAFE_COOKIE}" : "{COOKIE}"' in script


def test_the_way_that_a_notification_went_is_lit(driver: Driver) -> None:
    driver.flow.notify(DOWN, [ADA])
    driver.deliver()
    seen = walk(driver)
    seen.click("orders db is down")
    assert "<svg" not in seen.page
    seen.click("Its messages in the log")
    assert "ada" in seen.page
    seen.click("orders db is down")
    seen.click("The way it went")
    assert 'class="lifecycle lit"' in seen.page
    assert "Notification: QUEUED, SENDING, SENT" in seen.page
    assert " style=" not in seen.page


def test_earlier_rounds_stay_and_a_crowd_is_shown_in_parts(driver: Driver) -> None:
    crowd = [Recipient(id=f"r{number:03}", name=f"Name {number}", email=f"r{number}@example.com") for number in range(60)]
    driver.flow.notify(DOWN, crowd)
    driver.run_until_settled()
    driver.flow.page_again("db-1", "r000", by="ops")
    seen = walk(driver)
    seen.click("orders db is down")
    assert "Round 1: ended" in seen.words or "Round 1: reached" in seen.words
    assert "Name 49" in seen.words
    assert "Name 55" not in seen.words.split("Who is paged")[1].split("What happened")[0]
    seen.click("Show 10 more recipients")
    assert "Name 59" in seen.words.split("Who is paged")[1].split("What happened")[0]
    assert "page before" not in seen.words
    assert "next page" not in seen.words


def test_everybody_is_shown_page_by_page(driver: Driver) -> None:
    crowd = [Recipient(id=f"r{number:03}", name=f"Name {number:03}.", email=f"r{number}@example.com") for number in range(450)]
    driver.flow.notify(DOWN, crowd)
    seen = walk(driver)
    seen.click("orders db is down")
    seen.click("Show 400 more recipients")
    found = []
    for page in ("1 to 200 of 450", "201 to 400 of 450", "401 to 450 of 450"):
        people = seen.words.split("Who is paged")[1].split("What happened")[0]
        assert page in people
        found += re.findall(r"Name \d{3}\.(?= [^?]*?Next)", people)
        if "401" not in page:
            seen.click("The next page")
    assert len(seen.page) < 1_000_000
    assert sorted(set(re.findall(r"Name \d{3}", " ".join(found)))) == [f"Name {number:03}" for number in range(450)]
    assert "next page" not in seen.words
    seen.click("The page before")
    assert "201 to 400 of 450" in seen.words


def test_all_moments_are_reached_page_by_page(driver: Driver) -> None:
    crowd = [Recipient(id=f"r{number:03}", name=f"Name {number:03}.", email=f"r{number}@example.com") for number in range(210)]
    driver.flow.notify(DOWN, crowd)
    driver.run_until_settled()
    seen = walk(driver)
    seen.click("orders db is down")
    count = int(re.findall(r"Timeline: ([\d,]+) entries", seen.words)[0].replace(",", ""))
    assert count > 500
    entries: list[str] = []
    while before := re.findall(r"Show the ([\d,]+) before these", seen.words):
        entries += re.findall(r"<li class=\"tone-\w+(?: minor)?\"><time>.*?</li>", seen.page)
        seen.click(f"Show the {before[0]} before these")
    entries += re.findall(r"<li class=\"tone-\w+(?: minor)?\"><time>.*?</li>", seen.page)
    assert len(entries) == count


@pytest.mark.parametrize(("query", "status"), [("page=9999", 200), ("page=0", 422), ("page=x", 422), ("everybody=x", 422)])
def test_a_page_that_is_beyond_the_last_is_empty_and_one_that_is_no_number_is_refused(
    driver: Driver, query: str, status: int
) -> None:
    driver.flow.notify(DOWN, [ADA])
    browser = visit(driver.flow)
    incident_id = driver.flow.status("db-1").facts.id
    response = browser.get(f"/incidents/{incident_id}?everybody=1&{query}")
    assert response.status_code == status
    assert ("There are no more recipients." in response.text) == (status == 200)


def test_hostile_text_in_every_field_stays_text(driver: Driver) -> None:
    evil = Incident(
        key=HOSTILE,
        title=HOSTILE,
        body=HOSTILE,
        source=HOSTILE,
        url="https://example.com/?a=%22%3E&b='><b>",
        labels={HOSTILE: HOSTILE, "link": "https://example.com/'><script>"},
    )
    driver.flow.notify(evil, [Recipient(id="ada", name=HOSTILE, email="ada@example.com")])
    driver.deliver()
    driver.flow.acknowledge(HOSTILE, by=HOSTILE)
    browser = visit(driver.flow, Role.ADMIN)
    address = address_of(driver, HOSTILE)
    filters = dict.fromkeys(("text", "recipient", "label", "since", "until", "state", "severity", "cursor"), HOSTILE)
    pages = [
        browser.get("/incidents").text,
        browser.request("GET", "/incidents", params=filters).text,
        browser.get(address).text,
        browser.request("GET", address, params={"notification": HOSTILE}).text,
        browser.send(address, f"{address}/addresses").text,
    ]
    for page in pages:
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "{{7*7}}" in page
        assert len(re.findall("<script", page)) == 2
    assert html.escape(HOSTILE) in pages[0].replace("&#34;", "&quot;").replace("&#39;", "&#x27;")


def test_a_responder_acknowledges_pages_again_and_resolves_under_their_name(driver: Driver) -> None:
    driver.flow.notify(DOWN, [ADA, BEN], policy="insistent")
    driver.deliver()
    responder = visit(driver.flow, Role.RESPONDER, name="grace")
    address = address_of(driver)
    response = responder.send(address, f"{address}/acknowledge")
    assert (response.status_code, urljoin(f"{address}/acknowledge", response.headers["location"])) == (303, address)
    facts = driver.flow.status("db-1").facts
    assert (facts.state, facts.acknowledged_by, facts.acknowledged_via) == (IncidentState.ACKNOWLEDGED, "grace", "dashboard")
    assert "by grace on the dashboard at" in responder.get(address).text
    assert responder.send(address, f"{address}/page-again", recipient="ben").status_code == 303
    assert driver.flow.status("db-1").facts.state is IncidentState.OPEN
    assert [each.facts.round for each in driver.flow.status("db-1").escalations if each.contact.recipient_id == "ben"] == [1, 2]
    assert responder.send(address, f"{address}/page-again", recipient="nobody").status_code == 404
    assert responder.send(address, f"{address}/resolve").status_code == 303
    status = driver.flow.status("db-1")
    assert (status.facts.state, status.facts.resolved_by) == (IncidentState.RESOLVED, "grace")
    assert [line.detail["by"] for line in status.transitions if line.machine == "incident" and line.event != "opened"] == [
        "grace"
    ] * 3
    driver.deliver()  # the status updates
    page = responder.get(address).text
    assert "confirm-" not in page
    assert 'data-live="watching"' in page


def test_a_recipient_acts_under_their_own_id(driver: Driver) -> None:
    driver.flow.notify(DOWN, [ADA, BEN])
    driver.deliver()
    responder = visit(driver.flow, Role.RESPONDER, name="lovelace", recipient_id="ada")
    address = address_of(driver)
    assert responder.send(address, f"{address}/acknowledge").status_code == 303
    assert driver.flow.status("db-1").facts.acknowledged_by == "ada"
    assert "by Ada on the dashboard" in responder.get(address).text


def test_only_an_admin_sees_addresses_and_that_is_logged(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    driver.flow.notify(DOWN, [ADA])
    address = address_of(driver)
    admin, responder = visit(driver.flow, Role.ADMIN, name="grace"), visit(driver.flow, Role.RESPONDER)
    assert "ada@example.com" not in admin.get(address).text
    assert "Show the addresses" not in responder.get(address).text
    assert responder.send(address, f"{address}/addresses").status_code == 403
    assert "web.address_revealed" not in caplog.text
    assert "ada@example.com" in admin.send(address, f"{address}/addresses").text
    assert f"web.address_revealed user_id={admin.user_id} incident_id={address.rpartition('/')[2]}" in caplog.text


def test_a_viewer_sees_no_buttons(driver: Driver) -> None:
    driver.flow.notify(DOWN, [ADA])
    page = visit(driver.flow, Role.VIEWER).get(address_of(driver)).text
    assert "confirm-" not in page
    assert "Show the addresses" not in page


def test_incidents_of_other_namespaces_do_not_exist(driver: Driver) -> None:
    driver.flow.notify(DOWN, [ADA])
    stranger = visit(driver.flow, Role.ADMIN, name="eve", namespaces={"web"})
    address = address_of(driver)
    assert "orders db is down" not in stranger.get("/incidents").text
    assert stranger.get(address).status_code == 404
    assert stranger.get("/incidents/" + "0" * 32).status_code == 404
    for act in ("acknowledge", "resolve", "page-again", "addresses"):
        assert stranger.send("/incidents", f"{address}/{act}", recipient="ada").status_code == 404
    assert driver.flow.status("db-1").facts.state is IncidentState.OPEN


def test_a_filter_stands_in_the_url_and_the_next_page_keeps_it(driver: Driver) -> None:
    for number in range(55):
        driver.flow.notify(Incident(key=f"db-{number}", title=f"db {number} is down", labels={"team": "orders"}), [ADA])
    driver.flow.notify(Incident(key="web", title="the web is down"), [BEN])
    browser = visit(driver.flow, Role.VIEWER)
    response = browser.get("/incidents?state=OPEN&recipient=ada&label=team:orders&text=db&severity=ERROR")
    assert "the web is down" not in response.text
    assert 'value="team:orders"' in response.text
    assert len(re.findall(r'id="incident-', response.text)) == 50
    (older,) = re.findall(r'id="older" href="([^"]+)"', response.text)
    following = browser.get("/" + html.unescape(older))
    assert len(re.findall(r'id="incident-', following.text)) == 5
    assert 'value="team:orders"' in following.text
    assert "the web is down" in browser.get("/incidents").text
    assert "No incident matches." in browser.get("/incidents?text=nothing").text
    foreign = browser.get(f"/incidents?text=web&{html.unescape(older).partition('&')[2]}")
    assert foreign.status_code == 200


@pytest.mark.parametrize("query", ["since=never", "until=2026-99-99T00:00", "since=0001-01-01T00:00", "label=team", "label=:"])
def test_a_filter_that_cannot_be_understood_is_named_and_left_out(driver: Driver, query: str) -> None:
    driver.flow.notify(DOWN, [ADA])
    page = visit(driver.flow, Role.VIEWER).get(f"/incidents?{query}").text
    assert 'role="alert"' in page
    assert "orders db is down" in page


def test_a_page_is_not_sent_again_until_something_changes(driver: Driver) -> None:
    driver.flow.notify(DOWN, [ADA])
    driver.run_until_settled()
    browser = visit(driver.flow, Role.VIEWER)
    for address in ("/incidents", address_of(driver)):
        first = browser.get(address)
        assert first.headers["cache-control"] == "private, no-cache"
        same = browser.request("GET", address, headers={"if-none-match": first.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
    tags = [(address, browser.get(address).headers["etag"]) for address in ("/incidents", address_of(driver))]
    driver.flow.acknowledge("db-1", by="ada")
    for address, tag in tags:
        assert browser.request("GET", address, headers={"if-none-match": tag}).status_code == 200


def test_the_page_of_a_link_leads_to_the_incident(driver: Driver) -> None:
    driver.flow.notify(DOWN, [ADA])
    driver.deliver()
    (mail,) = driver.inbox.messages(channel="email")
    link = next(link for link in mail.links if "/a/" in link).removeprefix(ORIGIN)
    browser = visit(driver.flow, Role.VIEWER)
    page = browser.get(link).text
    (address,) = re.findall(r'href="([^"]+)">Who is paged', page)
    assert urljoin(link, address) == address_of(driver)


def test_the_next_person_of_a_chain_is_named_with_the_time_until_then(driver: Driver) -> None:
    then = [Step(to=[BEN], after=timedelta(minutes=10)), Step(to=[ADA], after=timedelta(minutes=5))]
    driver.flow.notify(DOWN, [ADA], then=then)
    driver.advance(minutes=2)
    driver.flow.notify(replace(DOWN, key="db-2"), [ADA])
    seen = walk(driver)
    assert seen.words.count("next: Ben at Mon 7 Jan 09:10:00; step 1 of 3") == 1
    seen.page = seen.browser.get(address_of(driver)).text
    assert "in 8 m, at 09:10:00: Ben, or at once when all ways to Ada have failed" in seen.words
    driver.advance(minutes=8)
    seen.page = seen.browser.get(address_of(driver)).text
    assert "◐ started Ben started at 09:10:00" in seen.words
    assert "in 5 m, at 09:15:00: Ada, but its people are paged already" in seen.words
    driver.advance(minutes=5)
    seen.page = seen.browser.get(address_of(driver)).text
    assert "The chain is over, and nobody has acknowledged." in seen.words
    assert "step 2 starts, since nobody has acknowledged in 10 m: Ben" in seen.words


def test_the_list_the_page_and_the_terminal_tell_the_same_next_instant_while_everything_is_paused(driver: Driver) -> None:
    driver.sandbox.script("email: 550; sms: 30006; call: rings")
    driver.flow.notify(DOWN, [ADA], then=(Step(to=(BEN,), after=timedelta(minutes=5)),))
    driver.advance(seconds=120)
    driver.flow.pauses.start(PauseScope.ALL, "", span=timedelta(minutes=20), by="eve", is_for_critical=True)
    driver.advance(seconds=20)
    browser = visit(driver.flow, Role.VIEWER)
    listed, page = browser.get("/incidents").text, browser.get(address_of(driver)).text
    assert "operations is told at Mon 7 Jan 09:22:00" in listed
    assert "at 09:22:00: operations is told that nobody has acknowledged" in page
    for shown in (listed, page):
        assert "Everything is paused until" in shown
        assert "09:22:00 by eve; CRITICAL, too." in shown
    console = Console(file=io.StringIO(), width=200)
    console.print(
        picture(driver.flow.status("db-1"), zone=UTC, next_events=driver.flow.overview.next_events(driver.flow.status("db-1")))
    )
    assert isinstance(console.file, io.StringIO)
    assert "in 20 m, at 09:22:00" in console.file.getvalue()


def test_what_changes_is_marked_for_screen_readers_and_a_page_has_a_place_to_say_it(driver: Driver) -> None:
    driver.flow.notify(DOWN, [ADA])
    browser = visit(driver.flow, Role.VIEWER)
    page = browser.get(address_of(driver)).text
    assert '<p id="news" class="unseen" role="status" aria-live="polite"></p>' in page
    assert re.search(r"data-news>● open<", page)
    assert re.search(r'<div class="first" data-news>\s*<h3 id="recipient-1">', page)
    assert "data-news" in browser.get("/incidents").text
    assert "data-news" in browser.get("/health").text
