"""What ``dramatiq tests.chaos.worker`` loads: a worker that may not live long."""

import dramatiq

from tests.chaos.composition import compose

dramatiq.set_broker(compose().make_worker())
