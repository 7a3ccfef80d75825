"""The command that lists incidents, and how they look on a terminal: a table with a line each."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

import notifyflow
from notifyflow.app.clock_and_ids import system_now
from notifyflow.cli import pauses, silences
from notifyflow.cli.frame import completion, screen
from notifyflow.cli.frame.line_table import Cells, LineTable
from notifyflow.cli.frame.options import AsJson, Limit, Since, Within, flag, label_pairs, within
from notifyflow.cli.frame.picture import SEVERITY, state_of
from notifyflow.cli.frame.screen import plain
from notifyflow.core.delivery.model import IncidentState, Severity
from notifyflow.core.insight import chain_words
from notifyflow.core.insight.silence_words import lasting
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import IncidentFilter, IncidentLine, IncidentPage
from notifyflow.core.limits.pauses import Pause

app = typer.Typer()
UNRESOLVED = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED})
_EVERY_S = 2.0
MOST_SHOWN = 100


@app.command("list")
def list_(
    states: Annotated[
        list[IncidentState] | None,
        typer.Option("--state", help="Only these states; by default, the unresolved ones.", case_sensitive=False),
    ] = None,
    is_all: Annotated[bool, flag("--all", help="Resolved incidents, too.")] = False,
    severities: Annotated[
        list[Severity] | None, typer.Option("--severity", help="Only these severities.", case_sensitive=False)
    ] = None,
    recipient: Annotated[
        str | None,
        typer.Option(help="Only those with this recipient.", show_default=False, autocompletion=completion.people),
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Only those with this label.", show_default=False)
    ] = None,
    text: Annotated[str, typer.Option(help="Only those whose title, key or source contains it.", show_default=False)] = "",
    since: Since = None,
    namespace: Within = None,
    limit: Limit = MOST_SHOWN,
    is_watched: Annotated[bool, flag("--watch", help="Show the list anew every two seconds, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """List incidents, what is open first: since when, how many recipients were reached, and for how many all ways failed."""
    if is_watched and (as_json or not screen.out.is_terminal):
        raise typer.BadParameter("--watch needs a terminal, and takes no --json")
    with notifyflow.NotifyFlow.from_env() as flow:
        wanted = IncidentFilter(
            states=frozenset(states or (() if is_all else UNRESOLVED)),
            severities=frozenset(severities or ()),
            namespaces=within(namespace),
            labels=frozenset(label_pairs(labels or ()).items()),
            recipient_id=recipient,
            since=None if since is None else flow.overview.ago(since),
            text=text,
        )
        if is_watched:
            watch(
                screen.out,
                lambda: Group(
                    *drawn(flow.overview.incidents(wanted, limit=limit), wanted),
                    *map(pauses.drawn, flow.pauses.in_force()),
                    *map(silences.drawn, flow.silences.in_force(wanted.namespaces)),
                ),
            )
        show(flow, wanted, limit, as_json=as_json)


def show(flow: "notifyflow.NotifyFlow", wanted: IncidentFilter, limit: int, *, as_json: bool) -> None:
    """Print incidents, with the pauses and silences in force and the mark of messages."""
    page, paused, notice = flow.overview.incidents(wanted, limit=limit), flow.pauses.in_force(), flow.notice
    silenced = flow.silences.in_force(wanted.namespaces)
    if as_json:
        from notifyflow.core.insight.list_documents import IncidentLineDocument

        found = [IncidentLineDocument.of(each) for each in page.lines]
        around = {"silences": silences.documents(silenced), **surroundings(paused, notice)}
        screen.print_json({"incidents": found, "has_more": page.following is not None, **around})
        return
    screen.warn(notice)
    for part in drawn(page, wanted):
        screen.out.print(part)
    pauses.show(paused)
    silences.show(silenced)


def surroundings(paused: Sequence[Pause], notice: str) -> dict[str, Any]:
    """Return the pauses and the mark of messages, as JSON."""
    return {"pauses": pauses.documents(paused), "notice": notice or None}


def watch(console: Console, draw: Callable[[], RenderableType], *, wait: Callable[[float], None] = time.sleep) -> None:
    """Draw something again every two seconds, until Ctrl-C."""
    from rich.live import Live

    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(draw(), refresh=True)
            wait(_EVERY_S)


def drawn(page: IncidentPage, wanted: IncidentFilter) -> Sequence[RenderableType]:
    """Draw a page of the incidents that are wanted, and whether there are more."""
    is_plain = wanted == IncidentFilter(states=UNRESOLVED, namespaces=wanted.namespaces)
    nothing = "No incident is unresolved." if is_plain else "No incident matches."
    parts: list[RenderableType] = [table(page.lines) if page.lines else Text(nothing)]
    if page.is_cut:
        parts.append(Text("Only the newest of the resolved ones were searched; narrow the list, as by --since.", "dim"))
    elif page.following is not None:
        parts.append(Text(f"Only {len(page.lines)} are shown; there are more (--limit).", "dim"))
    return parts


def table(found: Sequence[IncidentLine]) -> RenderableType:
    """Draw some incidents; their namespaces and chains only if one has any."""
    times = Times(None, system_now())
    has_namespaces = any(each.facts.namespace for each in found)
    has_chains = any(each.chain for each in found)
    names = ("Key", *(("Namespace",) if has_namespaces else ()), "Severity", "Title", "State", "Since", "Reached", "Failed")
    rows = [
        (
            Text(plain(each.facts.key), "bold"),
            *((Text(plain(each.facts.namespace)),) if has_namespaces else ()),
            Text(each.facts.severity, SEVERITY[each.facts.severity]),
            Text(plain(each.title)),
            _state(each, times),
            Text(times.brief(each.facts.opened_at)),
            Text(f"{each.counts.reached} of {each.counts.recipients}"),
            Text(str(each.counts.failed), "bold red" if each.counts.failed else ""),
            *((Text(plain(chain_words.in_list(each.chain, brief=times.brief)) if each.chain else ""),) if has_chains else ()),
        )
        for each in found
    ]
    names = (*names, "Chain") if has_chains else names
    return LineTable(names, rows, flexible="Title", is_cut=True, block=partial(_block, names))


def _state(line: IncidentLine, times: Times) -> Text:
    """Draw the state of an incident, and until when it is silenced."""
    silence, state = lasting(filter(None, (line.silence,)), system_now()), state_of(line.facts)
    return state if silence is None else Text.assemble(state, f", silenced until {times.brief(silence.ended_at)}")


def _block(names: Sequence[str], row: Cells) -> Sequence[Text]:
    """Arrange an incident in lines: its severity and title, its key, how it stands, and how far its chain has come."""
    cell = dict(zip(names, row, strict=True))
    failed = Text.assemble(" · ", cell["Failed"], " failed") if cell["Failed"].plain != "0" else Text()
    return (
        Text.assemble(cell["Severity"], "  ", cell["Title"]),
        Text.assemble(cell["Key"], *((" · ", cell["Namespace"]) if cell.get("Namespace") else ())),
        Text.assemble(cell["State"], " since ", cell["Since"], " · ", cell["Reached"], " reached", failed),
        cell.get("Chain", Text()),
    )
