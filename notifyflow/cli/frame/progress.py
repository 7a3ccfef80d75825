"""Watches an incident until it is settled: a live picture on a terminal, a line for each transition elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from notifyflow.app.clock_and_ids import system_now
from notifyflow.cli.frame.picture import picture
from notifyflow.cli.frame.screen import plain
from notifyflow.core.insight import silence_words
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.messages.ways import way

_LOOK_EVERY_S = 0.2


def watch(
    console: Console, read: Callable[[], IncidentStatus], wait: Callable[[float], bool], *, timeout_s: float | None
) -> IncidentStatus:
    """Show an incident until it is settled, or the time is up; return its last status.

    ``wait`` waits up to a number of seconds for it to settle, and returns whether it has.
    """
    showing = _drawing if console.is_terminal else _listing
    left_s = float("inf") if timeout_s is None else timeout_s
    is_over = False
    with showing(console) as show:
        while True:
            status = read()
            show(status)
            if is_over:
                return status
            step_s = min(_LOOK_EVERY_S, left_s)
            left_s -= step_s
            is_over = wait(step_s) or left_s <= 0


@contextmanager
def _drawing(console: Console) -> Iterator[Callable[[IncidentStatus], None]]:
    with Live(console=console, auto_refresh=False) as live:
        yield lambda status: live.update(picture(status), refresh=True)


@contextmanager
def _listing(console: Console) -> Iterator[Callable[[IncidentStatus], None]]:
    printed: set[tuple[str, int]] = set()

    def print_new(status: IncidentStatus) -> None:
        for line, mark in _lines(status):
            if mark not in printed:
                printed.add(mark)
                console.print(line, soft_wrap=True)

    yield print_new


def _lines(status: IncidentStatus) -> Iterator[tuple[Text, tuple[str, int]]]:
    times = Times(None, system_now(), status.facts.opened_at)
    names: dict[str, str] = {status.facts.id: "incident"}
    for escalation in status.escalations:
        name = plain(escalation.contact.name)
        names[escalation.facts.id] = f"{name}: escalation"
        names |= {each.id: f"{name}: {way(each.channel)}" for each in escalation.notifications}
    for move in status.transitions:
        if move.source != move.target:
            text = f"{times.brief(move.at)} {names.get(move.row_id, move.machine)} {move.event} → {move.target}"
            yield Text(text), (move.row_id, move.version)
    for each in status.silences:
        text = f"{times.brief(each.began_at)} silenced {silence_words.of_incident(each, at=times.brief)}"
        yield Text(plain(text)), (each.silence_id, 0)
