"""``notify()`` returns within five seconds, however slow the database is."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.errors import StorageUnavailable
from notifyflow.storage.store import Store
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.integration.engine.test_deliver import NotedBell
from tests.servers.postgres import Postgres
from tests.servers.relay import Late
from tests.waiting import wait_until

INCIDENT = Incident(key="db-1", title="orders db is down")
ADA = Recipient(id="ada", email="ada@example.com")
LATE_S = 0.8
MOST_REPLIES = 6
"""As many as fit into five seconds over one connection; a box that is busy lets fewer through, never more."""


@pytest.fixture
def relay(postgres_server: Postgres) -> Iterator[Late]:
    with Late(postgres_server.port) as running:
        yield running


@pytest.fixture
def flow(relay: Late, postgres_url: str) -> Iterator[NotifyFlow]:
    database = postgres_url.rpartition("/")[2]
    url = SecretStr(f"postgresql://postgres@127.0.0.1:{relay.port}/{database}")
    with NotifyFlow(Settings(database_url=url), channels=channels(ScriptedProvider()), bell=NotedBell()) as opened:
        yield opened
        relay.late_s = 0.0


def test_a_slow_server_is_given_one_time_limit_and_not_one_a_statement(flow: NotifyFlow, relay: Late) -> None:
    relay.late_s = LATE_S
    with pytest.raises(StorageUnavailable):
        flow.notify(INCIDENT, [ADA])
    assert 0 < relay.replies <= MOST_REPLIES * relay.connections


def test_connections_that_are_open_already_are_not_waited_for_longer(flow: NotifyFlow, relay: Late, postgres_url: str) -> None:
    flow.notify(INCIDENT, [ADA])
    before = relay.replies
    relay.late_s = LATE_S
    with pytest.raises(StorageUnavailable):
        flow.notify(Incident(key="db-2", title="orders db is down"), [ADA])
    assert before < relay.replies <= before + MOST_REPLIES * relay.connections
    store = Store(postgres_url)
    assert [each.key for each in store.read(lambda reads: reads.incidents(10))] == ["db-1"]
    store.close()


def test_the_first_call_needs_few_round_trips(flow: NotifyFlow, relay: Late) -> None:
    """It opens one connection, checks the schema, measures the clock, and stores the incident."""
    flow.notify(INCIDENT, [ADA])
    first = relay.replies
    flow.notify(Incident(key="db-2", title="orders db is down"), [ADA])
    assert relay.connections == 1
    assert relay.replies - first == 9
    assert first <= 17  # it was 28, over two connections


def test_a_connection_that_is_opened_too_late_for_one_call_is_used_by_the_next(flow: NotifyFlow, relay: Late) -> None:
    relay.late_s = 2.5  # to connect takes three responses
    with pytest.raises(StorageUnavailable, match="timeout"):
        flow.notify(INCIDENT, [ADA])
    wait_until(lambda: bool(flow._store._pool._idle))
    relay.late_s = 0.0
    assert flow.notify(INCIDENT, [ADA]).is_new
    assert relay.connections == 1


def test_a_connection_whose_transaction_took_too_long_is_replaced_for_the_next_call(flow: NotifyFlow, relay: Late) -> None:
    flow.notify(INCIDENT, [ADA])
    relay.late_s = 1.5
    with pytest.raises(StorageUnavailable):
        flow.notify(Incident(key="db-2", title="orders db is down"), [ADA])
    wait_until(lambda: bool(flow._store._pool._idle))
    before, relay.late_s = relay.connections, 0.0
    assert flow.notify(Incident(key="db-3", title="orders db is down"), [ADA]).is_new
    assert relay.connections == before


def test_what_is_known_of_the_schema_is_kept_though_the_first_call_takes_too_long(flow: NotifyFlow, relay: Late) -> None:
    relay.late_s = 0.45  # too late for all that the first call needs, and soon enough for the check of the schema
    with pytest.raises(StorageUnavailable):
        flow.notify(INCIDENT, [ADA])
    assert any(b"notifyflow_migration" in each for each in relay.requests)
    relay.late_s = 0.0
    relay.requests.clear()
    assert flow.notify(INCIDENT, [ADA]).is_new
    assert not any(b"notifyflow_migration" in each for each in relay.requests)


@pytest.mark.parametrize("is_known", [False, True])
def test_a_silent_server_is_given_up_in_time(flow: NotifyFlow, relay: Late, *, is_known: bool) -> None:
    if is_known:
        flow.notify(INCIDENT, [ADA])
    relay.late_s = None
    with pytest.raises(StorageUnavailable) as caught:
        flow.notify(INCIDENT, [ADA])
    assert caught.value.waited_s < 5.5


def test_each_of_many_at_once_is_given_up_in_its_own_time(flow: NotifyFlow, relay: Late) -> None:
    flow.notify(INCIDENT, [ADA])
    relay.late_s = None

    def submit(number: int) -> StorageUnavailable:
        wait_until(lambda: number == 0 or len(begun) >= number)
        begun.append(number)
        with pytest.raises(StorageUnavailable) as caught:
            flow.notify(Incident(key=f"db-{number}", title="orders db is down"), [ADA])
        return caught.value

    begun: list[int] = []
    with ThreadPoolExecutor(20) as pool:
        errors = list(pool.map(submit, range(20)))
    assert all(each.waited_s < 5.5 for each in errors)
