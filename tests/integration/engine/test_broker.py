"""The doorbell over a real Redis: what it survives, and what survives without it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import redis
from dramatiq import Broker, Worker
from dramatiq.middleware import TimeLimit
from pydantic import SecretStr
from structlog.testing import capture_logs

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.core.model import NotificationState
from notifyflow.engine.broker import BrokerBell, connect, make_broker
from notifyflow.engine.reporter import RING_SIZE
from notifyflow.errors import BrokerUnavailable, InvalidSettings
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.servers.redis import Redis, redis_server

DEADLINE_S = 60
ADA = Recipient(id="ada", email="ada@example.com")


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with redis_server() as running:
        yield running


@pytest.fixture
def fresh(server: Redis) -> Redis:
    server.tell("FLUSHALL")
    return server


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def flow(fresh: Redis, sqlite_url: str, provider: ScriptedProvider) -> Iterator[NotifyFlow]:
    settings = Settings(database_url=SecretStr(sqlite_url), broker_url=SecretStr(fresh.url))
    with NotifyFlow(settings, channels=channels(provider)) as opened:
        yield opened


@contextmanager
def working(flow: NotifyFlow) -> Iterator[Broker]:
    """Run what ``dramatiq notifyflow.worker`` runs, inside this process."""
    broker = flow.make_worker()
    worker = Worker(broker, worker_threads=4, worker_timeout=100)
    worker.start()
    try:
        yield broker
    finally:
        worker.stop()
        broker.close()
        broker.client.close()


def states(flow: NotifyFlow, key: str) -> list[NotificationState]:
    status = flow.status(key)
    assert status is not None
    return [row.state for escalation in status.escalations for row in escalation.notifications]


def notify(flow: NotifyFlow, key: str, severity: Severity = Severity.ERROR) -> None:
    flow.notify(Incident(key=key, title="t", severity=severity), [ADA])


def test_a_worker_answers_rings_calm_and_critical(flow: NotifyFlow, provider: ScriptedProvider) -> None:
    with working(flow):
        notify(flow, "calm")
        notify(flow, "urgent", Severity.CRITICAL)
        assert flow.wait("calm", timeout_s=DEADLINE_S)
        assert flow.wait("urgent", timeout_s=DEADLINE_S)
    assert len(provider.letters) == 2


def test_messages_hold_ids_only(flow: NotifyFlow, fresh: Redis) -> None:
    notify(flow, "secret-key")
    with redis.Redis.from_url(fresh.url) as client:
        stored = [client.hgetall(name) for name in client.scan_iter("*.msgs")]
    assert stored
    assert "ada@example.com" not in str(stored)
    assert "secret-key" not in str(stored)


def test_the_queues_are_two_a_channel_and_none_for_delays(flow: NotifyFlow) -> None:
    with working(flow) as broker:
        assert broker.get_declared_queues() == {name + end for name in channels(ScriptedProvider()) for end in ("", ".critical")}
        assert broker.get_declared_delay_queues() == set()


@pytest.fixture(params=["away", "out of memory", "read-only"])
def broken(request: pytest.FixtureRequest, fresh: Redis) -> Iterator[Callable[[], None]]:
    """A Redis that takes nothing, until it is mended."""
    breaks = {
        "away": fresh.stop,
        "out of memory": lambda: fresh.tell("CONFIG", "SET", "maxmemory", "1"),
        "read-only": lambda: fresh.tell("REPLICAOF", "127.0.0.1", "1"),
    }
    mends = {
        "away": fresh.start,
        "out of memory": lambda: fresh.tell("CONFIG", "SET", "maxmemory", "0"),
        "read-only": lambda: fresh.tell("REPLICAOF", "NO", "ONE"),
    }
    is_broken = True

    def mend() -> None:
        nonlocal is_broken
        if is_broken:
            mends[request.param]()
        is_broken = False

    breaks[request.param]()
    yield mend
    mend()


def test_notify_succeeds_when_redis_takes_nothing(
    broken: Callable[[], None], sqlite_url: str, fresh: Redis, provider: ScriptedProvider
) -> None:
    settings = Settings(database_url=SecretStr(sqlite_url), broker_url=SecretStr(fresh.url))
    with capture_logs() as lines, NotifyFlow(settings, channels=channels(provider)) as flow:
        notify(flow, "db-1")
        assert states(flow, "db-1") == [NotificationState.QUEUED]
        assert "engine.ring_failed" in [line["event"] for line in lines]
        broken()
        with working(flow):
            assert flow.wait("db-1", timeout_s=DEADLINE_S)
    assert len(provider.letters) == 1


def test_while_redis_takes_nothing_a_worker_delivers_from_its_sweeper(
    broken: Callable[[], None], sqlite_url: str, fresh: Redis, provider: ScriptedProvider
) -> None:
    settings = Settings(database_url=SecretStr(sqlite_url), broker_url=SecretStr(fresh.url))
    with NotifyFlow(settings, channels=channels(provider)) as flow, working(flow):
        notify(flow, "db-1")
        assert flow.wait("db-1", timeout_s=DEADLINE_S)
        broken()
    assert len(provider.letters) == 1


class LaterClock:
    """The system's time, and as much later as a test says."""

    def __init__(self) -> None:
        self.later = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later


