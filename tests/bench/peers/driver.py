"""Measures ``notify()`` of a flow in Python, and writes the result as JSON."""

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

CHANNELS = ("email", "slack", "push")
PREFIX = os.environ.get("PREFIX", "incident")

Notify = Callable[[str, Sequence[str], Sequence[str]], float]
"""(incident, recipients, channels) → the time of the commit, in seconds since the epoch."""


def drive(notify: Notify, arguments: Sequence[str]) -> None:
    """Call it for INCIDENTS of RECIPIENTS, from CALLERS threads, over CHANNELS, with a PAUSE_MS after each call."""
    incidents, recipients, callers, channels, pause_ms = map(int, arguments)
    numbers = iter(range(incidents))
    lock, calls = threading.Lock(), []
    ready = threading.Barrier(callers + 1)
    gc.collect()
    gc.freeze()  # or the collector would look at all that was imported during some call, another one after each change

    def call(caller: int) -> None:
        notify(f"{PREFIX}-warm-{caller}", [f"{PREFIX}-warm-{caller}"], CHANNELS[:channels])  # connects
        ready.wait()
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            people = [f"{PREFIX}-{number}-{each}" for each in range(recipients)]
            began_at, began = time.time(), time.perf_counter()
            committed_at = notify(f"{PREFIX}-{number}", people, CHANNELS[:channels])
            took_s = time.perf_counter() - began
            calls.append({"address": people[0], "began_at": began_at, "committed_at": committed_at, "took_s": took_s})
            time.sleep(pause_ms / 1000)

    with ThreadPoolExecutor(callers) as pool:
        running = [pool.submit(call, caller) for caller in range(callers)]
        ready.wait(timeout=60)
        began = time.perf_counter()
        for each in running:
            each.result()
    json.dump({"took_s": time.perf_counter() - began, "calls": calls}, sys.stdout)
