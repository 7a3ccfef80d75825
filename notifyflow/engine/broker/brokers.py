"""Makes the broker: inside this process, Redis, or RabbitMQ.

A broker carries rings only: no delayed messages (their queues are not declared), no retries and no results; time and outcomes are
in the rows.
"""

from collections.abc import Iterable, Sequence
from queue import Queue
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from dramatiq import Message
from dramatiq.brokers.stub import StubBroker
from dramatiq.common import iter_queue
from dramatiq.errors import DramatiqError
from dramatiq.middleware import TimeLimit

from notifyflow.core.delivery.model import Severity
from notifyflow.engine.broker.ring import GiveBack, make_ring, queue_name, rung_for
from notifyflow.errors import BrokerUnavailable, Fault, InvalidSettings

if TYPE_CHECKING:
    from notifyflow.engine.broker.rabbitmq import RabbitmqDoorbell
    from notifyflow.engine.broker.redis import RedisDoorbell

    Doorbell: TypeAlias = RedisDoorbell | RabbitmqDoorbell
    """A broker shared by processes."""

_TIME_LIMIT_MS = 600_000  # far above any lease, since it interrupts at any bytecode


def make_broker(url: str) -> "Doorbell":
    """Return the broker of a URL; it connects on first use. Clients of other kinds of brokers are not loaded.

    Raises:
        InvalidSettings: When processes cannot share it.
    """
    match urlsplit(url).scheme:
        case "redis" | "rediss":
            from notifyflow.engine.broker.redis import RedisDoorbell

            return RedisDoorbell(url, TimeLimit(time_limit=_TIME_LIMIT_MS))
        case "amqp" | "amqps":
            from notifyflow.engine.broker.rabbitmq import RabbitmqDoorbell

            return RabbitmqDoorbell(url, TimeLimit(time_limit=_TIME_LIMIT_MS))
        case "memory":
            what = "is memory://, whose rings reach no other process, so a worker has nothing to do"
        case scheme:
            what = f"has the scheme {scheme!r}, for which there is no broker"
    remedy = "Give redis://HOST or amqp://HOST, or let the process that notifies deliver (`notifyflow up`, NotifyFlow.notify)"
    raise InvalidSettings((Fault("NOTIFYFLOW_BROKER_URL", what, remedy),))


class BrokerBell:
    """Rings by putting messages of ids into the channel's queue."""

    def __init__(self, broker: "EmbeddedBroker | Doorbell") -> None:
        self._broker = broker

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        """Put a message for each ring into the channel's queue.

        Raises:
            BrokerUnavailable: When the broker does not accept it for any reason (unavailable, out of memory, read-only).
        """
        try:
            self._broker.enqueue_all([make_ring(queue_name(channel, severity), each) for each in rings])
        except (DramatiqError, OSError) as error:
            raise BrokerUnavailable("the broker cannot be rung; the sweeper rings again") from error.__cause__ or error

    def close(self) -> None:
        """Close the broker's connections."""
        self._broker.close()


class EmbeddedBroker(StubBroker):
    """Rings inside this process."""

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue, without the one for delayed messages."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = Queue()
            self.emit_after("declare_queue", queue_name)

    def enqueue_all(self, messages: Iterable[Message[Any]]) -> None:
        """Put messages into their queues."""
        for message in messages:
            self.enqueue(message)

    def stop_reading(self, give_back: GiveBack) -> None:
        """Give back every unread ring; may be called again for later ones."""
        bodies = [body for queue in self.queues.values() for body in iter_queue(queue)]
        give_back(rung_for(Message.decode(body) for body in bodies))
