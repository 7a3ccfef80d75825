"""How long it takes after ``kill -9`` of a worker until another one makes the sends that died with it."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from notifyflow.sandbox.system import Sandbox
from tests.chaos.field import Worker, until
from tests.chaos.scenarios import distributed
from tests.servers.postgres import Postgres
from tests.servers.rabbitmq import RabbitMq
from tests.servers.redis import Redis

BOUND_S = 120.0
SEEN = "stock:seen"
IN_FLIGHT = 8
SCALED = {"NOTIFYFLOW_CONNECT_TIMEOUT_S": "1", "NOTIFYFLOW_READ_TIMEOUT_S": "2", "NOTIFYFLOW_LEASE_S": "6"}
DEFAULTS = {"NOTIFYFLOW_CONNECT_TIMEOUT_S": "3", "NOTIFYFLOW_READ_TIMEOUT_S": "10", "NOTIFYFLOW_LEASE_S": "60"}


def of_ours(server: Postgres, broker: Redis | RabbitMq, folder: Path, times: dict[str, str]) -> list[float]:
    """Kill a worker with eight sends in flight, and measure each until a provider sees it again; one trial."""
    with Sandbox() as sandbox, distributed(server, broker, sandbox, folder, **times) as field:
        sandbox.script("all: slow 1 s")
        survivor, doomed = field.worker(threads=IN_FLIGHT), field.worker(threads=IN_FLIGHT)
        until(lambda: all("Worker process is ready" in worker.log.read_text() for worker in (survivor, doomed)))
        survivor.signal(signal.SIGSTOP)
        field.notify(IN_FLIGHT // 2)
        until(lambda: field.seen() == IN_FLIGHT)
        return _time(doomed, survivor, field.seen)


def of_stock_dramatiq(broker: Redis, folder: Path) -> list[float]:
    """The same with dramatiq as it comes; what takes longer than the bound is left out."""
    folder.mkdir(exist_ok=True)
    survivor, doomed = (
        Worker({"STOCK_REDIS_URL": broker.url}, folder / f"stock-{number}.log", threads=IN_FLIGHT, module="tests.chaos.stock")
        for number in range(2)
    )
    sender = RedisBroker(url=broker.url)
    with redis.Redis.from_url(broker.url) as client:

        def seen() -> int:
            return int(client.llen(SEEN))

        try:
            until(lambda: all("Worker process is ready" in worker.log.read_text() for worker in (survivor, doomed)))
            survivor.signal(signal.SIGSTOP)
            for number in range(IN_FLIGHT):
                sender.enqueue(
                    dramatiq.Message(queue_name="default", actor_name="page", args=(str(number),), kwargs={}, options={})
                )
            until(lambda: seen() == IN_FLIGHT)
            return _time(doomed, survivor, seen)
        finally:
            for worker in (survivor, doomed):
                worker.kill()
            sender.client.close()


def _time(doomed: Worker, survivor: Worker, seen: Callable[[], int]) -> list[float]:
    """Kill, and note when each of the sends is seen again."""
    doomed.kill()
    survivor.signal(signal.SIGCONT)
    killed_at = time.monotonic()
    took: list[float] = []
    while len(took) < IN_FLIGHT and time.monotonic() - killed_at < BOUND_S:
        took += [time.monotonic() - killed_at] * (seen() - IN_FLIGHT - len(took))
        time.sleep(0.02)
    return took
