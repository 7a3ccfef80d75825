"""Rings through RabbitMQ, with confirmed publishing.

Rings need not survive the server: messages are kept in memory, queues are durable only because RabbitMQ 4 requires it, and there
are no queues for delayed or dead messages. A pika connection belongs to one thread at a time: each queue is read over its own,
and all threads publish over one, in turn (dramatiq's connections, one for each thread, stay open after their threads).
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from copy import copy
from typing import Any

import pika
from dramatiq import Consumer, Message, MessageProxy
from dramatiq.brokers.rabbitmq import RabbitmqBroker, _RabbitmqConsumer, _RabbitmqMessage
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.logging import get_logger as get_dramatiq_logger
from dramatiq.middleware import Middleware
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import AMQPError, ConnectionBlockedTimeout

from notifyflow.engine.broker.ring import NAMESPACE, GiveBack, is_ring
from notifyflow.log import get_logger

_log = get_logger("notifyflow.engine")

_LOST = (AMQPError, AMQPConnectorException, OSError)
_TIMEOUT_S = 2.0
_HEARTBEAT_S = 5
_PAUSE_S = 0.1


class RabbitmqDoorbell(RabbitmqBroker):
    """The broker; it connects on first use."""

    def __init__(self, url: str, *middleware: Middleware) -> None:
        super().__init__(url=url, middleware=list(middleware))
        self.address = pika.URLParameters(url)
        self.address.connection_attempts = 1
        self.address.socket_timeout = self.address.stack_timeout = _TIMEOUT_S
        self.address.heartbeat = 0  # a thread that rings only rarely sends none, and would be disconnected
        self.is_read = True
        self._turn = threading.Lock()
        self._line: _Line | None = None

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Read a queue, over a connection of its own.

        Raises:
            ConnectionClosed: When RabbitMQ is unavailable.
        """
        return _RingConsumer(self, queue_name, prefetch, timeout)

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Declare a queue; the first read or ring creates it."""
        del ensure
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Put a message into its queue, and wait for RabbitMQ's confirmation.

        Raises:
            ConnectionClosed: When it is not confirmed within a few seconds.
        """
        del delay
        if not self._turn.acquire(timeout=2 * _TIMEOUT_S):
            raise ConnectionClosed(TimeoutError("other threads are waiting for RabbitMQ"))
        try:
            self._publish(message, may_repeat=self._line is not None)
        except _LOST as error:
            raise ConnectionClosed(error) from None
        finally:
            self._turn.release()
        return message

    def enqueue_all(self, messages: Iterable[Message[Any]]) -> None:
        """Put messages into their queues, as ``enqueue`` does."""
        for message in messages:
            self.enqueue(message)

    def stop_reading(self, give_back: GiveBack) -> None:
        """Read no further ring; RabbitMQ gives those that were fetched and not handled to other readers."""
        del give_back
        self.is_read = False

    def close(self) -> None:
        """Close the connection, properly if RabbitMQ answers."""
        with self._turn:
            self._hang_up()

    def _publish(self, message: Message[Any], *, may_repeat: bool) -> None:
        """Publish; repeat that over a new connection if the old one is dead, or its queue is gone."""
        try:
            self._line = self._line or _Line(self.address)
            self._line.publish(f"{NAMESPACE}.{message.queue_name}", message.encode())
        except _LOST:
            self._hang_up()
            if not may_repeat:
                raise
            self._publish(message, may_repeat=False)

    def _hang_up(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()


class _Line:
    """A connection over which one thread at a time publishes, and the queues it has declared."""

    def __init__(self, address: pika.ConnectionParameters) -> None:
        self._connection = pika.BlockingConnection(address)
        self._queues: set[str] = set()
        with self._patience():
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()

    def publish(self, queue: str, body: bytes) -> None:
        """Publish a message, and wait until it is confirmed."""
        with self._patience():
            if queue not in self._queues:
                self._channel.queue_declare(queue, durable=True)
                self._queues.add(queue)
            self._channel.basic_publish(exchange="", routing_key=queue, body=body, mandatory=True)

    def close(self) -> None:
        """Close the connection, unless it is dead."""
        with suppress(*_LOST):
            if self._connection.is_open:
                with self._patience():
                    self._connection.close()

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Abort the connection if the block takes too long; pika would wait for ever."""
        connection = self._connection._impl
        too_long = ConnectionBlockedTimeout("RabbitMQ does not answer")
        timer = connection.ioloop.call_later(_TIMEOUT_S, lambda: connection._terminate_stream(too_long))
        try:
            yield
        finally:
            connection.ioloop.remove_timeout(timer)


class _RingConsumer(_RabbitmqConsumer):
    """Reads one queue, skipping foreign messages."""

    broker: RabbitmqDoorbell

    def __init__(self, broker: RabbitmqDoorbell, queue_name: str, prefetch: int, timeout: int) -> None:
        self.broker, self.queue_name = broker, queue_name
        self.logger = get_dramatiq_logger(__name__, type(self))
        self.known_tags: set[int] = set()
        self._is_reading = True
        address = copy(broker.address)
        address.heartbeat = _HEARTBEAT_S
        try:
            self.connection = pika.BlockingConnection(address)
        except _LOST as error:
            raise ConnectionClosed(error) from None
        try:
            self.channel = self.connection.channel()
            self.channel.basic_qos(prefetch_count=prefetch)
            self.channel.queue_declare(f"{NAMESPACE}.{queue_name}", durable=True)
        except _LOST as error:
            self.close()  # type: ignore[no-untyped-call]
            raise ConnectionClosed(error) from None
        self.iterator = self.channel.consume(f"{NAMESPACE}.{queue_name}", inactivity_timeout=timeout / 1000)

    def __next__(self) -> MessageProxy | None:
        if not self.broker.is_read:
            self._rest()
            return None
        try:
            method, _, body = next(self.iterator)
        except (*_LOST, AssertionError) as error:  # the latter is raised for a connection that is being closed
            raise ConnectionClosed(error) from None
        if method is None:
            return None
        try:
            message = Message.decode(body)
        except DecodeError:
            _log.warning("engine.message_unreadable", queue=self.queue_name)
        else:
            if is_ring(message, self.queue_name):
                self.known_tags.add(method.delivery_tag)
                return _RabbitmqMessage(method.redelivered, method.delivery_tag, message)
            _log.warning("engine.message_foreign", queue=self.queue_name)
        self.channel.basic_ack(method.delivery_tag)
        return None

    def _rest(self) -> None:
        """Return fetched messages, and keep the connection alive for messages still to be acknowledged."""
        try:
            if self._is_reading:
                self._is_reading = False
                self.channel.cancel()
            self.connection.process_data_events(time_limit=_PAUSE_S)
        except (*_LOST, AssertionError) as error:
            raise ConnectionClosed(error) from None

    def ack(self, message: MessageProxy) -> None:
        """Remove a message from the queue; if the connection is gone, the message comes again, which does no harm."""
        with suppress(ConnectionClosed):
            super().ack(message)  # type: ignore[no-untyped-call]

    nack = ack