def test_what_redis_forgets_is_rung_for_again(fresh: Redis, sqlite_url: str, provider: ScriptedProvider) -> None:
    settings = Settings(database_url=SecretStr(sqlite_url), broker_url=SecretStr(fresh.url))
    clock = LaterClock()
    with NotifyFlow(settings, channels=channels(provider), clock=clock) as flow:
        notify(flow, "db-1")
        fresh.tell("FLUSHALL")
        clock.later = timedelta(seconds=30)
        with working(flow):
            assert flow.wait("db-1", timeout_s=DEADLINE_S)
    assert len(provider.letters) == 1


def test_poisoned_and_foreign_messages_harm_nobody(flow: NotifyFlow, fresh: Redis, provider: ScriptedProvider) -> None:
    foreign = make_broker(fresh.url)
    with redis.Redis.from_url(fresh.url) as client, working(flow), capture_logs() as lines:
        client.hset("notifyflow:email.msgs", "poison", b"\xff\x00 no message")
        client.rpush("notifyflow:email", "poison")
        for ids in ([None], ["x"] * 1000, []):
            BrokerBell(foreign).ring("email", Severity.ERROR, ids)  # type: ignore[arg-type]
        BrokerBell(foreign).ring("fax", Severity.ERROR, ["a queue that nobody reads"])
        notify(flow, "good")
        assert flow.wait("good", timeout_s=DEADLINE_S)
    foreign.client.close()
    events = [line["event"] for line in lines]
    assert "engine.message_unreadable" in events
    assert "engine.message_foreign" in events
    assert len(provider.letters) == 1


@pytest.mark.parametrize(("url", "said"), [("memory://", "no other process hears"), ("amqp://host", "'amqp'")])
def test_a_broker_that_workers_cannot_share_is_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidSettings, match=said):
        make_broker(url)


def test_the_client_repeats_no_command() -> None:
    with connect("redis://127.0.0.1:1/0") as client:
        assert client.get_retry() is not None
        assert client.get_retry()._retries == 0


def test_dramatiq_repeats_nothing_and_interrupts_no_ring_that_may_still_be_answered() -> None:
    broker = make_broker("redis://127.0.0.1:1/0")
    (limit,) = broker.middleware
    assert isinstance(limit, TimeLimit)
    longest_send_s = Settings.from_variables({"NOTIFYFLOW_LEASE_S": "120"}).lease_s / 2
    assert limit.time_limit > 1000 * RING_SIZE * longest_send_s
    broker.client.close()


def test_a_bell_that_cannot_be_rung_says_so_without_waiting_for_long() -> None:
    broker = make_broker("redis://127.0.0.1:1/0")
    with pytest.raises(BrokerUnavailable):
        BrokerBell(broker).ring("email", Severity.ERROR, ["id"])
    broker.client.close()
