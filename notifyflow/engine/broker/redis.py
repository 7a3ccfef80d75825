"""Rings through Redis."""

import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any

import redis
from dramatiq import Consumer, Message, MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer, _scripts
from dramatiq.common import compute_backoff
from dramatiq.errors import ConnectionClosed, DecodeError
from dramatiq.middleware import Middleware
from redis.backoff import NoBackoff
from redis.retry import Retry

from notifyflow.engine.broker.listener import TOPIC, Listener
from notifyflow.engine.broker.ring import NAMESPACE, GiveBack, is_ring, rung_for
from notifyflow.log import get_logger

_log = get_logger("notifyflow.engine")

_STORED_AS = "redis_message_id"
"""dramatiq's option with the id under which Redis keeps a message."""
_PAUSE_S = 0.1
_LONGEST_WAIT_S = 5.0
"""How long a consumer waits for a ring before it fetches anyway. dramatiq counts a process as dead that is silent for 60 s."""
_BEFORE = f"""
if ARGV[1] == "enqueue" or ARGV[1] == "requeue" then
    redis.pcall("publish", "{TOPIC}", ARGV[3])
elseif ARGV[1] == "fetch" or ARGV[1] == "ack" then
    for i=10,#ARGV do
        if redis.call("srem", KEYS[1] .. ":__acks__." .. ARGV[4] .. "." .. ARGV[3], ARGV[i]) > 0 then
            redis.call("hdel", KEYS[1] .. ":" .. ARGV[3] .. ".msgs", ARGV[i])
        end
    end
end
""".encode()
"""Precedes dramatiq's script (ARGV: command, time, queue, process, four settings, and what the command needs).

- Wakes the consumers of a queue in every process, before the script changes the queue. Where Redis refuses it, consumers find the
  messages at their next fetch.
- Removes handled messages: those that are named after the size of a fetch, and after the one that dramatiq acknowledges itself.
"""
_AFTER = b"""
if command == "enqueue" then
    for i=3,#ARGS,2 do
        redis.call("hset", queue_messages, ARGS[i], ARGS[i + 1])
        redis.call("rpush", queue_full_name, ARGS[i])
    end
end
"""
"""Follows dramatiq's script, which puts one message into its queue, and adds all other given messages."""
_REFILL_AT = 3 / 4
"""The share of its messages at which a full consumer fetches again: several at once, and before its threads are idle."""


