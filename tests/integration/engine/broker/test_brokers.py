"""The doorbell over a real Redis and a real RabbitMQ: what it survives, and what survives without it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from dramatiq import Broker, Worker
from dramatiq.middleware import TimeLimit
from pydantic import SecretStr

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.core.delivery.model import NotificationState
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.engine.actors import URGENT
from notifyflow.engine.broker.brokers import BrokerBell, make_broker
from notifyflow.engine.broker.redis import connect
from notifyflow.engine.reporter import RING_SIZE
from notifyflow.errors import BrokerUnavailable, InvalidSettings
from notifyflow.settings import LONGEST_SEND_S
from tests.integration.engine.brokers import QUEUES, RabbitmqBroker, RedisBroker, SharedBroker, poisons
from tests.integration.engine.scripted import ScriptedChannel, ScriptedProvider, channels
from tests.log_lines import capture_logs
from tests.servers.rabbitmq import rabbitmq_server
from tests.servers.redis import redis_server
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
DEADLINE_S = 60
ADA = Recipient(id="ada", email="ada@example.com")
BROKERS = ("redis", "rabbitmq")
TROUBLES = [("redis", "away"), ("redis", "out of memory"), ("redis", "read-only")]
TROUBLES += [("rabbitmq", "away"), ("rabbitmq", "frozen"), ("rabbitmq", "out of memory")]


class LaterClock:
    """The system's time, and as much later as a test says."""

    def __init__(self) -> None:
        self.later = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later


@pytest.fixture(scope="module")
def _redis() -> Iterator[RedisBroker]:
    with redis_server() as running:
        yield RedisBroker(running)


@pytest.fixture(scope="module")
def _rabbitmq() -> Iterator[RabbitmqBroker]:
    with rabbitmq_server() as running:
        yield RabbitmqBroker(running)


@pytest.fixture(params=BROKERS)
def shared(request: pytest.FixtureRequest) -> SharedBroker:
    """A server with nothing of ours in it, one of each kind in turn."""
    found: SharedBroker = request.getfixturevalue(f"_{request.param}")
    found.forget()
    return found


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def settings(shared: SharedBroker, sqlite_url: str) -> Settings:
    return Settings(database_url=SecretStr(sqlite_url), broker_url=SecretStr(shared.url), bundling=False)


@pytest.fixture
def flow(settings: Settings, provider: ScriptedProvider) -> Iterator[NotifyFlow]:
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


def states(flow: NotifyFlow, key: str) -> list[NotificationState]:
    status = flow.status(key)
    return [row.state for escalation in status.escalations for row in escalation.notifications]


def is_rung(flow: NotifyFlow, key: str) -> bool:
    status = flow.status(key)
    return any(row.rung_at for escalation in status.escalations for row in escalation.notifications)


def notify(flow: NotifyFlow, key: str, severity: Severity = Severity.ERROR) -> None:
    flow.notify(Incident(key=key, title="t", severity=severity), [ADA])


def test_a_worker_handles_rings_of_both_urgencies(flow: NotifyFlow, provider: ScriptedProvider) -> None:
    with working(flow):
        notify(flow, "calm")
        notify(flow, "urgent", Severity.CRITICAL)
        assert flow.wait("calm", timeout_s=DEADLINE_S)
        assert flow.wait("urgent", timeout_s=DEADLINE_S)
    assert len(provider.messages) == 2


def test_messages_hold_ids_only(flow: NotifyFlow, shared: SharedBroker) -> None:
    notify(flow, "secret-key")
    stored = shared.stored()
    assert len(stored) == 1
    assert b"ada@example.com" not in stored[0]
    assert b"secret-key" not in stored[0]


def test_the_queues_are_two_a_channel_and_none_for_delays(flow: NotifyFlow, shared: SharedBroker) -> None:
    with working(flow) as broker:
        assert broker.get_declared_queues() == set(QUEUES)
        assert broker.get_declared_delay_queues() == set()
        notify(flow, "db-1")
        assert flow.wait("db-1", timeout_s=DEADLINE_S)
    assert shared.names() <= set(QUEUES)


