"""Makes the broker, explicitly and once: inside this process, or Redis.

It carries rings and nothing else. So there are no delayed messages (their queues are not even declared), no retries and no
results: time and outcomes belong to the rows.
"""

from collections.abc import Sequence
from queue import Queue
from urllib.parse import urlsplit

import redis
import structlog
from dramatiq import Broker, Consumer, Message, MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import ConnectionClosed, DecodeError, DramatiqError
from dramatiq.middleware import TimeLimit
from redis.backoff import NoBackoff
from redis.retry import Retry

from notifyflow.core.model import Severity
from notifyflow.errors import BrokerUnavailable, Fault, InvalidSettings

_log = structlog.get_logger("notifyflow.engine")

NAMESPACE = "notifyflow"
_TIME_LIMIT_MS = 600_000  # far above any lease: it strikes at any bytecode


def make_broker(url: str) -> "DoorbellBroker":
    """Make the broker that a URL names; it connects when it is first used.

    Raises:
        InvalidSettings: When it is none that processes can share.
    """
    match urlsplit(url).scheme:
        case "redis" | "rediss":
            middleware = [TimeLimit(time_limit=_TIME_LIMIT_MS)]
            return DoorbellBroker(client=connect(url), namespace=NAMESPACE, middleware=middleware)  # type: ignore[no-untyped-call]
        case "memory":
            what = "is memory://, whose rings no other process hears: there is nothing here for a worker to do"
        case scheme:
            what = f"has the scheme {scheme!r}, for which there is no broker"
    remedy = "Give redis://HOST:PORT, or let the process that notifies deliver (`notifyflow up`, NotifyFlow.notify)"
    raise InvalidSettings((Fault("NOTIFYFLOW_BROKER_URL", what, remedy),))


def connect(url: str) -> "redis.Redis":
    """Make a client that does not wait for long, and does not repeat a command, which might run twice."""
    return redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5, retry=Retry(NoBackoff(), 0))


def queue_name(channel: str, severity: Severity) -> str:
    """Name the queue a notification is rung in: two a channel, since priorities do not reorder a queue."""
    return f"{channel}.critical" if severity is Severity.CRITICAL else channel


class BrokerBell:
    """Rings by putting a message of ids into the channel's queue."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def ring(self, channel: str, severity: Severity, notification_ids: Sequence[str]) -> None:
        """Ring for notifications of one channel.

        Raises:
            BrokerUnavailable: When the broker does not take it, for whatever reason (away, out of memory, read-only).
        """
        name = queue_name(channel, severity)
        try:
            self._broker.enqueue(Message(queue_name=name, actor_name=name, args=(list(notification_ids),), kwargs={}, options={}))
        except (redis.RedisError, DramatiqError, OSError) as error:
            raise BrokerUnavailable("the broker cannot be rung; the sweeper rings again") from error


class EmbeddedBroker(StubBroker):
    """Rings inside this process."""

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, without the one for delayed messages."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = Queue()
            self.emit_after("declare_queue", queue_name)


class DoorbellBroker(RedisBroker):
    """Rings through Redis."""

    @property
    def consumer_class(self) -> type[Consumer]:
        """What reads a queue."""
        return _PatientConsumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, without the one for delayed messages, which would be polled for nothing."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)


class _PatientConsumer(_RedisConsumer):
    """Reads past what is no message of ours, and takes every error of Redis for a lost connection.

    Otherwise one undecodable message strands those prefetched behind it (dramatiq#375), and a time-out, which is no
    ``redis.ConnectionError``, leaves a message stuck.
    """

    def __next__(self) -> MessageProxy | None:
        try:
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        except DecodeError:
            _log.warning("engine.message_unreadable", queue=self.queue_name)
            return None
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        return message
