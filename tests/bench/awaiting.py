"""Measures how long the event loop stands still for awaited calls: with the database well, and while it hangs."""

import asyncio
import gc
import platform
import sys
import time
from collections.abc import Coroutine, Generator, Sequence
from pathlib import Path
from typing import Any

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.errors import StorageUnavailable
from notifyflow.storage.store import Store
from tests.servers.postgres import postgres

CALLS = 200
LONGEST_MS = 5.0
_FIGURES = Path(__file__).parents[2] / "docs" / "figures"
_TEXT = """.. Made by scripts/bench; do not edit.

.. list-table::
   :header-rows: 1
   :widths: 60 20 20

   * - {calls} calls of ``anotify()`` at once
     - 99 % of the steps
     - longest step
   * - PostgreSQL is well
     - {well[0]:.2f} ms
     - {well[1]:.2f} ms
   * - PostgreSQL hangs, and each call ends with ``StorageUnavailable``
     - {hanging[0]:.2f} ms
     - {hanging[1]:.2f} ms

Measured on two cores ({machine}), with the server on the same machine, and with what was imported frozen for the
garbage collector (``gc.freeze()``).
"""


class _Bell:
    """Rings for nobody: only the calls are measured."""

    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        del channel, severity, rings


class _Timed:
    """Awaits a coroutine, and keeps how long each of its steps holds the event loop, in milliseconds."""

    def __init__(self, call: Coroutine[Any, Any, object]) -> None:
        self._call = call
        self.steps_ms: list[float] = []

    def __await__(self) -> Generator[Any, Any, object]:
        steps = self._call.__await__()
        failed: StorageUnavailable | None = None
        while True:
            before = time.perf_counter()
            try:
                awaited = steps.throw(failed) if failed else next(steps)
            except StopIteration as done:
                return done.value
            except StorageUnavailable as error:
                return error
            finally:
                self.steps_ms.append((time.perf_counter() - before) * 1000)
            try:
                yield awaited
            except StorageUnavailable as error:
                failed = error


async def _measure(flow: NotifyFlow, run: str) -> tuple[float, float]:
    """Submit many at once; return the 99th percentile of the steps that this takes on the event loop, and the longest."""
    ada = Recipient(id="ada", email="ada@example.com")
    calls = [_Timed(flow.anotify(Incident(key=f"{run}-{number}", title="down"), [ada])) for number in range(CALLS)]

    async def wait_for(call: _Timed) -> None:
        await call

    await asyncio.gather(*map(wait_for, calls))
    steps = sorted(each for call in calls for each in call.steps_ms)
    return steps[len(steps) * 99 // 100], steps[-1]


def main() -> int:
    with postgres() as server:
        url = server.url(server.create_database())
        store = Store(url)
        store.upgrade()
        store.close()
        with NotifyFlow(Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": url}), bell=_Bell()) as flow:
            asyncio.run(_measure(flow, "warm"))
            gc.collect()
            gc.freeze()  # a full collection of all that was imported takes longer than everything that is measured
            well = asyncio.run(_measure(flow, "well"))
            with server.hanging():
                hanging = asyncio.run(_measure(flow, "hanging"))
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    text = _TEXT.format(calls=CALLS, well=well, hanging=hanging, machine=machine)
    (_FIGURES / "awaiting.rst").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0 if hanging[1] <= LONGEST_MS else 1
