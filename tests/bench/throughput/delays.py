"""Measures how long one call, one page or one acknowledgement takes."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager

from tests.bench.throughput.arena import Arena, Processes, Snapshot
from tests.bench.throughput.contestants import OURS, Contestant, python
from tests.bench.throughput.series import Measured, percentile

_WITHIN_S = 90.0


def _quantiles(what: str, seconds: Sequence[float]) -> Measured:
    return {f"{what}: p50, ms": 1000 * percentile(seconds, 0.5), f"{what}: p99, ms": 1000 * percentile(seconds, 0.99)}


def notify_alone(arena: Arena, contestant: Contestant, *, incidents: int) -> Measured:
    """Call ``notify()`` for one recipient and three channels, one call after the other, while nobody carries."""
    arena.begin(contestant)
    return _quantiles("notify()", [call["took_s"] for call in arena.drive(contestant, incidents=incidents).calls])


def page_when_idle(arena: Arena, contestant: Contestant, *, incidents: int, idle_s: float) -> Measured:
    """Page one recipient over one channel, again and again, while the worker has nothing else to do.

    Measured are the time from the commit of ``notify()`` to the provider's call, the time from the provider's response to the
    commit that says SENT (as PostgreSQL stamps it, before its flush), and what the worker uses while nothing comes.
    """
    with _warm_worker(arena, contestant) as worker:
        time.sleep(idle_s / 2)
        before = worker.cpu_s
        time.sleep(idle_s)
        idle = 100 * (worker.cpu_s - before) / idle_s
        delays = _delays(arena, contestant, incidents=incidents, pause_ms=30)
        arena.wait_until(lambda: not arena.left(contestant), within_s=_WITHIN_S)
    sent = arena.committed(contestant.sent_at)
    records = [sent[address] - at for (what, address), at in arena.ear.received.items() if what == "done" and address in sent]
    return (
        dict(_quantiles("commit → call", delays))
        | dict(_quantiles("response → commit", records))
        | {"an idle worker, % of a core": idle}
    )


def page_under_load(arena: Arena, contestant: Contestant, *, a_second: int, for_s: int) -> Measured:
    """Page at a steady rate; measure the time from the commit of ``notify()`` to the provider's call."""
    callers = 4
    with _warm_worker(arena, contestant):
        number = a_second * for_s
        delays = _delays(arena, contestant, incidents=number, callers=callers, pause_ms=1000 * callers // a_second)
    return _quantiles("commit → call", delays)


def page_past_a_queue(arena: Arena, queued: Snapshot, *, incidents: int) -> Measured:
    """Send CRITICAL pages while thousands of others are queued, and the provider takes 50 ms."""
    arena.begin(OURS, queued)
    begin = arena.left(OURS)
    with arena.worker(OURS, PROVIDER="sleep:50", EAR=str(arena.ear.port)):
        arena.wait_until(lambda: arena.left(OURS) < begin * 0.98, within_s=_WITHIN_S)
        delays = _delays(arena, OURS, incidents=incidents, pause_ms=100, SEVERITY="CRITICAL", PREFIX="urgent")
        assert arena.left(OURS), "the queue was empty before the last CRITICAL page"
    return _quantiles("commit → call", delays)


def page_together(arena: Arena, *, recipients: int, incidents: int) -> Measured:
    """Page 20 recipients at once, while the provider takes 200 ms and there are ten threads."""
    with _warm_worker(arena, OURS, provider="sleep:200"):
        driven = arena.drive(OURS, incidents=incidents, recipients=recipients, channels=1, pause_ms=1500)
        arena.wait_until(lambda: not arena.left(OURS), within_s=_WITHIN_S)
    spans = [
        max(arena.ear.received["done", f"incident-{number}-{each}"] for each in range(recipients)) - call["committed_at"]
        for number, call in enumerate(driven.calls)
    ]
    return {"the last response, ms": 1000 * percentile(spans, 0.5)}


def page_to_the_call(arena: Arena, *, incidents: int) -> Measured:
    """Send CRITICAL pages while every primary and then the text is refused for good: from ``notify()`` to the phone call."""
    with _warm_worker(arena, OURS):
        gone = {"GONE": "email,slack,push,sms", "SEVERITY": "CRITICAL"}
        driven = arena.drive(OURS, incidents=incidents, pause_ms=300, **gone)
        calls = [arena.ear.wait_for("call", call["address"], within_s=_WITHIN_S) - call["began_at"] for call in driven.calls]
    return _quantiles("notify() → call", calls)


def carry_one(arena: Arena, *, recipients: int) -> Snapshot:
    """Carry all pages of one incident, to which recipients are added a hundred at a time; return what is there then."""
    arena.begin(OURS)
    arena.drive(OURS, incidents=recipients // 100, recipients=100, KEY="one")
    with arena.worker(OURS):
        arena.wait_until(lambda: not arena.left(OURS), within_s=_WITHIN_S)
    arena.redis.flushdb()
    return arena.keep()


def acknowledge(arena: Arena, carried: Snapshot) -> Measured:
    """Acknowledge an incident whose pages were all sent: its status updates are queued in the same call."""
    arena.begin(OURS, carried)
    return {"acknowledge(), ms": 1000 * float(arena.run(*python("tests.bench.throughput.acknowledge"), "one"))}


def _warm_worker(arena: Arena, contestant: Contestant, *, provider: str = "null") -> AbstractContextManager[Processes]:
    return arena.warm_worker(contestant, PROVIDER=provider, EAR=str(arena.ear.port))


def _delays(arena: Arena, contestant: Contestant, *, incidents: int, callers: int = 1, pause_ms: int, **more: str) -> list[float]:
    """Page, and return the times from each commit to the provider's call, in seconds."""
    driven = arena.drive(contestant, incidents=incidents, callers=callers, channels=1, pause_ms=pause_ms, **more)
    return [arena.ear.wait_for("call", call["address"], within_s=_WITHIN_S) - call["committed_at"] for call in driven.calls]
