"""Rings through Redis."""

from contextlib import suppress

import redis
import structlog
from dramatiq import Consumer, MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.middleware import Middleware
from redis.backoff import NoBackoff
from redis.retry import Retry

from notifyflow.engine.ring import NAMESPACE, is_ring

_log = structlog.get_logger("notifyflow.engine")

_OPTIONS = {"redis_message_id"}


class RedisDoorbell(RedisBroker):
    """The broker; it connects when it is first used."""

    def __init__(self, url: str, *middleware: Middleware) -> None:
        super().__init__(client=connect(url), namespace=NAMESPACE, middleware=list(middleware))  # type: ignore[no-untyped-call]

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

    def close(self) -> None:
        """Let go of the connections."""
        self.client.close()


def connect(url: str) -> "redis.Redis":
    """Make a client that does not wait for long, and does not repeat a command, which might run twice."""
    return redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5, retry=Retry(NoBackoff(), 0))


class _PatientConsumer(_RedisConsumer):
    """Reads past what is no message of ours, and takes every error of Redis for a lost connection.

    Otherwise one undecodable message strands those prefetched behind it (dramatiq#375), and a time-out, which is no
    ``redis.ConnectionError``, leaves a message stuck.
    """

    def __next__(self) -> MessageProxy | None:
        try:
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        except (DecodeError, TypeError):  # the latter for a message whose id is none
            _log.warning("engine.message_unreadable", queue=self.queue_name)
            return None
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None
        if message is not None and not is_ring(message._message, self.queue_name, options=_OPTIONS):
            _log.warning("engine.message_foreign", queue=self.queue_name)
            with suppress(
                KeyError, TypeError
            ):  # one that does not say under which id it is kept stays there, and is not read again
                self.ack(message)  # type: ignore[no-untyped-call]
            return None
        return message
