"""Drives notifyflow as the peers drive theirs.

``python -m tests.bench.throughput.ours INCIDENTS RECIPIENTS CALLERS CHANNELS PAUSE_MS``. ``SEVERITY`` is the incidents'. ``GONE``
names channels whose address is refused for good; with it, texts and calls are possible. ``KEY`` is that of all
incidents. ``BELL=none`` rings for nothing.
"""

import os
import sys
import threading
import time
from collections.abc import Sequence

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.engine.broker.brokers import BrokerBell, make_broker
from tests.bench.peers.driver import drive

SEVERITY = Severity(os.environ.get("SEVERITY", "ERROR"))
GONE = tuple(filter(None, os.environ.get("GONE", "").split(",")))
KEY = os.environ.get("KEY")
RINGS = os.environ.get("BELL") != "none"


class NotingBell:
    """Notes the time of a thread's first ring, which is right after its commit, and rings for the workers.

    Of the threads whose incidents were committed together, one rings.
    """

    def __init__(self, settings: Settings) -> None:
        self._bell = BrokerBell(make_broker(settings.broker_url.get_secret_value())) if RINGS else None
        self._local = threading.local()

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        if self._local.rung_at is None:
            self._local.rung_at = time.time()
        if self._bell is not None:
            self._bell.ring(channel, severity, *rings)

    def listen(self) -> None:
        """Note the next ring of this thread."""
        self._local.rung_at = None

    @property
    def rung_at(self) -> float:
        """When this thread rang first; now if another one rang for it."""
        return self._local.rung_at or time.time()


def main(arguments: Sequence[str]) -> None:
    settings = Settings()
    bell = NotingBell(settings)
    with NotifyFlow(settings, bell=bell) as flow:

        def notify(incident: str, recipients: Sequence[str], channels: Sequence[str]) -> float:
            reached_by = (*channels, "sms", "voice") if GONE else channels
            people = [
                Recipient(id=each, addresses={name: f"gone-{each}" if name in GONE else each for name in reached_by})
                for each in recipients
            ]
            bell.listen()
            flow.notify(Incident(key=KEY or incident, title="orders db is down", severity=SEVERITY), people)
            return bell.rung_at

        drive(notify, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
