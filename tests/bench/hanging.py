"""Measures the other channels while one provider accepts connections and never responds."""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

from notifyflow import Incident, NotifyFlow, Recipient
from tests.bench.scene import percentile, rows, scene, sent_after

INCIDENTS = 200
EVERY_S = 0.1
_SETTINGS = {"PROVIDER_LIMITS": "smtp=100000,slack=100000,sns=100000"}
_PUSH = "arn:aws:sns:eu-central-1:000000000000:endpoint/GCM/sandbox/p{}"


def measure() -> Mapping[str, float]:
    """Page the same people twice, the second time with email hanging; return p50 and p95 of Slack and push in seconds."""
    found: dict[str, float] = {}
    for name, script in (("well", ()), ("hanging", ("email: hang",))):
        with scene(*script, **_SETTINGS) as flow:
            _page(flow, ["warm"])
            keys = [f"k{number}" for number in range(INCIDENTS)]
            _page(flow, keys)
            spans = _wait(flow, keys)
            found |= {f"{name}_p50": percentile(spans, 0.5), f"{name}_p95": percentile(spans, 0.95)}
    return found | {"ratio": found["hanging_p95"] / found["well_p95"], "incidents": INCIDENTS}


def _page(flow: NotifyFlow, keys: Sequence[str]) -> None:
    for number, key in enumerate(keys):
        ada = Recipient(id="ada", email="ada@example.com", slack=f"U{number:08}", push=_PUSH.format(number))
        flow.notify(Incident(key=key, title="orders db is down"), [ada])
        time.sleep(EVERY_S)


def _wait(flow: NotifyFlow, keys: Sequence[str]) -> list[timedelta]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        spans = [sent_after(row) for row in rows(flow, keys) if row.channel != "email"]
        if all(spans):
            return [span for span in spans if span is not None]
        time.sleep(0.5)
    raise TimeoutError("the other channels did not get through at all")