@pytest.fixture(params=TROUBLES, ids=lambda trouble: " ".join(trouble))
def trouble(request: pytest.FixtureRequest) -> Iterator[tuple[SharedBroker, Callable[[], None], Callable[[], None]]]:
    """A broker, what makes it take nothing, and what mends it again."""
    kind, what = request.param
    found: SharedBroker = request.getfixturevalue(f"_{kind}")
    found.forget()
    begin, end = found.troubles[what]
    is_broken = False

    def start() -> None:
        nonlocal is_broken
        begin()
        is_broken = True

    def mend() -> None:
        nonlocal is_broken
        if is_broken:
            end()
        is_broken = False

    yield found, start, mend
    mend()


Trouble = tuple[SharedBroker, Callable[[], None], Callable[[], None]]


def test_notify_succeeds_while_the_broker_accepts_nothing_and_the_sweeper_delivers(
    trouble: Trouble, sqlite_url: str, provider: ScriptedProvider
) -> None:
    shared, start, mend = trouble
    settings = Settings(database_url=SecretStr(sqlite_url), broker_url=SecretStr(shared.url), bundling=False)
    clock = LaterClock()
    with capture_logs() as lines, NotifyFlow(settings, channels=channels(provider), clock=clock) as flow:
        notify(flow, "before")
        start()
        notify(flow, "meanwhile")
        assert states(flow, "meanwhile") == [NotificationState.QUEUED]
        assert "engine.ring_failed" in [line["event"] for line in lines]
        with working(flow):
            assert flow.wait("meanwhile", timeout_s=DEADLINE_S)
            mend()
            clock.later = timedelta(seconds=30)  # the ring of the first may have been lost
            assert flow.wait("before", timeout_s=DEADLINE_S)
            notify(flow, "after")
            assert flow.wait("after", timeout_s=DEADLINE_S)
    assert len(provider.messages) == 3


@pytest.mark.parametrize("trouble", [(kind, "away") for kind in BROKERS], indirect=True, ids=BROKERS)
def test_a_provider_that_hangs_holds_up_nobody_else_while_the_broker_accepts_nothing(trouble: Trouble, sqlite_url: str) -> None:
    shared, start, _ = trouble
    over = threading.Event()

    def hang(_: OutboundMessage) -> None:
        over.wait(DEADLINE_S)

    hanging, other = ScriptedProvider([hang] * 20), ScriptedProvider()
    other.name = "other"
    known = channels(hanging) | {"teams": ScriptedChannel(other, name="teams")}
    settings = Settings(database_url=SecretStr(sqlite_url), broker_url=SecretStr(shared.url), bundling=False)
    with NotifyFlow(settings, channels=known) as flow, working(flow):
        start()
        flow.notify(Incident(key="hung", title="t"), [Recipient(id=f"p{n}", email=f"p{n}@example.com") for n in range(20)])
        wait_until(lambda: len(hanging.messages) > 0, within_s=DEADLINE_S)
        bob = Recipient(id="bob", addresses={"teams": "bob@example.com"})
        for severity in (Severity.CRITICAL, Severity.INFO):
            flow.notify(Incident(key=severity.value, title="t", severity=severity), [bob])
            assert flow.wait(severity.value, timeout_s=DEADLINE_S)
        assert not flow.wait("hung", timeout_s=0)
        over.set()
        assert flow.wait("hung", timeout_s=DEADLINE_S)
    assert len(hanging.messages) == 20


def test_what_the_broker_forgets_is_rung_for_again(settings: Settings, shared: SharedBroker, provider: ScriptedProvider) -> None:
    clock = LaterClock()
    with NotifyFlow(settings, channels=channels(provider), clock=clock) as flow:
        notify(flow, "db-1")
        shared.forget()
        clock.later = timedelta(seconds=30)
        with working(flow):
            assert flow.wait("db-1", timeout_s=DEADLINE_S)
    assert len(provider.messages) == 1


