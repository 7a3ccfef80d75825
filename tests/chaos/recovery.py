"""Measures how long another worker takes to repeat the sends interrupted by ``kill -9``."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from notifyflow.sandbox.inbox import Message, Text
from notifyflow.sandbox.system import Sandbox
from tests.chaos.field import Worker, until
from tests.chaos.scenarios import distributed
from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMq
from tests.servers.redis import Redis

BOUND_S = 120.0
STOCK_LOG = "stock:log"
THREADS = 8
SCALED_LEASE_S = 5
SCALED = {
    "NOTIFYFLOW_CONNECT_TIMEOUT_S": "1",
    "NOTIFYFLOW_READ_TIMEOUT_S": "2",
    "NOTIFYFLOW_LEASE_S": str(SCALED_LEASE_S),
}
DEFAULTS = {"NOTIFYFLOW_CONNECT_TIMEOUT_S": "3", "NOTIFYFLOW_READ_TIMEOUT_S": "10", "NOTIFYFLOW_LEASE_S": "60"}


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The sends that were interrupted when a worker was killed.

    Attributes:
        died: How many there were.
        took_s: How long it took until each was made again; what was not within the bound is left out.
    """

    died: int
    took_s: tuple[float, ...]


def of_ours(server: Postgres, broker: Redis | RabbitMq, folder: Path, times: dict[str, str]) -> Trial:
    """Kill one of two workers, both in the middle of sends."""
    with Sandbox() as sandbox, distributed(server, broker, sandbox, folder, **times) as field:
        sandbox.script("all: slow 1500 ms")
        doomed, _ = _two(lambda: field.worker(threads=THREADS))
        for _ in range(THREADS):
            field.notify(1)
        until(lambda: field.seen() >= THREADS)
        doomed.kill()
        killed = sandbox.inbox.add(Message(channel="kill", provider="chaos", to="worker", content=Text(sender="", text="")))
        field.settle()
        arrivals = {message.attempt_id: message.after_s for message in sandbox.inbox.messages(is_accepted=True)}
        again = []
        for row in field.rows():
            made = sorted(arrivals[attempt.id] for attempt in row.attempts if attempt.id in arrivals)
            again += [made[1] - killed.after_s] if len(made) > 1 else []
        return Trial(died=len(again), took_s=tuple(again))


def of_stock_dramatiq(broker: Redis, folder: Path) -> Trial:
    """Do the same with stock dramatiq, waiting no longer than the bound."""
    numbers = itertools.count()

    def start() -> Worker:
        log = folder / f"stock-{next(numbers)}.log"
        return Worker({"STOCK_REDIS_URL": broker.url}, log, threads=THREADS, module="tests.chaos.stock")

    sender = RedisBroker(url=broker.url)
    with redis.Redis.from_url(broker.url) as client:

        def lines(what: str) -> list[tuple[str, int]]:
            split = [line.decode().split() for line in client.lrange(STOCK_LOG, 0, -1)]
            return [(name, int(group)) for kind, name, group in split if kind == what]

        doomed, survivor = _two(start)
        try:
            while sum(group == doomed.group for _, group in lines("begun")) < THREADS // 2:
                name = str(next(numbers))
                sender.enqueue(dramatiq.Message(queue_name="default", actor_name="page", args=(name,), kwargs={}, options={}))
                time.sleep(0.1)  # the pace of the load
            doomed.kill()
            killed_at = time.monotonic()
            died = {name for name, group in lines("begun") if group == doomed.group} - {name for name, _ in lines("done")}
            took: dict[str, float] = {}
            while len(took) < len(died) and time.monotonic() - killed_at < BOUND_S:
                for name, group in lines("begun"):
                    if name in died and group == survivor.group:
                        took.setdefault(name, time.monotonic() - killed_at)
                time.sleep(0.05)
            return Trial(died=len(died), took_s=tuple(took.values()))
        finally:
            for worker in (survivor, doomed):
                worker.kill()
            sender.client.close()


def _two(start: Callable[[], Worker]) -> tuple[Worker, Worker]:
    """Start two workers and wait until both are ready."""
    workers = start(), start()
    until(lambda: all("Worker process is ready" in worker.log.read_text() for worker in workers))
    return workers
