"""Draws the history of an incident and its inbound log on a terminal, a line for each entry."""

from collections.abc import Callable, Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from notifyflow.cli.frame.screen import TONES, plain
from notifyflow.core.insight import inbound_words, timeline_words
from notifyflow.core.insight.timeline import TimelineEntry
from notifyflow.core.intake.inbound_log import InboundEntry
from notifyflow.core.messages.looks import MARKS

Brief = Callable[[datetime], str]


def draw_timeline(
    entries: Sequence[TimelineEntry], *, name: Callable[[str], str], brief: Brief, has_minor: bool
) -> Sequence[RenderableType]:
    """Draw the history; nothing if it is empty.

    Args:
        entries: What happened, by time.
        name: Returns the name of a recipient's id.
        brief: Writes a time.
        has_minor: Whether minor entries have a line, too.
    """
    table = _table()
    for each in entries:
        if has_minor or not each.is_minor:
            text = timeline_words.sentence(each, name=name, brief=brief)
            table.add_row(
                Text(brief(each.at), "dim"),
                Text(MARKS[each.tone], TONES[each.tone]),
                Text(plain(text), "dim" if each.is_minor else ""),
            )
    return [Text("\nWhat happened", "bold"), table] if table.rows else []


def draw_inbound_log(found: Sequence[InboundEntry], *, brief: Brief) -> Sequence[RenderableType]:
    """Draw the requests that came in through integrations; nothing if there are none."""
    table = _table()
    for each in found:
        table.add_row(Text(brief(each.first_at), "dim"), Text("→", "dim"), Text(plain(inbound_words.sentence(each, brief=brief))))
    return [Text("\nWhat came in", "bold"), table] if table.rows else []


def _table() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(width=1)
    table.add_column(overflow="fold")
    return table
