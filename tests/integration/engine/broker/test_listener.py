"""Rings through Redis are announced: what wakes a consumer, and what becomes of a connection that is lost."""

import socket
import threading
from collections.abc import Iterator
from itertools import islice, takewhile

import pytest
from dramatiq import MessageProxy
from dramatiq.errors import ConnectionClosed

from notifyflow.core.delivery.model import Severity
from notifyflow.engine.broker.brokers import BrokerBell
from notifyflow.engine.broker.listener import TOPIC, Listener
from notifyflow.engine.broker.redis import RedisDoorbell, connect
from notifyflow.engine.broker.ring import NAMESPACE, rung_for
from tests.log_lines import capture_logs
from tests.servers.redis import Redis, redis_server
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
DEADLINE_S = 60
CONNECTING = {"CLIENT", "HELLO", "PING", "SELECT"}
"""What connections and listeners send of their own."""


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with redis_server() as server:
        yield server


@pytest.fixture
def broker(redis: Redis) -> Iterator[RedisDoorbell]:
    redis.execute("FLUSHALL")
    broker = RedisDoorbell(redis.url)
    yield broker
    broker.close()


@pytest.fixture
def rung(broker: RedisDoorbell) -> threading.Event:
    """The event of a queue whose listener is subscribed."""
    event = broker.listener.subscribe("email")
    wait_for_start(broker.listener, event)
    return event


def wait_for_start(listener: Listener, event: threading.Event) -> None:
    wait_until(lambda: listener.is_listening, within_s=DEADLINE_S)
    assert event.wait(DEADLINE_S), "who begins to listen has to fetch what came before"
    event.clear()


def ring(redis: Redis, channel: str = "email", severity: Severity = Severity.ERROR) -> None:
    """Ring from another process, as it were."""
    bell = BrokerBell(RedisDoorbell(redis.url))
    bell.ring(channel, severity, ["n1"])
    bell.close()


def test_a_ring_wakes_the_consumer_of_its_queue_and_no_other(redis: Redis, broker: RedisDoorbell, rung: threading.Event) -> None:
    urgent = broker.listener.subscribe("email.critical")
    ring(redis, severity=Severity.CRITICAL)
    assert urgent.wait(DEADLINE_S)
    assert not rung.is_set()
    ring(redis, "of a plug-in that only others have")
    ring(redis)
    assert rung.wait(DEADLINE_S)


def test_rings_of_a_queue_are_stored_and_announced_in_one_round_trip(redis: Redis, broker: RedisDoorbell) -> None:
    bell = BrokerBell(RedisDoorbell(redis.url))
    bell.ring("email", Severity.ERROR, ["n1"])  # connects and loads the script
    with connect(redis.url).monitor() as monitor:
        bell.ring("email", Severity.ERROR, ["n2"], ["n4", "n5"], ["n6"])
        bell.ring("sms", Severity.CRITICAL, ["n3"])
        redis.execute("ECHO", "end")
        seen = list(takewhile(lambda each: each["command"] != "ECHO end", monitor.listen()))
    sent = [each["command"].split()[0] for each in seen if each["client_type"] != "lua"]
    assert [command for command in sent if command not in CONNECTING] == ["EVALSHA", "EVALSHA"]
    published = [each["command"].split()[-1] for each in seen if each["command"].startswith("publish")]
    assert published == ["email", "sms.critical"]
    consumer = broker.consume("email", prefetch=10, timeout=100)
    assert [rung_for(filter(None, [next(consumer)])) for _ in range(4)] == [["n1"], ["n2"], ["n4", "n5"], ["n6"]]
    bell.close()


def test_one_connection_serves_all_queues_of_a_process(redis: Redis, broker: RedisDoorbell, rung: threading.Event) -> None:
    for queue in ("slack", "sms", "voice"):
        broker.listener.subscribe(queue)
    assert not rung.is_set()
    wait_until(lambda: redis.execute("PUBSUB", "NUMSUB", TOPIC) == [TOPIC.encode(), 1])  # those of earlier tests end
    broker.listener.stop()
    wait_until(lambda: redis.execute("PUBSUB", "NUMSUB", TOPIC) == [TOPIC.encode(), 0])


def test_messages_that_are_put_back_wake_the_consumers_of_other_processes(
    redis: Redis, broker: RedisDoorbell, rung: threading.Event
) -> None:
    ring(redis)
    stopping = RedisDoorbell(redis.url)
    consumer = stopping.consume("email", prefetch=2, timeout=1000)
    message = next(consumer)
    assert message is not None
    assert rung.wait(DEADLINE_S)
    rung.clear()
    returned: list[str] = []
    stopping.stop_reading(returned.extend)
    consumer.requeue([message])
    assert rung.wait(DEADLINE_S)
    assert returned == ["n1"]
    stopping.close()
    message = next(broker.consume("email", prefetch=2, timeout=1000))
    assert message is not None
    assert rung_for([message]) == ["n1"]


@pytest.mark.parametrize("what", ["killed", "restarted"])
def test_a_lost_connection_wakes_the_consumers_and_is_restored(
    redis: Redis, broker: RedisDoorbell, rung: threading.Event, what: str
) -> None:
    with capture_logs() as lines:
        if what == "killed":
            redis.execute("CLIENT", "KILL", "TYPE", "pubsub")
        else:
            redis.stop()
        assert rung.wait(DEADLINE_S)
        rung.clear()
        if what == "restarted":
            redis.start()
        wait_until(lambda: broker.listener.is_listening, within_s=DEADLINE_S)
        assert rung.wait(DEADLINE_S), "it may have missed a ring meanwhile"
        rung.clear()
        ring(redis)
        assert rung.wait(DEADLINE_S)
    assert [line["event"] for line in lines] == ["engine.listener_lost", "engine.listener_restored"]