def test_where_leases_are_short_it_is_rung_for_again_as_soon(
    shared: SharedBroker, sqlite_url: str, provider: ScriptedProvider
) -> None:
    given = {
        "DATABASE_URL": sqlite_url,
        "BROKER_URL": shared.url,
        "LEASE_S": "5",
        "CONNECT_TIMEOUT_S": "1",
        "READ_TIMEOUT_S": "2",
    }
    settings = Settings.from_variables({f"NOTIFYFLOW_{name}": value for name, value in given.items()})
    clock = LaterClock()
    with NotifyFlow(settings, channels=channels(provider), clock=clock) as flow:
        notify(flow, "db-1")
        shared.forget()
        clock.later = timedelta(seconds=5)
        with working(flow):
            assert flow.wait("db-1", timeout_s=20)  # a ring is repeated after 30 s otherwise


def test_queues_that_vanish_under_a_worker_are_made_again(flow: NotifyFlow, shared: SharedBroker) -> None:
    with working(flow):
        notify(flow, "before")
        assert flow.wait("before", timeout_s=DEADLINE_S)
        shared.forget()
        notify(flow, "after")
        assert flow.wait("after", timeout_s=DEADLINE_S)


def test_poisoned_and_foreign_messages_harm_nobody(flow: NotifyFlow, shared: SharedBroker, provider: ScriptedProvider) -> None:
    bodies = poisons("email")
    with capture_logs() as lines:
        with working(flow):
            notify(flow, "first")
            assert flow.wait("first", timeout_s=DEADLINE_S)
        for body in bodies:
            shared.put("email", body)
        notify(flow, "good")
        with working(flow):
            assert flow.wait("good", timeout_s=DEADLINE_S)
            notify(flow, "later")
            assert flow.wait("later", timeout_s=DEADLINE_S)
    passed_over = [line["event"] for line in lines if line["event"].startswith("engine.message_")]
    assert len(passed_over) == len(bodies)
    assert set(passed_over) == {"engine.message_unreadable", "engine.message_foreign"}
    assert len(provider.messages) == 3


def test_many_threads_ring_at_once(flow: NotifyFlow, provider: ScriptedProvider) -> None:
    def notify_some(first: int) -> None:
        for number in range(first, first + 5):
            notify(flow, f"k{number}")

    threads = [threading.Thread(target=notify_some, args=(5 * number,)) for number in range(8)]
    with working(flow):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_S)
        for number in range(40):
            assert flow.wait(f"k{number}", timeout_s=DEADLINE_S)
    assert len(provider.messages) == 40


def test_a_busy_thread_gives_way_to_a_critical_page_over_another_channel(settings: Settings) -> None:
    """Both threads that the only place makes are busy; the page leaves as soon as one send is over."""
    go_on, all_over, is_busy = threading.Event(), threading.Event(), threading.Barrier(3)
    started: list[str] = []

    def wait(message: OutboundMessage) -> None:
        started.append(message.content.key)
        is_busy.wait(DEADLINE_S)
        go_on.wait(DEADLINE_S)

    def hang(message: OutboundMessage) -> None:
        wait(message)
        all_over.wait(DEADLINE_S)

    busy, hanging, urgent = ScriptedProvider(), ScriptedProvider(), ScriptedProvider()
    busy.name, hanging.name, urgent.name = "busy", "hanging", "urgent"
    busy.script.extend([wait, lambda message: started.append(message.content.key)])
    hanging.script.append(hang)
    urgent.script.append(lambda message: started.append(message.content.key))
    known = channels(busy) | {
        "slack": ScriptedChannel(hanging, name="slack"),
        "teams": ScriptedChannel(urgent, name="teams"),
    }
    with NotifyFlow(settings, channels=known) as flow:
        broker = flow.make_worker()
        worker = Worker(broker, worker_threads=1, worker_timeout=100)
        worker.start()
        flow.notify(Incident(key="bulk", title="t"), [Recipient(id=f"p{n}", email=f"p{n}@example.com") for n in range(40)])
        flow.notify(Incident(key="hung", title="t"), [Recipient(id="bob", addresses={"slack": "bob@example.com"})])
        is_busy.wait(DEADLINE_S)
        critical = Incident(key="critical", title="t", severity=Severity.CRITICAL)
        flow.notify(critical, [Recipient(id="ada", addresses={"teams": "ada@example.com"})])
        wait_until(lambda: any(item.priority == URGENT for item in list(worker.work_queue.queue)), within_s=DEADLINE_S)
        go_on.set()
        assert flow.wait("critical", timeout_s=DEADLINE_S)
        all_over.set()
        worker.stop()
        broker.close()
    assert started[2] == "critical"


