"""The API and the pages read the same query into the same filter."""

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import QueryParams

from notifyflow.core.delivery.model import Evidence, IncidentState, NotificationState, Severity
from notifyflow.core.insight.message_log import MessageFilter
from notifyflow.core.insight.views import IncidentFilter
from notifyflow.errors import InvalidRequest
from notifyflow.web.delivery.listings import IncidentListing, MessageListing
from notifyflow.web.frame import cursors
from notifyflow.web.insight import messages, searches

AT = datetime(2026, 11, 28, 2, 31, tzinfo=UTC)
INCIDENTS: dict[str, tuple[str, Any]] = {
    "states": ("state=OPEN&state=RESOLVED", frozenset({IncidentState.OPEN, IncidentState.RESOLVED})),
    "severities": ("severity=CRITICAL", frozenset({Severity.CRITICAL})),
    "labels": ("label=team:orders&label=tier:", frozenset({("team", "orders"), ("tier", "")})),
    "key": ("key=db-1", "db-1"),
    "recipient_id": ("recipient=ada", "ada"),
    "text": ("text=down", "down"),
    "since": ("since=2026-11-28T02:31Z", AT),
    "until": ("until=2026-11-28T02:31Z", AT),
    "namespaces": ("namespace=web", frozenset({"web"})),
}
MESSAGES: dict[str, tuple[str, Any]] = {
    "states": ("state=FAILED&state=SENT", frozenset({NotificationState.FAILED, NotificationState.SENT})),
    "channels": ("channel=sms", frozenset({"sms"})),
    "providers": ("provider=twilio", frozenset({"twilio"})),
    "evidence": ("evidence=human", frozenset({Evidence.HUMAN})),
    "provider_ref": ("provider_ref=r", "r"),
    **{name: INCIDENTS[name] for name in ("key", "recipient_id", "text", "since", "until", "namespaces")},
}


def of_page(kind: Any, query: str, zone: Any = UTC, within: frozenset[str] | None = None) -> Any:
    names = messages._NAMES if kind is MessageListing else {}
    return searches.read(kind, QueryParams(query), zone, names=names).listing.filter(within)


@pytest.mark.parametrize(
    ("kind", "empty", "name"),
    [(IncidentListing, IncidentFilter(), each) for each in INCIDENTS]
    + [(MessageListing, MessageFilter(), each) for each in MESSAGES],
)
def test_each_condition_is_read_alike(kind: Any, empty: Any, name: str) -> None:
    query, value = (INCIDENTS if kind is IncidentListing else MESSAGES)[name]
    wanted = replace(empty, **{name: value})
    assert of_page(kind, query) == wanted
    assert searches.read_valid(kind, QueryParams(query), UTC).listing.filter(None) == wanted


def test_every_condition_has_a_name_in_urls() -> None:
    assert {each.name for each in fields(IncidentFilter)} == set(INCIDENTS)
    assert {each.name for each in fields(MessageFilter)} == set(MESSAGES)


def test_the_form_has_names_of_its_own_and_empty_fields_ask_for_nothing() -> None:
    assert of_page(MessageListing, "ref=r&reason=+down+&state=&since=") == MessageFilter(provider_ref="r", text="down")


def test_a_time_without_a_zone_is_in_the_zone_of_the_visitor() -> None:
    found = of_page(IncidentListing, "since=2026-11-28T02:31&until=2026-11-28T02:31Z", ZoneInfo("Europe/Berlin"))
    assert found == IncidentFilter(since=datetime(2026, 11, 28, 1, 31, tzinfo=UTC), until=AT)


def test_nobody_sees_more_namespaces_than_they_may() -> None:
    mine = frozenset({"web", "db"})
    assert of_page(IncidentListing, "", within=mine).namespaces == mine
    assert of_page(IncidentListing, "namespace=web", within=mine).namespaces == {"web"}
    assert of_page(MessageListing, "namespace=other", within=mine).namespaces == frozenset()


def test_a_search_with_an_invalid_part_is_refused_or_read_without_it() -> None:
    query = QueryParams("state=LOST&state=OPEN&label=team&since=never&recipient=ada&utm=1")
    with pytest.raises(RequestValidationError):
        searches.read(IncidentListing, query, UTC)
    search = searches.read_valid(IncidentListing, query, UTC)
    assert search.listing.filter(None) == IncidentFilter(states=frozenset({IncidentState.OPEN}), recipient_id="ada")
    assert search.query == "state=OPEN&recipient=ada"
    assert search.faults == (
        "A label has the form name:value, unlike “team”.",
        "“never” is no date and time like 2026-11-28T02:31.",
        "“LOST” is no state here.",
    )


def test_a_cursor_belongs_to_its_filters() -> None:
    search = searches.read(MessageListing, QueryParams("state=SENT&state=FAILED"), UTC)
    following = QueryParams(search.following("place"))
    assert following.getlist("state") == ["SENT", "FAILED"]
    again = searches.read(MessageListing, QueryParams("state=FAILED&state=SENT&limit=7"), UTC)
    assert cursors.read(again.listing.mark, following["cursor"]) == "place"
    with pytest.raises(InvalidRequest):
        cursors.read(searches.read(MessageListing, QueryParams("state=SENT"), UTC).listing.mark, following["cursor"])
