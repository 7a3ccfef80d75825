"""The brokers that workers share, each with what can be done to it, so that one suite runs over all of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import redis
from dramatiq import Message

from notifyflow.engine.broker.ring import NAMESPACE
from tests.servers.rabbitmq import RabbitMq
from tests.servers.redis import Redis

QUEUES = tuple(channel + end for channel in ("email", "slack", "teams", "push", "sms", "voice") for end in ("", ".critical"))


class SharedBroker(ABC):
    """One server, looked at from outside.

    Attributes:
        url: What ``NOTIFYFLOW_BROKER_URL`` says.
        troubles: How it can be broken so that it takes nothing, and mended.
    """

    url: str
    troubles: Mapping[str, tuple[Callable[[], object], Callable[[], object]]]

    @abstractmethod
    def forget(self) -> None:
        """Lose every ring."""

    @abstractmethod
    def put(self, queue: str, body: bytes) -> None:
        """Put anything into a queue."""

    @abstractmethod
    def stored(self) -> list[bytes]:
        """Read all that is in the queues."""

    @abstractmethod
    def names(self) -> set[str]:
        """Name all that is kept in it for us, without our prefix."""


class RedisBroker(SharedBroker):
    def __init__(self, server: Redis) -> None:
        self._server = server
        self.url = server.url
        self.troubles = {
            "away": (server.stop, server.start),
            "out of memory": (lambda: self._set("maxmemory", "1"), lambda: self._set("maxmemory", "0")),
            "read-only": (
                lambda: server.execute("REPLICAOF", "127.0.0.1", "1"),
                lambda: server.execute("REPLICAOF", "NO", "ONE"),
            ),
        }

    def forget(self) -> None:
        self._server.execute("FLUSHALL")

    def put(self, queue: str, body: bytes) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.hset(f"{NAMESPACE}:{queue}.msgs", body, body)
            client.rpush(f"{NAMESPACE}:{queue}", body)

    def stored(self) -> list[bytes]:
        with redis.Redis.from_url(self.url) as client:
            return [body for name in client.scan_iter(f"{NAMESPACE}:*.msgs") for body in client.hgetall(name).values()]

    def names(self) -> set[str]:
        with redis.Redis.from_url(self.url) as client:
            found = {name.decode() for name in client.scan_iter(f"{NAMESPACE}:*")}
        return {name.removeprefix(f"{NAMESPACE}:").removesuffix(".msgs") for name in found if "__" not in name}

    def _set(self, name: str, value: str) -> None:
        self._server.execute("CONFIG", "SET", name, value)


class RabbitmqBroker(SharedBroker):
    def __init__(self, server: RabbitMq) -> None:
        self._server = server
        self.url = server.url
        self.troubles = {
            "away": (server.stop, server.start),
            "frozen": (server.freeze, server.thaw),
            "out of memory": (lambda: server.control("set_vm_memory_high_watermark", "0.00001"), self._give_memory),
        }

    def forget(self) -> None:
        with self._server.connect() as connection:
            for queue in QUEUES:
                connection.channel().queue_delete(f"{NAMESPACE}.{queue}")

    def put(self, queue: str, body: bytes) -> None:
        with self._server.connect() as connection:
            connection.channel().basic_publish("", f"{NAMESPACE}.{queue}", body)

    def stored(self) -> list[bytes]:
        bodies = []
        with self._server.connect() as connection:
            channel = connection.channel()
            for queue in self.names():
                while (body := channel.basic_get(f"{NAMESPACE}.{queue}")[2]) is not None:
                    bodies.append(body)
            channel.close()
        return bodies

    def names(self) -> set[str]:
        listed = self._server.control("list_queues", "--silent", "--no-table-headers", "name").split()
        return {name.removeprefix(f"{NAMESPACE}.") for name in listed}

    def _give_memory(self) -> None:
        self._server.control("set_vm_memory_high_watermark", "absolute", "1GB")


def poisons(queue: str) -> list[bytes]:
    """Make what somebody else, or a bug, might put into a queue."""

    def message(**changes: object) -> bytes:
        fields = {
            "queue_name": queue,
            "actor_name": queue,
            "args": (["x"],),
            "kwargs": {},
            "options": {},
            "message_id": "m",
            "message_timestamp": 1,
        }
        return Message(**{**fields, **changes}).encode()  # type: ignore[arg-type]

    return [
        b"\xff\x00 no message",
        b"[]",
        b'{"queue_name": "%s"}' % queue.encode(),
        message(queue_name="of somebody else"),
        message(actor_name="unknown"),
        message(options={"eta": 10**15}),
        message(options=None),
        message(options={"redis_message_id": ["not", "text"]}),
        message(kwargs=None),
        message(message_id=["not", "hashable"]),
        message(args=([None],)),
        message(args=(["x"] * 1000,)),
        message(args=(), kwargs={"surprise": 1}),
    ]
