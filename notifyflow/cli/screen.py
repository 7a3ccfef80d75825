"""The two consoles, and how faults and errors look on them; what users gave us is shown as text, never obeyed."""

import json
import sys
from collections.abc import Iterable
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from notifyflow.core.schemas import Document
from notifyflow.errors import Fault, InvalidInput, NotConfirmed, NotifyflowError

QUARANTINED = (
    "This incident is quarantined since the database was adopted: nothing of it is sent until `notifyflow db adopt --release` "
    "lets it go on, or `--resolve` ends it."
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def plain(text: str) -> str:
    """Make text harmless for a terminal: what cannot be printed (escape sequences, bells) becomes a visible mark."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def show_error(error: NotifyflowError) -> None:
    """Say on standard error what went wrong: a line an error, or a block a fault."""
    if isinstance(error, InvalidInput):
        count = error.count
        err.print(Text(f"Nothing was done: {count:,} {'fault' if count == 1 else 'faults'}.", style="bold red"))
        show_faults(error.faults, style="red")
        return
    for line in str(error).splitlines():
        err.print(Text.assemble(("✘ ", "bold red"), plain(line)), soft_wrap=True)


def show_faults(faults: Iterable[Fault], *, style: str) -> None:
    """List faults on standard error: where, what, and what to do."""
    for fault in faults:
        err.print(Text.assemble(("✘ ", style), (plain(fault.where), "bold"), f": {plain(fault.what)}."), soft_wrap=True)
        err.print(Text(f"  {plain(fault.remedy)}.", style="dim"), soft_wrap=True)


def show_notice(notice: str) -> None:
    """Say on standard error what every message shows, where it shows anything: that not all is live."""
    if notice:
        err.print(Text.assemble(("! ", "bold yellow"), plain(notice)), soft_wrap=True)


def agree(what: str) -> None:
    """Ask whether something is to be done.

    Raises:
        NotConfirmed: When it is not, or nobody can be asked.
    """
    if not sys.stdin.isatty():
        raise NotConfirmed(f"{what}\nNothing was done, since nobody can be asked here: give --yes.")
    err.print(what, markup=False, soft_wrap=True)
    if not typer.confirm("Do it?", err=True):
        raise NotConfirmed("Nothing was done.")


def show_quarantined(*, is_quarantined: bool) -> None:
    """Say on standard error that nothing of an incident is sent."""
    if is_quarantined:
        err.print(Text.assemble(("! ", "bold yellow"), QUARANTINED), soft_wrap=True)


def print_json(document: Any) -> None:
    """Print one JSON document on standard output, for machines: unwrapped and unstyled; schemas in it are written as JSON."""
    out.file.write(json.dumps(document, indent=2, ensure_ascii=False, default=Document.as_json) + "\n")
