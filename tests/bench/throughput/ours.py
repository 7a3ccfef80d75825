"""Drives notifyflow as the peers drive theirs.

``python -m tests.bench.throughput.ours INCIDENTS RECIPIENTS CALLERS CHANNELS PAUSE_MS``. ``SEVERITY`` is the incidents'. ``GONE``
names channels whose address is refused for good; with it, texts and calls are possible.
"""

import os
import sys
import time
from collections.abc import Sequence

from notifyflow import Incident, NotifyFlow, Recipient, Severity
from tests.bench.peers.driver import drive

SEVERITY = Severity(os.environ.get("SEVERITY", "ERROR"))
GONE = tuple(filter(None, os.environ.get("GONE", "").split(",")))


def main(arguments: Sequence[str]) -> None:
    with NotifyFlow.from_env() as flow:

        def notify(incident: str, recipients: Sequence[str], channels: Sequence[str]) -> float:
            reached_by = (*channels, "sms", "voice") if GONE else channels
            people = [
                Recipient(id=each, addresses={name: f"gone-{each}" if name in GONE else each for name in reached_by})
                for each in recipients
            ]
            flow.notify(Incident(key=incident, title="orders db is down", severity=SEVERITY), people)
            return time.time()

        drive(notify, arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