@pytest.mark.parametrize("is_away", [False, True], ids=["there", "away"])
def test_a_worker_that_stops_gives_back_what_it_has_fetched_and_ends_without_a_traceback(
    settings: Settings, shared: SharedBroker, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture, is_away: bool
) -> None:
    hang, is_hanging = threading.Event(), threading.Barrier(3)

    def wait(_: OutboundMessage) -> None:
        is_hanging.wait(DEADLINE_S)
        hang.wait(DEADLINE_S)

    begin, end = shared.troubles["away"]
    provider.script.append(wait)
    other = ScriptedProvider([wait])
    other.name = "other"
    with NotifyFlow(settings, channels=channels(provider) | {"slack": ScriptedChannel(other, name="slack")}) as flow:
        broker = flow.make_worker()
        worker = Worker(broker, worker_threads=1, worker_timeout=100)
        worker.start()
        notify(flow, "sent")
        flow.notify(Incident(key="in reserve", title="t"), [Recipient(id="ada", addresses={"slack": "ada@example.com"})])
        is_hanging.wait(DEADLINE_S)  # both threads that one place makes are busy
        notify(flow, "fetched")
        wait_until(lambda: worker.work_queue.qsize() == 1, within_s=DEADLINE_S)
        if is_away:
            begin()
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        wait_until(lambda: not is_rung(flow, "fetched"), within_s=20)  # a ring is repeated after 30 s
        hang.set()
        stopping.join(DEADLINE_S)
        assert not stopping.is_alive()
        broker.close()
        if is_away:
            end()
        assert states(flow, "sent") == [NotificationState.SENT]
        assert states(flow, "fetched") == [NotificationState.QUEUED]
    records = [record for record in caplog.records if not record.name.startswith("pika")]  # which a worker keeps silent
    assert not [record.getMessage() for record in records if record.exc_info]


@pytest.mark.parametrize(("url", "reason"), [("memory://", "reach no other process"), ("kafka://host", "'kafka'")])
def test_a_broker_that_workers_cannot_share_is_refused(url: str, reason: str) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        make_broker(url)


def test_the_client_repeats_no_command() -> None:
    with connect("redis://127.0.0.1:1/0") as client:
        assert client.get_retry() is not None
        assert client.get_retry()._retries == 0


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_bell_that_cannot_be_rung_says_so(scheme: str) -> None:
    bell = BrokerBell(make_broker(f"{scheme}://127.0.0.1:1/0"))
    for _ in range(2):
        with pytest.raises(BrokerUnavailable):
            bell.ring("email", Severity.ERROR, ["id"])
    bell.close()


def test_nobody_waits_for_ever_for_a_server_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bell = BrokerBell(make_broker(f"amqp://127.0.0.1:{silent.getsockname()[1]}"))
        with pytest.raises(BrokerUnavailable):
            bell.ring("email", Severity.ERROR, ["id"])
        bell.close()


def test_dramatiq_repeats_nothing_and_interrupts_no_running_ring() -> None:
    broker = make_broker("redis://127.0.0.1:1/0")
    (limit,) = broker.middleware
    assert isinstance(limit, TimeLimit)
    assert limit.time_limit > 1000 * RING_SIZE * LONGEST_SEND_S
    broker.client.close()
