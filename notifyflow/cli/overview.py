"""How the unresolved incidents look on a terminal: a table with a line each."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from notifyflow.cli.picture import INCIDENT, SEVERITY, local
from notifyflow.cli.screen import plain
from notifyflow.core.schemas import IncidentSummaryDocument
from notifyflow.core.views import IncidentSummary, Tally


def table(found: Sequence[tuple[IncidentSummary, Tally]]) -> RenderableType:
    """Draw some incidents; their namespaces only if one has any."""
    has_namespaces = any(each.facts.namespace for each, _ in found)
    names = ("Key", *(("Namespace",) if has_namespaces else ()), "Severity", "Title", "State", "Since", "Reached", "Failed")
    columns = (Column(name, no_wrap=name != "Title") for name in names)  # only titles are cut where there is no room
    drawn = Table(*columns, box=None, pad_edge=False)
    for each, tally in found:
        facts = each.facts
        drawn.add_row(
            Text(plain(facts.key), "bold"),
            *((Text(plain(facts.namespace)),) if has_namespaces else ()),
            Text(facts.severity, SEVERITY[facts.severity]),
            Text(plain(each.content.title), no_wrap=True, overflow="ellipsis"),
            Text(facts.state, INCIDENT[facts.state]),
            local(facts.opened_at),
            f"{tally.reached} of {tally.recipients}",
            Text(str(tally.failed), "bold red" if tally.failed else ""),
        )
    return drawn


def documents(found: Sequence[tuple[IncidentSummary, Tally]]) -> list[dict[str, object]]:
    """Return the same as JSON."""
    return [{**IncidentSummaryDocument.of(each).as_json(), **asdict(tally)} for each, tally in found]
