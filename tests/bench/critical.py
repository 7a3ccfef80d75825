"""How soon a CRITICAL page reaches its provider while thousands of others wait for the provider's limit."""

import time
from collections.abc import Mapping
from datetime import timedelta

from notifyflow import Incident, NotifyFlow, Recipient, Severity
from tests.bench.scene import percentile, rows, scene, sent_after

WAITING = 5000
CRITICAL = 20
"""The share of a limit of 100 a minute that is reserved for CRITICAL."""


def measure() -> Mapping[str, float]:
    """Page while others are deferred and afterwards; return p50 and the longest time in seconds."""
    with scene() as flow:
        flow.notify(Incident(key="flood", title="all at once"), [_person(number) for number in range(WAITING)])
        keys = [f"urgent{number}" for number in range(CRITICAL)]
        for number, key in enumerate(keys):
            flow.notify(Incident(key=key, title="orders db is down", severity=Severity.CRITICAL), [_person(WAITING + number)])
            time.sleep(0.5)
        spans = _wait(flow, keys)
        flood = rows(flow, ["flood"])
        return {
            "p50": percentile(spans, 0.5),
            "longest": max(spans).total_seconds(),
            "waiting": sum(not row.attempts for row in flood),
            "burnt": sum(len(row.attempts) > 1 for row in flood),
        }


def _person(number: int) -> Recipient:
    return Recipient(id=f"p{number}", slack=f"U{number:08}")


def _wait(flow: NotifyFlow, keys: list[str]) -> list[timedelta]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        spans = [sent_after(row) for row in rows(flow, keys)]
        if all(spans):
            return [span for span in spans if span is not None]
        time.sleep(0.5)
    raise TimeoutError("a CRITICAL page did not get through")
