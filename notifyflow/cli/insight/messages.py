"""The command that shows the message log, and how it looks on a terminal: a line for each message."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

import notifyflow
from notifyflow.app.clock_and_ids import system_now
from notifyflow.cli.frame import completion, screen
from notifyflow.cli.frame.line_table import Cells, LineTable
from notifyflow.cli.frame.options import AsJson, Limit, Since, Within, span_option, within
from notifyflow.cli.frame.picture import notification_state
from notifyflow.cli.frame.screen import plain
from notifyflow.core.delivery.model import Evidence, NotificationState
from notifyflow.core.insight.attempt_words import AttemptWords
from notifyflow.core.insight.list_documents import MessageDocument
from notifyflow.core.insight.message_log import LoggedMessage, MessageFilter, MessagePage
from notifyflow.core.insight.timeline import Explain
from notifyflow.core.insight.times import Times
from notifyflow.core.messages.ways import way

app = typer.Typer()


@app.command()
def log(
    states: Annotated[
        list[NotificationState] | None, typer.Option("--state", help="Only these states.", case_sensitive=False)
    ] = None,
    recipient: Annotated[
        str,
        typer.Option(help="Only those for this recipient, by id.", show_default=False, autocompletion=completion.people),
    ] = "",
    key: Annotated[
        str, typer.Option(help="Only those of incidents with this key.", show_default=False, autocompletion=completion.keys)
    ] = "",
    channels: Annotated[list[str] | None, typer.Option("--channel", help="Only these channels.", show_default=False)] = None,
    providers: Annotated[list[str] | None, typer.Option("--provider", help="Only these providers.", show_default=False)] = None,
    evidence: Annotated[
        list[Evidence] | None, typer.Option(help="Only those that these vouch for.", case_sensitive=False)
    ] = None,
    ref: Annotated[str, typer.Option(help="Only the one with this id of the provider.", show_default=False)] = "",
    text: Annotated[str, typer.Option(help="Only those with this code, or whose reason contains it.", show_default=False)] = "",
    since: Since = None,
    until: Annotated[timedelta | None, span_option("--until", help="Only what is older than this, as in 2h.")] = None,
    namespace: Within = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Show the message log, the newest first: every notification, its state, and how its last attempt ended."""
    with notifyflow.NotifyFlow.from_env() as flow:
        wanted = MessageFilter(
            states=frozenset(states or ()),
            channels=frozenset(channels or ()),
            providers=frozenset(providers or ()),
            evidence=frozenset(evidence or ()),
            provider_ref=ref,
            recipient_id=recipient,
            key=key,
            text=text,
            since=None if since is None else flow.overview.ago(since),
            until=None if until is None else flow.overview.ago(until),
            namespaces=within(namespace),
        )
        page, explain = flow.overview.messages(wanted, limit=limit), flow.overview.explain
    if as_json:
        found = [MessageDocument.of(each) for each in page.messages]
        screen.print_json({"messages": found, "has_more": page.older is not None, "searched_to": _iso(page)})
        return
    screen.out.print(table(page.messages, explain) if page.messages else "No message matches.")
    screen.warn(ending(page))


def table(messages: Sequence[LoggedMessage], explain: Explain) -> RenderableType:
    """Draw some messages, with the meanings of codes."""
    names = ("Queued", "Recipient", "Way", "State", "Incident", "How it went")
    return LineTable(names, [_cells(each, explain) for each in messages], flexible="How it went", is_cut=False, block=_block)


def _cells(message: LoggedMessage, explain: Explain) -> Cells:
    facts = message.facts
    now = system_now()
    words = AttemptWords(brief=Times(None, now, facts.created_at).brief, explain=explain, others=message.others)
    return (
        Text(Times(None, now).brief(facts.created_at)),
        Text(plain(message.recipient_id)),
        Text(way(facts.channel)),
        notification_state(facts),
        Text(plain(message.key), "bold"),
        Text(plain(words.line(facts))),
    )


def _block(cells: Cells) -> Cells:
    """Arrange a message in lines: its state and its recipient, its incident, and its outcome."""
    queued, recipient, channel, state, key, explanation = cells
    return Text.assemble(state, "  ", channel, " to ", recipient), key, Text.assemble(queued), explanation


def ending(page: MessagePage) -> str:
    """Return the line below a page of the log, which says how to see more; empty at the end of the log."""
    if page.searched_to is not None:
        return f"Searched back to {Times(None, system_now()).full(page.searched_to)}; for what is older, give --until."
    return "" if page.older is None else f"Only {len(page.messages)} are shown; there are more (--limit, --until)."


def _iso(page: MessagePage) -> str | None:
    return None if page.searched_to is None else page.searched_to.isoformat().replace("+00:00", "Z")
