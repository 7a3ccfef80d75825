"""What ``dramatiq tests.chaos.worker`` loads: a worker that may not live long."""

import logging

import dramatiq

from tests.chaos.composition import compose

logging.getLogger("pika").setLevel(logging.CRITICAL)
logging.getLogger("transitions").setLevel(logging.WARNING)
dramatiq.set_broker(compose().make_worker())
