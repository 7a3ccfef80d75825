"""Composes NotifyFlow with ports that kill their process, as the environment's ``CHAOS_*`` variables say.

``CHAOS_CLOCK`` says by how many seconds the clock is ahead: ``told 120`` is put right by the database's, ``untold 120`` not.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from notifyflow import NotifyFlow, Settings
from notifyflow.app.clock_and_ids import DatabaseClock, RandomIds
from notifyflow.channels.registry import load
from notifyflow.core.delivery.ports import Clock
from notifyflow.engine.broker.brokers import BrokerBell, make_broker
from notifyflow.storage.store import Store
from tests.chaos.strike import Striker, StrikingBell, StrikingChannel, StrikingClock, StrikingIds, StrikingStore


class SystemClock:
    """The system's clock with a fixed error."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now


def compose() -> NotifyFlow:
    settings = Settings()
    striker = Striker(os.environ.get("CHAOS_STRIKE", ""))
    store = StrikingStore(settings.database_url.get_secret_value(), striker, pool_size=settings.concurrent_sends + 4)
    clock = StrikingClock(_clock(store), striker)
    broker_url = settings.broker_url.get_secret_value()
    return NotifyFlow(
        settings,
        clock=clock,
        ids=StrikingIds(RandomIds(clock), striker),
        store=store,
        bell=None if settings.is_embedded else StrikingBell(BrokerBell(make_broker(broker_url)), striker),
        channels={name: StrikingChannel(channel, striker) for name, channel in load(settings).items()},
    )


def _clock(store: Store) -> Clock:
    kind, _, ahead_s = os.environ.get("CHAOS_CLOCK", "told 0").partition(" ")
    ahead = timedelta(seconds=float(ahead_s))

    def now() -> datetime:
        return datetime.now(UTC) + ahead

    return DatabaseClock(store, system_now=now) if kind == "told" else SystemClock(now)
