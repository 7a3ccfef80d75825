"""A worker that may be killed at a point; run with ``dramatiq tests.chaos.worker``."""

import logging

import dramatiq

from tests.chaos.composition import compose

logging.getLogger("pika").setLevel(logging.CRITICAL)
dramatiq.set_broker(compose().make_worker())
