"""The commands that silence incidents, and how silences are shown."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer
from rich.text import Text

import notifyflow
from notifyflow.app.clock_and_ids import system_now
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.options import AsJson, By, as_options, span_option
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.insight import silence_words
from notifyflow.core.insight.silence_words import sentence
from notifyflow.core.insight.times import Times
from notifyflow.core.limits.silences import Author, Silence, read_matchers
from notifyflow.core.local_times import read_time
from notifyflow.errors import Fault, InvalidSilence

if TYPE_CHECKING:
    from notifyflow.core.insight.schemas import SilenceDocument

app = typer.Typer()


@app.command()
def silence(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MATCHER... | list | end ID",
            help="Which incidents: label=value, key=value, severity<=WARNING.",
            show_default=False,
        ),
    ] = None,
    span: Annotated[timedelta | None, span_option("--for", help="How long, as in 2h; at most 24h.")] = None,
    why: Annotated[str, typer.Option("--why", help="The reason, which is shown with each silenced incident.")] = "",
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="When it begins, in UTC unless it has an offset; by default, now."),
    ] = None,
    namespaces: Annotated[
        list[str] | None, typer.Option("--namespace", help="Only these namespaces; by default, all.", show_default=False)
    ] = None,
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Silence incidents on purpose: they page nobody until its end, then in one message. Also list silences, or end one."""
    author = Author(name=by)
    with notifyflow.NotifyFlow.from_env() as flow, as_options("for", "at", "by", "why", "namespace"):
        match words or ["list"]:
            case ["list"]:
                pass
            case ["end", silence_id]:
                was_ended = flow.silences.end(silence_id, by=author)
                if not as_json:
                    screen.out.print("Ended." if was_ended else "It was over already.")
                    return
            case matchers:
                if span is None:
                    raise InvalidSilence((Fault("for", "is missing: every silence must end", "Give --for, as in --for 2h"),))
                begins_at = None if at is None else read_time(at, ZoneInfo("UTC"), where="at", after=flow.silences.now())
                flow.silences.start(
                    read_matchers(matchers), span=span, why=why, by=author, namespaces=namespaces or None, begins_at=begins_at
                )
        found, damaged = flow.silences.all(), flow.silences.damaged()
        held = flow.silences.held_by([each.id for each in damaged])
        warnings = flow.silences.warnings(found)
    if as_json:
        screen.print_json(documents(found, warnings))
        return
    show(found, warnings)
    for each in damaged:
        line = silence_words.damaged(each.id, held.get(each.id, 0))
        screen.out.print(Text(f"! {line}: notifyflow silence end {each.id}"), soft_wrap=True)
    if not (found or damaged):
        screen.out.print("Nothing is silenced.")


def show(silences: Iterable[Silence], warnings: Mapping[str, Sequence[str]] = FrozenDict()) -> None:
    """Print silences, a line each, with what ends them, and their warnings, by id."""
    for each in silences:
        screen.out.print(drawn(each), soft_wrap=True)
        for warning in warnings.get(each.id, ()):
            screen.warn(warning)


def drawn(silence: Silence) -> Text:
    """Draw a silence."""
    now = system_now()
    is_over = silence.until <= now
    line = sentence(silence, now=now, at=Times(None, now).local)
    return Text.assemble(
        ("∅ ", "dim" if is_over else "bold yellow"), screen.plain(line), ("" if is_over else f"  {silence.id}", "dim")
    )


def documents(silences: Iterable[Silence], warnings: Mapping[str, Sequence[str]] = FrozenDict()) -> "Sequence[SilenceDocument]":
    """Return silences for JSON."""
    from notifyflow.core.insight.schemas import SilenceDocument  # with --json only

    return SilenceDocument.of_all(silences, warnings)
