"""Stock dramatiq on Redis, with an actor that sends for a second; run with ``dramatiq tests.chaos.stock``."""

import os
import time

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from tests.chaos.recovery import STOCK_LOG

URL = os.environ["STOCK_REDIS_URL"]
SEND_S = 1.5

dramatiq.set_broker(RedisBroker(url=URL))


@dramatiq.actor
def page(name: str) -> None:
    """Record a call of a provider, and take as long as one."""
    with redis.Redis.from_url(URL) as client:
        client.rpush(STOCK_LOG, f"begun {name} {os.getpgrp()}")
        time.sleep(SEND_S)
        client.rpush(STOCK_LOG, f"done {name} {os.getpgrp()}")
