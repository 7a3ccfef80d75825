"""The message log: every filter against a plain model of it, and pages while messages are added."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery.model import EscalationState, Evidence, Kind, NotificationState
from notifyflow.core.insight.message_log import MessagePage
from notifyflow.errors import InvalidRequest
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.facts import NOW, escalation
from tests.integration.storage.history import MINUTE, STATES, Log, an_id
from tests.integration.storage.samples import a_page, begin, claim
from tests.statuses import EVENT


@pytest.fixture
def log(store: Store) -> Log:
    return Log(store)


def test_an_empty_log_has_one_empty_page(log: Log) -> None:
    assert log.page() == MessagePage(messages=(), older=None)
    assert log.page(channels=frozenset({"sms"})) == MessagePage(messages=(), older=None)


def test_a_message_is_shown_with_its_attempts_its_recipient_and_its_incident(log: Log) -> None:
    (id_,) = log.add("db-1", "ada", provider="smtp", provider_ref="r1", code="250", evidence=Evidence.ACCEPTED)
    (shown,) = log.page().messages
    assert (shown.recipient_id, shown.name, shown.address) == ("ada", "Ada", "ada@email")
    assert (shown.key, shown.title) == ("db-1", "db-1 is down")
    assert shown.facts.id == id_
    assert [(each.provider, each.provider_ref, each.code) for each in shown.facts.attempts] == [("smtp", "r1", "250")]


def test_a_message_about_several_is_shown_with_how_many_others_it_carried(log: Log) -> None:
    for number in range(3):
        log.add(f"db-{number}", sent_with="first", position=number)
    log.add("db-3")
    found = {each.key: list(each.others.values()) for each in log.page(limit=2).messages + log.page(recipient_id="ada").messages}
    assert found == {"db-3": [], "db-2": [2], "db-1": [2], "db-0": [2]}


def test_an_incident_event_is_shown_with_its_subscriber(log: Log) -> None:
    begin(log.store)

    def body(ledger: Ledger) -> None:
        facts = escalation(id="e0", recipient_id="", round=0, state=EscalationState.EXHAUSTED, is_current=False)
        ledger.escalations.add(facts, event="started", detail={})
        row = a_page(id="n0", escalation_id="e0", kind=Kind.INCIDENT_EVENT, tier=None, incident_event=EVENT)
        ledger.notifications.add([replace(row, channel="webhook")], event="queued")

    log.store.run(body)
    (shown,) = log.page(channels=frozenset({"webhook"})).messages
    assert (shown.recipient_id, shown.name, shown.address) == ("status", "status", "")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "dcba"),
        ({"states": {NotificationState.FAILED}}, "b"),
        ({"channels": {"sms", "voice"}}, "cb"),
        ({"providers": {"twilio"}}, "cb"),
        ({"evidence": {Evidence.CARRIER, Evidence.HUMAN}}, "c"),
        ({"providers": {"smtp"}, "evidence": {Evidence.CARRIER}}, ""),
        ({"provider_ref": "SM1"}, "b"),
        ({"provider_ref": "SM1", "recipient_id": "ben", "key": "db-2"}, "b"),
        ({"provider_ref": "SM1", "recipient_id": "ada"}, ""),
        ({"provider_ref": "SM1", "key": "db-1"}, ""),
        ({"provider_ref": "unknown"}, ""),
        ({"recipient_id": "ben"}, "cb"),
        ({"recipient_id": "o'clée %"}, "d"),
        ({"recipient_id": "ben", "key": "db-1"}, "c"),
        ({"key": "db-1"}, "ca"),
        ({"text": "LANDLINE"}, "b"),
        ({"text": "30006"}, "b"),
        ({"text": "3000"}, ""),
        ({"text": "%"}, ""),
        ({"namespaces": {"web"}}, "d"),
        ({"namespaces": set()}, ""),
        ({"namespaces": {""}, "recipient_id": "ben"}, "cb"),
        ({"since": NOW + 2 * MINUTE}, "dcb"),
        ({"until": NOW + 2 * MINUTE}, "a"),
        ({"since": NOW + 2 * MINUTE, "until": NOW + 3 * MINUTE}, "b"),
        ({"since": NOW + 3 * MINUTE, "recipient_id": "ben"}, "c"),
        ({"until": NOW + 3 * MINUTE, "key": "db-1"}, "a"),
    ],
)
def test_each_filter_finds_what_it_names(log: Log, wanted: dict[str, Any], found: str) -> None:
    (a,) = log.add("db-1", "ada", provider="smtp", provider_ref="<1@host>", evidence=Evidence.ACCEPTED)
    said = {"code": "30006", "reason": "a landline, cannot receive texts"}
    (b,) = log.add("db-2", "ben", NotificationState.FAILED, channels=["sms"], provider="twilio", provider_ref="SM1", **said)
    (c,) = log.add("db-1", "ben", NotificationState.DELIVERED, channels=["voice"], provider="twilio", evidence=Evidence.HUMAN)
    (d,) = log.add("web", "o'clée %", namespace="web")
    names = {a: "a", b: "b", c: "c", d: "d"}
    given = {name: frozenset(value) if isinstance(value, set) else value for name, value in wanted.items()}
    assert "".join(names[each] for each in log.ids(**given)) == found


def test_a_search_ends_after_a_while_and_says_where(log: Log) -> None:
    (old,) = log.add(state=NotificationState.FAILED)
    for _ in range(5):
        log.add()
    first = log.page(searched=3, states=frozenset({NotificationState.FAILED}))
    assert first.messages == ()
    assert first.searched_to == NOW + 4 * MINUTE
    second = log.page(first.older, searched=3, states=frozenset({NotificationState.FAILED}))
    assert [each.facts.id for each in second.messages] == [old]
    last = log.page(second.older, searched=3, states=frozenset({NotificationState.FAILED}))
    assert (last.messages, last.older, last.searched_to) == ((), None, None)


def test_what_is_still_open_is_found_however_old_it_is(log: Log) -> None:
    begin(log.store, a_page(1, id=an_id(NOW, 1)), a_page(2, id=an_id(NOW, 2)), a_page(3, id=an_id(NOW, 3)))
    log.store.run(lambda ledger: claim(ledger, ledger.notifications.lock(an_id(NOW, 2))))
    for _ in range(5):
        log.add()

    def found(*states: NotificationState) -> list[str]:
        return [each.facts.id for each in log.page(searched=3, states=frozenset(states)).messages]

    assert found(NotificationState.QUEUED) == [an_id(NOW, 3), an_id(NOW, 1)]
    assert found(NotificationState.SENDING) == [an_id(NOW, 2)]
    assert found(NotificationState.SENDING, NotificationState.QUEUED) == [an_id(NOW, 3), an_id(NOW, 2), an_id(NOW, 1)]
    assert found(NotificationState.QUEUED, NotificationState.FAILED) == []


@pytest.mark.parametrize("before", ["", "[", "1", '["a", "b"]', "[1]", '{"a": 1}'])
def test_a_place_of_another_list_is_refused(log: Log, before: str) -> None:
    with pytest.raises(InvalidRequest):
        log.page(before)
    with pytest.raises(InvalidRequest):
        log.page(before, recipient_id="ada")


_seconds = st.integers(0, 5)
_added = st.lists(st.tuples(_seconds, st.integers(0, 3), st.sampled_from(sorted(STATES))), max_size=6)
_WALKS: dict[str, Callable[[int], dict[str, Any]]] = {
    "all": lambda number: {},
    "recipient": lambda number: {"recipient_id": f"person {number}"},
    "key": lambda number: {"key": f"key {number}"},
}


@pytest.mark.parametrize("walk", _WALKS)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=_added,
    meanwhile=st.lists(_added, min_size=1, max_size=6),
    limit=st.integers(1, 3),
    searched=st.integers(1, 4),
    is_filtered=st.booleans(),
)
def test_pages_show_each_message_once_and_in_order_while_others_are_added(
    log: Log, walk: str, before: list, meanwhile: list, limit: int, searched: int, is_filtered: bool
) -> None:
    """The days of the examples lie apart, and so do their people and keys."""
    log.count += 1
    number, day = log.count, NOW + log.count * timedelta(days=1)
    wanted = _WALKS[walk](number)
    wanted |= {} if wanted and not is_filtered else {"since": day, "until": day + timedelta(hours=1)}
    wanted |= {"states": frozenset({NotificationState.FAILED})} if is_filtered else {}
    stored: list[str] = []

    def add(messages: list) -> None:
        for second, pages, state in messages:
            at = day + timedelta(seconds=second)
            channels = ("email", "sms", "voice")[:pages]
            ids = log.add(f"key {number}", f"person {number}", state, channels=channels, at=at)
            stored.extend(ids if not is_filtered or state is NotificationState.FAILED else [])

    add(before)
    first, shown, place = set(stored), [], None
    for batch in [*meanwhile, *[[]] * 1000]:
        found = log.page(place, limit=limit, searched=searched, **wanted)
        shown += [each.facts for each in found.messages]
        if found.older is None:
            break
        place = found.older
        add(batch)
    ids = [each.id for each in shown]
    assert len(ids) == len(set(ids))
    assert first <= set(ids) <= set(stored)
    parents = [(each.created_at, each.escalation_id if walk != "all" else "", each.id) for each in shown]
    assert parents == sorted(parents, reverse=True)
