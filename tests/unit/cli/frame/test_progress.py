import io
import re
from dataclasses import replace
from datetime import timedelta

from rich.console import Console

from notifyflow.cli.frame.progress import watch
from notifyflow.core.delivery.facts import Transition
from notifyflow.core.insight.views import IncidentSilence, IncidentStatus
from tests.statuses import ACKNOWLEDGED, AT, INCIDENT_ID, OPEN


def moved(row_id: str, version: int, target: str) -> Transition:
    return Transition(machine="m", row_id=row_id, version=version, event="did", source="BEFORE", target=target, at=AT, detail={})


BEGUN = replace(OPEN, transitions=(moved("n-email", 1, "SENDING"),))
ENDED = replace(
    ACKNOWLEDGED,
    transitions=(
        *BEGUN.transitions,
        moved("n-email", 2, "SENT"),
        moved("e-ada", 2, "REACHED"),
        moved(INCIDENT_ID, 2, "ACKNOWLEDGED"),
    ),
)


def watched(*looks: IncidentStatus, timeout_s: float | None = None, is_terminal: bool = False) -> tuple[IncidentStatus, str]:
    left = list(looks)
    console = Console(file=io.StringIO(), width=120, force_terminal=is_terminal)
    last = watch(console, lambda: left.pop(0), lambda _: len(left) == 1, timeout_s=timeout_s)
    assert isinstance(console.file, io.StringIO)
    return last, console.file.getvalue()


def test_without_a_terminal_each_transition_is_one_line():
    last, text = watched(BEGUN, BEGUN, ENDED)
    assert last is ENDED
    lines = [line.split(" ", 1)[1] for line in text.splitlines()]
    assert lines == [
        "Ada: mail did → SENDING",
        "Ada: mail did → SENT",
        "Ada: escalation did → REACHED",
        "incident did → ACKNOWLEDGED",
    ]


def test_that_the_incident_is_silenced_is_one_line():
    silence = IncidentSilence(silence_id="s", began_at=AT, ended_at=AT + timedelta(hours=2), author="Grace", reason="upgrade")
    _, text = watched(BEGUN, *[replace(BEGUN, silences=(silence,))] * 3)
    assert re.fullmatch(r"[\d:]+ silenced by Grace until [\d:]+: upgrade", text.splitlines()[-1])
    assert len(text.splitlines()) == 2


def test_on_a_terminal_the_last_picture_stays():
    _, text = watched(BEGUN, ENDED, is_terminal=True)
    assert "acknowledged by Ada" in text


def test_it_stops_watching_when_the_time_is_up():
    last, _ = watched(BEGUN, ENDED, ENDED, ENDED, timeout_s=0)
    assert last is ENDED