class RedisDoorbell(RedisBroker):
    """The broker; it connects when it is first used."""

    def __init__(self, url: str, *middleware: Middleware) -> None:
        super().__init__(client=connect(url), namespace=NAMESPACE, middleware=list(middleware))  # type: ignore[no-untyped-call]
        self.scripts["dispatch"] = self.client.register_script(_BEFORE + _scripts["dispatch"] + _AFTER)
        self.give_back: GiveBack | None = None
        self.listener = Listener(connect(url))
        self.handled: defaultdict[str, deque[str]] = defaultdict(deque)

    @property
    def consumer_class(self) -> type[Consumer]:
        """The class that reads a queue."""
        return _PatientConsumer

    def declare_queue(self, queue_name: str) -> None:
        """Declare a queue without its queue of delayed messages, which would be polled without need."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues.add(queue_name)
            self.emit_after("declare_queue", queue_name)

    def enqueue_all(self, messages: Sequence[Message[Any]]) -> None:
        """Put messages into their queue, the same for all, in one round trip.

        Raises:
            ConnectionClosed: When Redis is unavailable, out of memory, or read-only.
        """
        bodies = [each.copy(options={_STORED_AS: each.message_id}).encode() for each in messages]
        pairs = zip((each.message_id for each in messages), bodies, strict=True)
        try:
            self.do_enqueue(messages[0].queue_name, *chain.from_iterable(pairs))
        except redis.RedisError as error:
            raise ConnectionClosed(error) from error

    def stop_reading(self, give_back: GiveBack) -> None:
        """Read no further ring; give back fetched rings that no thread has begun to handle."""
        self.give_back = give_back
        self.listener.stop()

    def close(self) -> None:
        """Close the connections."""
        self.listener.stop()
        self.client.close()


def connect(url: str) -> "redis.Redis":
    """Return a client with short time-outs that repeats no command, which might run twice."""
    return redis.Redis.from_url(url, socket_connect_timeout=2, socket_timeout=5, retry=Retry(NoBackoff(), 0))


class _PatientConsumer(_RedisConsumer):
    """Skips foreign messages, and treats every error of Redis as a lost connection.

    Otherwise one undecodable message strands those prefetched behind it (dramatiq#375), and a time-out, which is no
    ``redis.ConnectionError``, leaves a message stuck. Once the broker has stopped reading, no error keeps the process from
    ending: its rings have been given back.

    Handled messages are removed together, by the next fetch, so that no sending thread waits for Redis. If the process is killed
    before, such a message is handled again, but its notifications are no longer due.
    """

    broker: RedisDoorbell

    def __init__(self, broker: RedisDoorbell, queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, timeout=0)  # type: ignore[no-untyped-call]  # it waits here instead
        self._longest_pause_ms = timeout
        self._may_have_more = broker.listener.subscribe(queue_name)
        self._may_have_more.set()
        self._is_full = False

    def __next__(self) -> MessageProxy | None:
        if not self.message_cache:
            self._may_have_more.wait(self._pause_s())
            self._may_have_more.clear()  # before the fetch, so that a ring during it is not missed
        message = self._read() if self.broker.give_back is None else None
        if self.broker.give_back is None:
            return message
        self._put_back(filter(None, (message, *self._drain_cached())))
        time.sleep(_PAUSE_S)  # dramatiq asks again at once
        return None

    def ack(self, message: MessageProxy) -> None:
        """Note a handled message, to be removed from Redis."""
        self.queued_message_ids.discard(message.message_id)
        if isinstance(stored_as := message.options.get(_STORED_AS), str):
            self.broker.handled[self.queue_name].append(stored_as)
        self._note_room()

    nack = ack

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Put messages back that dramatiq had in memory when its threads ended."""
        self._put_back(messages)

    def close(self) -> None:
        """Remove handled messages from Redis, if possible."""
        with suppress(redis.RedisError), self._handled() as ids:
            if ids:
                self.broker.do_ack(self.queue_name, *ids)

    def _pause_s(self) -> float:
        """Return how long to wait for a ring; while nobody listens, the queue is polled at growing intervals."""
        if self.broker.listener.is_listening:
            return _LONGEST_WAIT_S
        return float(compute_backoff(self.misses, max_backoff=self._longest_pause_ms)[1]) / 1000

    def _read(self) -> MessageProxy | None:
        try:
            if not (self.message_cache or self._fetch()):
                return None
            message: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        except (DecodeError, TypeError):  # the latter for a message with a bad id
            _log.warning("engine.message_unreadable", queue=self.queue_name)
            self._note_room()
            return None
        except redis.RedisError as error:
            raise ConnectionClosed(error) from None
        if message is not None and not is_ring(message._message, self.queue_name, options={_STORED_AS}):
            _log.warning("engine.message_foreign", queue=self.queue_name)
            with suppress(AttributeError):  # its options are not a mapping; it stays there, and is not read again
                self.ack(message)
            return None
        return message

    def _fetch(self) -> bool:
        """Fetch as many messages as there is room for, and remove handled ones; return whether there are any."""
        room = max(self.prefetch - self.outstanding_message_count, 0)
        self._is_full = True  # already now, so that messages handled during the fetch make room
        with self._handled() as ids:
            self.message_cache = self.broker.do_fetch(self.queue_name, room, *ids)  # a sign of life, even without room
        self._is_full = len(self.message_cache) >= room
        self.misses = 0 if self.message_cache else self.misses + 1
        return bool(self.message_cache)

    @contextmanager
    def _handled(self) -> Iterator[Sequence[str]]:
        """Take the ids of all handled messages; they are kept if the block fails."""
        handled, ids = self.broker.handled[self.queue_name], []
        with suppress(IndexError):
            while True:
                ids.append(handled.popleft())
        try:
            yield ids
        except BaseException:
            handled.extend(ids)
            raise

    def _note_room(self) -> None:
        """Fetch again if the last fetch found no room, and there is room for several messages."""
        if self._is_full and self.outstanding_message_count <= _REFILL_AT * self.prefetch:
            self._may_have_more.set()

    def _drain_cached(self) -> Iterable[MessageProxy]:
        """Empty the cache: return the messages fetched together with the last one that was read."""
        cached, self.message_cache = self.message_cache, []
        for body in cached:
            with suppress(DecodeError, TypeError):
                yield MessageProxy(Message.decode(body))

    def _put_back(self, messages: Iterable[MessageProxy]) -> None:
        """Put messages back into their queue for others, and give their rings back in case Redis is unavailable."""
        rings = list(messages)
        if not rings:
            return
        if self.broker.give_back is not None:
            self.broker.give_back(rung_for(rings))
        with suppress(redis.RedisError):
            super().requeue(rings)  # type: ignore[no-untyped-call]
