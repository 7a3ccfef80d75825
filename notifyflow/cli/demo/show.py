"""Runs and shows the demo: live on a terminal, then scene by scene, with a mark beside each check."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.text import Text

from notifyflow.cli.demo import claims, stage
from notifyflow.cli.demo.claims import Claim, Witness
from notifyflow.cli.demo.timeline import timeline
from notifyflow.cli.frame.exits import Exit
from notifyflow.cli.frame.picture import picture
from notifyflow.cli.frame.screen import plain
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.messages.ways import message

_INTRODUCTION = (
    "One incident, five people, and providers that fail. Everything except the providers is real: rows in SQLite, worker "
    "threads, HTTP, SMTP, signed callbacks. The policy is the default one, with delays of seconds instead of minutes.\n"
)
_WIDEST = 120
"""Columns in a pipe or a file."""


def run(console: Console) -> Exit:
    """Run the demo, show it and check it; return OK only if every claim is true."""
    began = time.monotonic()
    if not console.is_terminal:  # rules and frames are as wide as they may be
        console.width = min(console.width, _WIDEST)
    console.print(Rule(Text("notifyflow demo", "bold")))
    console.print(_INTRODUCTION, style="dim")
    with stage.stage() as on, _showing(console) as show:
        witness = stage.play(on, show)
    results = [_show_scene(console, scene, witness) for scene in claims.SCENES]
    console.print(Rule(Text("Overall", "bold"), align="left", style="dim"))
    results.append(_check(console, claims.WHOLE, witness))
    true, all_ = sum(true for true, _ in results), sum(count for _, count in results)
    took = f"{time.monotonic() - began:.1f} s"
    if true < all_:
        console.print(Text(f"\n✕ {all_ - true} of {all_} checks failed. ({took})", "bold red"))
        return Exit.FAILED
    console.print(Text(f"\n✓ All {true} checks passed, against the rows, the log and the inbox. ({took})", "bold green"))
    return Exit.OK


@contextmanager
def _showing(console: Console) -> Iterator[Callable[[IncidentStatus], None]]:
    if not console.is_terminal:
        yield lambda _: None
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield lambda status: live.update(picture(status), refresh=True)


def _show_scene(console: Console, scene: claims.Scene, witness: Witness) -> tuple[int, int]:
    escalation = witness.escalation(scene.who)
    console.print(Rule(Text(f"{escalation.contact.name} {scene.summary}", "bold"), align="left", style="dim"))
    console.print(Padding(timeline(witness.status, escalation), (0, 0, 1, 2)))
    if scene.quoted and (messages := witness.messages(scene.who, scene.quoted)):
        text = Text("\n".join(plain(line) for line in messages[-1].text.splitlines()), "italic")
        console.print(
            Padding(
                Panel(text, title=f"the {message(scene.quoted)} as received", title_align="left", style="dim", expand=False),
                (0, 0, 1, 2),
            )
        )
    return _check(console, scene.claims, witness)


def _check(console: Console, claims: Iterable[Claim], witness: Witness) -> tuple[int, int]:
    """Check and print some claims; return how many are true, and how many there are."""
    verdicts = [(claim.sentence, is_true(claim, witness)) for claim in claims]
    for sentence, verdict in verdicts:
        console.print(Text.assemble(("  ✓ ", "bold green") if verdict else ("  ✕ ", "bold red"), sentence))
    console.print()
    return sum(verdict for _, verdict in verdicts), len(verdicts)


def is_true(claim: Claim, witness: Witness) -> bool:
    """Return whether a claim is true; it is false if its subject is missing."""
    try:
        return claim.is_true(witness)
    except (LookupError, ValueError):
        return False
