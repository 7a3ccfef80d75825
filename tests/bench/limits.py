"""Measures how a hanging provider and a limit affect other pages, and writes docs/figures/limits.rst."""

import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.bench import critical, hanging

_PAGE = Path(__file__).parents[2] / "docs" / "figures" / "limits.rst"
_TEXT = """.. Made by scripts/bench; do not edit.

.. list-table::
   :header-rows: 1
   :widths: 60 20 20

   * - Other channels, from the call of ``notify()`` until the provider has answered
     - p50
     - p95
   * - all providers well
     - {well_p50:.0f} ms
     - {well_p95:.0f} ms
   * - the mail server hangs
     - {hanging_p50:.0f} ms
     - {hanging_p95:.0f} ms

That is {ratio:.2f} times the p95, over {incidents} incidents, one every 100 ms.

With {waiting:,} notifications waiting for a limit of 100 a minute, a CRITICAL one reached its provider after {p50:.0f} ms
(median) and {longest:.0f} ms (the longest of {urgent}). Attempts burnt by waiting: {burnt}.

Measured in one process on SQLite, on two cores ({machine}), the stand-ins on the same machine.
"""


def _text(waits: Mapping[str, float], urgent: Mapping[str, float]) -> str:
    in_ms = {name: value * 1000 for name, value in waits.items() if name.endswith(("p50", "p95"))}
    return _TEXT.format(
        **in_ms,
        ratio=waits["ratio"],
        incidents=int(waits["incidents"]),
        waiting=int(urgent["waiting"]),
        burnt=int(urgent["burnt"]),
        p50=urgent["p50"] * 1000,
        longest=urgent["longest"] * 1000,
        urgent=critical.CRITICAL,
        machine=f"{platform.machine()}, Python {platform.python_version()}",
    )


def main() -> int:
    waits, urgent = hanging.measure(), critical.measure()
    text = _text(waits, urgent)
    _PAGE.parent.mkdir(exist_ok=True)
    _PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0 if waits["ratio"] <= 1.5 and urgent["longest"] < 1 and not urgent["burnt"] else 1
