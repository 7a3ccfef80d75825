"""The limit of dramatiq: an actor that does nothing."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))


@dramatiq.actor(max_retries=4, min_backoff=30_000)
def nothing(number: int) -> None:
    """Do nothing."""


def enqueue(count: int) -> None:
    """Send so many messages."""
    for number in range(count):
        nothing.send(number)