def test_a_flush_leaves_the_listener_subscribed(redis: Redis, rung: threading.Event) -> None:
    redis.execute("FLUSHALL")
    ring(redis)
    assert rung.wait(DEADLINE_S)


def test_a_redis_that_falls_silent_is_given_up(redis: Redis) -> None:
    listener = Listener(connect(redis.url), read_s=0.05)
    rung = listener.subscribe("email")
    wait_for_start(listener, rung)
    with capture_logs() as lines:
        redis.execute("CLIENT", "PAUSE", "3000", "ALL")
        assert rung.wait(DEADLINE_S)
        wait_until(lambda: "engine.listener_restored" in [line["event"] for line in lines], within_s=DEADLINE_S)
    assert ("engine.listener_lost", "TimeoutError") in [(line["event"], line.get("error")) for line in lines]
    listener.stop()


def test_a_quiet_redis_is_not_given_up(redis: Redis) -> None:
    listener = Listener(connect(redis.url), read_s=0.2)
    rung = listener.subscribe("email")
    wait_for_start(listener, rung)
    with capture_logs() as lines:
        assert not rung.wait(3)
    assert lines == []
    assert listener.is_listening
    listener.stop()


def test_without_the_permission_to_publish_or_subscribe_rings_are_polled_for(redis: Redis) -> None:
    redis.execute("ACL", "SETUSER", "poor", "on", ">secret", "~*", "+@all", "resetchannels")
    broker = RedisDoorbell(redis.url.replace("//", "//poor:secret@"))
    with capture_logs() as lines:
        consumer = broker.consume("email", prefetch=2, timeout=100)
        BrokerBell(broker).ring("email", Severity.ERROR, ["n1"])
        message = next(filter(None, consumer))
        wait_until(
            lambda: ("engine.listener_lost", "NoPermissionError") in [(each["event"], each.get("error")) for each in lines]
        )
    assert rung_for([message]) == ["n1"]
    broker.close()


def test_a_consumer_that_is_full_fetches_again_when_some_are_handled(redis: Redis, broker: RedisDoorbell) -> None:
    for _ in range(6):
        ring(redis)
    consumer = broker.consume("email", prefetch=4, timeout=100)
    messages = [next(consumer) for _ in range(4)]
    assert all(messages)
    more: list[MessageProxy] = []
    reading = threading.Thread(target=lambda: more.extend(islice(filter(None, consumer), 2)))
    reading.start()
    for message in messages[:2]:
        assert message is not None
        consumer.ack(message)
    reading.join(DEADLINE_S)
    assert len(more) == 2


def kept(redis: Redis) -> object:
    return redis.execute("HLEN", f"{NAMESPACE}:email.msgs")


@pytest.mark.usefixtures("rung")  # a listener that begins later wakes the consumer once more
def test_handled_messages_are_removed_by_the_next_fetch(redis: Redis, broker: RedisDoorbell) -> None:
    for _ in range(4):
        ring(redis)
    consumer = broker.consume("email", prefetch=4, timeout=100)
    messages = [next(consumer) for _ in range(4)]
    with connect(redis.url).monitor() as monitor:
        for message in messages[:3]:
            assert message is not None
            consumer.ack(message)
        redis.execute("ECHO", "handled")
        assert next(consumer) is None
        redis.execute("ECHO", "end")
        seen = list(takewhile(lambda each: each["command"] != "ECHO end", monitor.listen()))
    sent = [each["command"].split()[0] for each in seen if each["client_type"] != "lua"]
    assert [command for command in sent if command not in CONNECTING | {"PUBLISH"}] == ["ECHO", "EVALSHA"]
    assert kept(redis) == 1
    assert messages[3] is not None
    consumer.ack(messages[3])
    consumer.close()
    assert kept(redis) == 0
    assert redis.execute("KEYS", f"{NAMESPACE}:__acks__*") == []


def test_what_redis_refuses_to_remove_is_removed_later(redis: Redis) -> None:
    redis.execute("FLUSHALL")
    redis.execute("ACL", "SETUSER", "worker", "on", ">secret", "~*", "&*", "+@all")
    broker = RedisDoorbell(redis.url.replace("//", "//worker:secret@"))
    for _ in range(2):
        ring(redis)
    consumer = broker.consume("email", prefetch=4, timeout=100)
    messages = [next(consumer) for _ in range(2)]
    redis.execute("ACL", "SETUSER", "worker", "-evalsha")
    for message in messages:
        assert message is not None
        consumer.ack(message)  # who sends does not notice
    with pytest.raises(ConnectionClosed):
        next(consumer)
    consumer.close()  # which dramatiq does, to begin anew
    assert kept(redis) == 2
    redis.execute("ACL", "SETUSER", "worker", "+evalsha")
    assert next(broker.consume("email", prefetch=4, timeout=100)) is None
    assert kept(redis) == 0
    broker.close()


def test_a_server_that_accepts_and_says_nothing_does_not_count_as_listening() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        listener = Listener(connect(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"), read_s=0.05)
        listener.subscribe("email")
        assert not listener.is_listening
        listener.stop()
