"""Words for a pause: its scope, its end, its author."""

from collections.abc import Callable
from datetime import datetime

from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.messages.ways import way


def sentence(pause: Pause, *, until: Callable[[datetime], str]) -> str:
    """Return a pause: ``everything is paused until 03:15 by eve; CRITICAL is still sent``."""
    what = {
        PauseScope.ALL: "everything",
        PauseScope.CHANNEL: f"{way(pause.name)}",
        PauseScope.PROVIDER: f"provider {pause.name}",
    }[pause.scope]
    severity = "CRITICAL, too" if pause.is_for_critical else "CRITICAL is still sent"
    return f"{what} is paused until {until(pause.ends_at)} by {pause.paused_by}; {severity}"
