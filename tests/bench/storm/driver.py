"""Lets incidents come at a steady rate: ``python -m tests.bench.storm.driver INCIDENTS PEOPLE SECONDS CHANNELS``.

Each goes to one person over all channels at once; ``PREFIX`` begins the names. Writes how long it took, and each call, as JSON.
"""

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.core.delivery.policy import Policy, Tier

PREFIX = os.environ.get("PREFIX", "p")
CALLERS = 6
MIX = (
    Severity.CRITICAL,
    *[Severity.ERROR] * 5,
    *[Severity.WARNING] * 3,
    Severity.INFO,
)
"""The severities in turn, as the alerts about a database and all that needs it have them."""


def main(arguments: Sequence[str]) -> None:
    incidents, people = map(int, arguments[:2])
    pause_s, channels = float(arguments[2]) / incidents, arguments[3].split(",")
    policy = Policy(name="storm", tiers=(Tier(name="primary", channels=tuple(channels)),))
    numbers, calls = iter(range(incidents)), []
    with NotifyFlow(Settings()) as flow:
        ready = threading.Barrier(CALLERS + 1)

        def notify(key: str, who: str, severity: Severity) -> None:
            person = Recipient(id=who, addresses=dict.fromkeys(channels, who))
            incident = Incident(key=key, title=f"{key}: connections to orders-db are refused", severity=severity)
            flow.notify(incident, [person], policy=policy)

        def call(caller: int) -> None:
            notify(f"{PREFIX}-warm-{caller}", f"{PREFIX}-warm-{caller}", Severity.ERROR)  # connects
            ready.wait()
            for number in numbers:  # each goes to one caller
                time.sleep(max(0.0, began_at + number * pause_s - time.time()))
                who, at = f"{PREFIX}{number % people}", time.time()
                notify(f"{PREFIX}-{number}", who, MIX[number // people % len(MIX)])
                calls.append({"address": who, "began_at": at})

        with ThreadPoolExecutor(CALLERS) as pool:
            running = [pool.submit(call, caller) for caller in range(CALLERS)]
            gc.collect()
            gc.freeze()
            began_at = time.time() + 0.5
            ready.wait(timeout=60)
            for each in running:
                each.result()
    json.dump({"took_s": time.time() - began_at, "calls": calls}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
