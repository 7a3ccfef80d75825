"""The setting of a measurement: notifyflow in this process on its own file, and the sandbox in another process."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from notifyflow import NotifyFlow, Settings
from notifyflow.core.delivery.facts import NotificationFacts

_PROGRAM = Path(sys.executable).with_name("notifyflow")
_EXPORT = re.compile(r"export (NOTIFYFLOW_\w+)='?([^'\n]*)'?")


@contextmanager
def scene(*script: str, **variables: str) -> Iterator[NotifyFlow]:
    """Start the sandbox with a script, and NotifyFlow with its settings and more."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, stand_ins(*script) as settings:
        given = settings | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{folder}/notifyflow.db",
            "NOTIFYFLOW_DRAIN_S": "0",
            "NOTIFYFLOW_BUNDLING": "false",
            **{f"NOTIFYFLOW_{name}": value for name, value in variables.items()},
        }
        with NotifyFlow(Settings.from_variables(given)) as flow:
            yield flow


@contextmanager
def stand_ins(*script: str) -> Iterator[dict[str, str]]:
    """Start the sandbox with a script; yield its settings."""
    lines = [part for line in script for part in ("--script", line)]
    command = [str(_PROGRAM), "sandbox", "--port", "0", *lines]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as sandbox:
        try:
            yield _exported(sandbox)
        finally:
            sandbox.terminate()


def rows(flow: NotifyFlow, keys: Sequence[str]) -> list[NotificationFacts]:
    """Return all notifications of some incidents."""
    return [row for key in keys for each in flow.status(key).escalations for row in each.notifications]


def sent_after(row: NotificationFacts) -> timedelta | None:
    """Return the time from queueing to the end of the first attempt; None while it runs."""
    ended_at = row.attempts[0].ended_at if row.attempts else None
    return None if ended_at is None else ended_at - row.created_at


def percentile(spans: Sequence[timedelta], share: float) -> float:
    """Return a quantile of the spans, in seconds."""
    ordered = sorted(spans)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)].total_seconds()


def _exported(sandbox: "subprocess.Popen[str]") -> dict[str, str]:
    assert sandbox.stdout is not None
    found: dict[str, str] = {}
    for line in sandbox.stdout:
        if match := _EXPORT.search(line):
            found[match[1]] = match[2]
        elif found:
            break
    return found
