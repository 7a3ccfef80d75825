"""Listens to the rings of Redis: one thread and one connection for all queues of a process.

It only wakes the consumer of a queue, which fetches the ring itself. A lost announcement delays a ring, but loses none.
"""

import threading
from collections import defaultdict

import redis

from notifyflow.engine.broker.ring import NAMESPACE
from notifyflow.log import get_logger

_log = get_logger("notifyflow.engine")

TOPIC = f"{NAMESPACE}:rings"
"""The topic to which the name of a queue is published when a ring is stored in it."""
_READ_S = 1.0
_SILENT_READS = 5
"""After this many reads without a message the listener sends a ping; after twice as many it gives up the connection."""
_PAUSE_S = 1.0


class Listener:
    """Wakes the consumers of one process; its thread starts with the first of them, so that a process may fork before.

    Args:
        client: A client of its own.
        read_s: How long one read waits for a message.
    """

    def __init__(self, client: redis.Redis, *, read_s: float = _READ_S) -> None:
        self._client = client
        self._read_s = read_s
        self._lock = threading.Lock()
        self._rung: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self._is_listening = False
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_listening(self) -> bool:
        """Whether it is subscribed; otherwise consumers have to poll."""
        return self._is_listening

    def subscribe(self, queue: str) -> threading.Event:
        """Return the event that is set when a queue may have a ring, and when the connection is lost or restored."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="notifyflow-listener", daemon=True)
                self._thread.start()
            return self._rung[queue]

    def stop(self) -> None:
        """Wake all consumers and end the thread."""
        self._is_stopping.set()
        self._wake_all(is_listening=False)

    def _run(self) -> None:
        was_lost = False
        while not self._is_stopping.is_set():
            try:
                self._listen(was_lost=was_lost)
            except Exception as error:  # noqa: BLE001 - the edge of the thread
                if (self._is_listening or not was_lost) and not self._is_stopping.is_set():
                    _log.warning("engine.listener_lost", error=type(error).__name__)
                was_lost = True
                self._wake_all(is_listening=False)
                self._is_stopping.wait(_PAUSE_S)
        self._client.close()

    def _listen(self, *, was_lost: bool) -> None:
        """Wake consumers until the connection is lost or the process stops."""
        with self._client.pubsub() as topic:  # type: ignore[no-untyped-call]
            topic.subscribe(TOPIC)
            silent = 0
            while not self._is_stopping.is_set():
                message = topic.get_message(timeout=self._read_s)
                silent = 0 if message else silent + 1
                if silent == _SILENT_READS:
                    topic.ping()
                elif silent == 2 * _SILENT_READS:
                    raise redis.TimeoutError("Redis does not respond to a ping")
                match message:
                    case {"type": "subscribe"}:
                        self._wake_all(is_listening=True)  # announcements may have been lost
                        if was_lost:
                            _log.info("engine.listener_restored")
                    case {"type": "message", "data": bytes(queue)}:
                        self._wake(queue.decode(errors="replace"))

    def _wake(self, queue: str) -> None:
        with self._lock:
            rung = self._rung.get(queue)
        if rung is not None:
            rung.set()

    def _wake_all(self, *, is_listening: bool) -> None:
        with self._lock:
            self._is_listening = is_listening
            for rung in self._rung.values():
                rung.set()
