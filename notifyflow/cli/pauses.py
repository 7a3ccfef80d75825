"""The commands that pause and resume sending, and how pauses are shown."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

import notifyflow
from notifyflow.app.clock_and_ids import system_now
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.options import AsJson, By, as_options, flag, span_option
from notifyflow.core.insight.pause_words import sentence
from notifyflow.core.insight.times import Times
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.errors import Fault, InvalidPause

if TYPE_CHECKING:
    from notifyflow.core.insight.schemas import PauseDocument

app = typer.Typer()

Channel = Annotated[str | None, typer.Option("--channel", help="One channel.", show_default=False)]
Provider = Annotated[str | None, typer.Option("--provider", help="One provider.", show_default=False)]
All = Annotated[bool, flag("--all", help="Everything.")]


@app.command()
def pause(
    channel: Channel = None,
    provider: Provider = None,
    is_all: All = False,
    span: Annotated[timedelta | None, span_option("--for", help="How long, as in 30m; at most 24h.")] = None,
    by: By = "",
    is_for_critical: Annotated[bool, flag("--include-critical", help="Pause CRITICAL, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pause sending, or list the pauses; deferred notifications are sent when the pause ends."""
    is_requested = bool(channel or provider or is_all or span is not None)
    target = _choice(channel, provider, is_all=is_all) if is_requested else None
    if target and span is None:
        raise InvalidPause((Fault("--for", "is missing: every pause must end", "Give --for, as in --for 30m"),))
    with notifyflow.NotifyFlow.from_env() as flow, as_options("for", "by", "channel", "provider"):
        if target and span is not None:
            flow.pauses.start(*target, span=span, by=by, is_for_critical=is_for_critical)
        pauses = flow.pauses.in_force()
    if as_json:
        screen.print_json(documents(pauses))
    elif pauses:
        show(pauses)
    else:
        screen.out.print("Nothing is paused.")


@app.command()
def resume(channel: Channel = None, provider: Provider = None, is_all: All = False, by: By = "", as_json: AsJson = False) -> None:
    """End a pause: deferred notifications are sent now."""
    scope, name = _choice(channel, provider, is_all=is_all)
    with notifyflow.NotifyFlow.from_env() as flow:
        was_paused = flow.pauses.end(scope, name, by=by)
        left = flow.pauses.in_force()
    if as_json:
        screen.print_json({"was_paused": was_paused, "pauses": documents(left)})
        return
    screen.out.print("Resumed." if was_paused else "It was not paused.")


def show(pauses: Iterable[Pause]) -> None:
    """Print the pauses, a line each."""
    for each in pauses:
        screen.out.print(drawn(each), soft_wrap=True)


def drawn(pause: Pause) -> Text:
    """Draw a pause."""
    return Text.assemble(("‖ ", "bold yellow"), screen.plain(sentence(pause, until=Times(None, system_now()).full)))


def documents(pauses: Iterable[Pause]) -> "Sequence[PauseDocument]":
    """Return the pauses for JSON."""
    from notifyflow.core.insight.schemas import PauseDocument  # with --json only

    return [PauseDocument.of(each) for each in pauses]


def _choice(channel: str | None, provider: str | None, *, is_all: bool) -> tuple[PauseScope, str]:
    match channel, provider, is_all:
        case None, None, True:
            return PauseScope.ALL, ""
        case str(name), None, False:
            return PauseScope.CHANNEL, name
        case None, str(name), False:
            return PauseScope.PROVIDER, name
    raise InvalidPause((Fault("pause", "must name one thing", "Give one of --channel NAME, --provider NAME and --all"),))
