"""Feeds of calendars, from the page that makes one to the program that reads it."""

import re
from datetime import timedelta

import pytest
from ical.calendar_stream import IcsCalendarStream

from notifyflow.core.accounts.users import Role
from notifyflow.errors import FeedNotFound, InvalidRequest
from tests.asgi import Client
from tests.dashboard import ORIGIN
from tests.integration.web.oncall.test_duty_page import System, system, words

__all__ = ["system"]


def made(system: System, **of: str) -> str:
    """Make a feed on the page; return its path."""
    response = system.visit().send("/oncall", "/oncall/feeds", **of)
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    (address,) = re.findall(rf"<code>{ORIGIN}(/oncall/feeds/[\w-]+\.ics)</code>", response.text)
    return str(address)


def test_a_feed_is_made_read_and_revoked(system: System) -> None:
    path = made(system, recipient="ben")
    program = Client(system.application)
    response = program.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/calendar; charset=utf-8"
    assert response.headers["cache-control"] == "private, no-cache"
    calendar = IcsCalendarStream.calendar_from_ics(response.text)
    assert {each.summary for each in calendar.events} == {"On call: @primary"}
    known = {"if-none-match": response.headers["etag"]}
    assert program.request("GET", path, headers=known).status_code == 304
    assert program.request("HEAD", path).status_code == 200
    browser = system.visit(name="grace")
    browser.send("/oncall", schedule="primary", who="ben", until="2026-12-25T18:00")
    assert program.request("GET", path, headers=known).status_code == 200
    (feed_id,) = re.findall(r'name="revoke" value="(\w+)"', browser.get("/oncall").text)
    assert browser.send("/oncall", "/oncall/feeds", revoke=feed_id).headers["location"] == "../oncall"
    assert program.get(path).status_code == 404
    assert browser.send("/oncall", "/oncall/feeds", revoke=feed_id).status_code == 404


def test_a_feed_of_what_there_is_not_is_refused(system: System) -> None:
    browser = system.visit()
    for of in ({"schedule": "gone"}, {"recipient": "eve"}, {}):
        refused = browser.send("/oncall", "/oncall/feeds", **of)
        assert refused.status_code == 422
        assert "On call" in refused.text
    with pytest.raises(InvalidRequest):
        system.flow.feeds().make(schedule="gone", by="grace")


def test_a_viewer_and_who_sees_some_namespaces_make_no_feed(system: System) -> None:
    made(system, schedule="office")
    viewer = system.visit(Role.VIEWER)
    assert 'id="feeds"' not in viewer.get("/oncall").text
    stranger = system.visit(name="stranger", namespaces=frozenset({"web"}))
    for browser in (viewer, stranger):
        assert browser.send("/oncall", "/oncall/feeds", schedule="office").status_code == 403
    assert len(system.flow.feeds().all()) == 1


def test_the_page_lists_feeds_without_their_addresses(system: System) -> None:
    path = made(system, schedule="office")
    page = system.visit(name="grace").get("/oncall").text
    assert "@office by responder" in words(page).replace(", made 25 Nov 2026", "")
    assert path.removeprefix("/oncall/feeds/").removesuffix(".ics") not in page


def test_who_is_forgotten_has_no_feed_any_more(system: System) -> None:
    theirs, other = made(system, recipient="ben"), None
    feeds = system.flow.feeds()
    _, other = feeds.make(schedule="primary", by="grace")
    system.flow.maintenance.forget("ben")
    assert Client(system.application).get(theirs).status_code == 404
    assert [each.schedule for each in feeds.all()] == ["primary"]
    assert feeds.show(other).content
    with pytest.raises(FeedNotFound):
        feeds.show("wrong")


def test_a_feed_expires_and_is_deleted_when_the_next_one_is_made(system: System) -> None:
    path = made(system, schedule="primary", valid="30 days")
    kept = system.flow.feeds().make(schedule="office", by="grace")[0]
    program, browser = Client(system.application), system.visit(name="grace")
    assert "valid until 2026-12-25" in browser.get("/oncall").text
    system.clock.pass_time(timedelta(days=30, seconds=-1))
    assert program.get(path).status_code == 200
    system.clock.pass_time(timedelta(seconds=1))
    assert program.get(path).status_code == 404
    assert "expired 2026-12-25" in system.visit(name="ada").get("/oncall").text
    new = system.flow.feeds().make(schedule="primary", by="grace", valid_for=timedelta(days=1))[0]
    assert [each.id for each in system.flow.feeds().all()] == [kept.id, new.id]


def test_one_person_makes_so_many_feeds_and_all_of_them_so_many(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifyflow.core.oncall.feeds.MOST_OF_ONE", 2)
    monkeypatch.setattr("notifyflow.core.oncall.feeds.MOST", 3)
    feeds = system.flow.feeds()
    for _ in range(2):
        feeds.make(schedule="primary", by="grace", valid_for=timedelta(days=1))
    with pytest.raises(InvalidRequest, match="you have made 2 already"):
        feeds.make(schedule="primary", by="grace")
    feeds.make(schedule="primary", by="ada")
    browser = system.visit()
    refused = browser.send("/oncall", "/oncall/feeds", schedule="office")
    assert refused.status_code == 422
    assert "there are 3 already" in refused.text
    system.clock.pass_time(timedelta(days=1))
    assert browser.send("/oncall", "/oncall/feeds", schedule="office").status_code == 200


def test_a_process_keeps_so_many_calendars(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("notifyflow.service.oncall.feeds._MOST_KEPT", 1)
    feeds = system.flow.feeds()
    tokens = [feeds.make(schedule=each, by="grace")[1] for each in ("primary", "office")]
    first = [feeds.show(token).content for token in tokens]
    assert [feeds.show(token).content for token in tokens] == first
