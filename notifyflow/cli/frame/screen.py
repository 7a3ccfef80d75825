"""Standard output and standard error, and how faults, errors and routes look on them; control characters are never passed on."""

import json
import sys
from collections.abc import Iterable, Mapping
from operator import methodcaller
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text

from notifyflow.core.messages.looks import Tone
from notifyflow.core.text import quantity
from notifyflow.errors import Fault, InvalidInput, NotConfirmed, NotifyflowError

if TYPE_CHECKING:
    from notifyflow.app.others import Others

QUARANTINED = (
    "This incident is quarantined since the database was adopted: nothing is sent for it until you run `notifyflow db adopt` "
    "with `--release`, which lets it continue, or `--resolve`, which ends it."
)
TONES = {Tone.GOOD: "green", Tone.BAD: "red", Tone.UNSURE: "yellow", Tone.PLAIN: "dim"}
"""The colour of good news, bad news and doubts."""

UNLIMITED = 10_000
"""The width of a pipe or a file, unless ``COLUMNS`` has one: then no line is cut or wrapped."""


class _Output(Console):
    """Draws in the terminal's own encoding; a closed pipe raises ``BrokenPipeError``, as on other streams."""

    @property
    def encoding(self) -> str:
        """The encoding of the stream; Rich takes that of standard output for UTF-8."""
        return (getattr(self.file, "encoding", None) or "utf-8").lower()

    def on_broken_pipe(self) -> None:
        """Raise the error again, for the end of the command; Rich would end it here, with 1."""
        raise


def _console(*, is_error: bool = False) -> Console:
    console = (Console if is_error else _Output)(stderr=is_error, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = get_terminal_size((UNLIMITED, 25)).columns
    return console


out, err = _console(), _console(is_error=True)


def plain(text: str) -> str:
    """Return text that is safe on a terminal: control characters (escape sequences, bells) become a visible mark."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def show_error(error: NotifyflowError) -> None:
    """Print an error on standard error, with a block for each fault."""
    if isinstance(error, InvalidInput):
        err.print(Text(f"Nothing was done: {quantity(error.count, 'fault')}.", style="bold red"))
        show_faults(error.faults, style="red")
        return
    for line in str(error).splitlines():
        err.print(Text.assemble(("✕ ", "bold red"), plain(line)), soft_wrap=True)


def show_faults(faults: Iterable[Fault], *, style: str) -> None:
    """Print faults on standard error: where, what, and what to do."""
    for fault in faults:
        err.print(Text.assemble(("✕ ", style), (plain(fault.place), "bold"), f": {plain(fault.what)}."), soft_wrap=True)
        err.print(Text(f"  {plain(fault.remedy)}.", style="dim"), soft_wrap=True)


def show_paging(paging: Mapping[str, str]) -> None:
    """Print the policy of each route, and what ends its paging."""
    for route, description in paging.items():
        line = Text.assemble("· ", (plain(route), "bold"), f" pages by {plain(description)}")
        out.print(line, soft_wrap=True)


def warn(text: str) -> None:
    """Print a warning on standard error, unless it is empty."""
    if text:
        err.print(Text.assemble(("! ", "bold yellow"), plain(text)), soft_wrap=True)


def show_unfinished(others: "Others | None") -> None:
    """Print on standard error which sends of other processes have no outcome, and when they are tried again."""
    if others is None or not others.sends:
        return
    who, unless = ("another", ", unless that process still runs") if others.is_recent else ("an earlier", "")
    warn(
        f"{quantity(others.sends, 'send')} of {who} process without an outcome: tried again when the lease ends, "
        f"in at most {others.leases_end_in_s} s{unless}."
    )


def is_interactive() -> bool:
    """Return whether standard input is a terminal, at which questions are answered; it may be closed."""
    return sys.stdin is not None and sys.stdin.isatty()


def agree(question: str) -> None:
    """Ask for confirmation.

    Raises:
        NotConfirmed: When it is denied, or standard input is not a terminal.
    """
    if not is_interactive():
        raise NotConfirmed(f"{question}\nNothing was done. Confirm with --yes; standard input is not a terminal.")
    err.print(question, markup=False, soft_wrap=True)
    if not typer.confirm("Continue?", err=True):
        raise NotConfirmed("Nothing was done.")


def print_json(document: Any) -> None:
    """Print one JSON document on standard output, unwrapped and unstyled; it may contain ``Document`` values.

    Where standard output is not UTF-8, other characters than ASCII are escaped, so that the document stays whole.
    """
    is_ascii = not out.encoding.startswith("utf")
    out.file.write(json.dumps(document, indent=2, ensure_ascii=is_ascii, default=methodcaller("as_json")) + "\n")
