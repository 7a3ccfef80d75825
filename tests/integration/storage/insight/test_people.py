"""What is read about people: who was paged, whom nothing reached, and what recent rounds say about each channel."""

import pytest

from notifyflow.core.delivery.model import EscalationState, Evidence, NotificationState
from notifyflow.core.insight.people import ROUNDS, PersonRecord
from notifyflow.storage.store import Store
from tests.facts import NOW
from tests.integration.storage.history import MINUTE, Log

DELIVERED, FAILED, SENT = NotificationState.DELIVERED, NotificationState.FAILED, NotificationState.SENT
EXHAUSTED = EscalationState.EXHAUSTED


@pytest.fixture
def log(store: Store) -> Log:
    return Log(store)


def record(log: Log, who: str, namespaces: frozenset[str] | None = None) -> PersonRecord | None:
    return log.store.read(lambda reads: reads.people.records([who], namespaces)).get(who)


def test_people_are_listed_once_each_page_by_page(log: Log) -> None:
    names = ["ada", "ben", "cleo", "o'clée %"]
    for who in [*names, "ben", "cleo"]:
        log.add(who=who)
    assert log.store.read(lambda reads: reads.people.ids(after="", limit=10)) == names
    assert log.store.read(lambda reads: reads.people.ids(after="", limit=2)) == ["ada", "ben"]
    assert log.store.read(lambda reads: reads.people.ids(after=reads.people.mark("ben"), limit=2)) == ["cleo", "o'clée %"]
    assert log.store.read(lambda reads: reads.people.ids(after=reads.people.mark(names[-1]), limit=2)) == []


def test_people_who_were_never_paged_are_found_among_many(log: Log) -> None:
    log.add(who="ada")
    found = log.store.read(lambda reads: reads.people.never_paged(["ada", "ben", "o'clée %"]))
    assert found == {"ben", "o'clée %"}
    assert log.store.read(lambda reads: reads.people.never_paged([])) == frozenset()


def test_people_whom_the_newest_round_did_not_reach_are_found_the_newest_first(log: Log) -> None:
    log.add(who="ada", state=FAILED, round_is=EXHAUSTED)
    log.add(who="ben", state=FAILED, round_is=EXHAUSTED, namespace="web")
    log.add(who="cleo", state=FAILED, round_is=EXHAUSTED)
    log.add(who="cleo")
    log.add(who="dan")
    log.add(who="dan", state=FAILED, round_is=EXHAUSTED)

    def found(namespaces: frozenset[str] | None, limit: int = 9) -> list[str]:
        return log.store.read(lambda reads: reads.people.unreached_ids(namespaces, limit=limit))

    assert found(None) == ["dan", "ben", "ada"]
    assert found(None, 1) == ["dan"]
    assert found(frozenset({"web"})) == ["ben"]
    assert found(frozenset()) == []


def test_a_record_has_the_last_page_the_last_proof_and_the_refusals_of_each_channel(log: Log) -> None:
    log.add(who="ada", state=FAILED, channels=["sms"])
    (proven,) = log.add(who="ada", state=DELIVERED, channels=["sms"], evidence=Evidence.CARRIER)
    log.add(who="ada", state=FAILED, channels=["sms"], is_our_fault=True)
    (last,) = log.add(who="ada", state=FAILED, channels=["sms"])
    log.add(who="ada", channels=["email"], evidence=Evidence.ACCEPTED)
    found = record(log, "ada")
    assert found is not None
    assert (found.contact.recipient_id, found.contact.addresses) == ("ada", {"email": "ada@email"})
    assert (found.last_round, found.last_round_at) == (EscalationState.REACHED, NOW + 5 * MINUTE)
    sms, email = found.ways["sms"], found.ways["email"]
    assert sms.last is not None
    assert sms.proven is not None
    assert (sms.last.id, sms.proven.id, sms.refused) == (last, proven, 2)
    assert email.last is not None
    assert (email.last.state, email.proven, email.refused) == (SENT, None, 0)


def test_a_record_has_only_the_rounds_of_the_namespaces(log: Log) -> None:
    log.add(who="ada", namespace="web")
    log.add(who="ada", state=FAILED, channels=["sms"])
    found = record(log, "ada", frozenset({"web"}))
    assert found is not None
    assert found.last_round_at == NOW + MINUTE
    assert set(found.ways) == {"email"}
    assert record(log, "ada", frozenset({"other"})) is None
    assert record(log, "ben") is None


def test_only_recent_rounds_are_read(log: Log) -> None:
    log.add(who="ada", state=DELIVERED, channels=["sms"], evidence=Evidence.CARRIER)
    for _ in range(ROUNDS):
        log.add(who="ada")
    found = record(log, "ada")
    assert found is not None
    assert set(found.ways) == {"email"}
