"""Shows the damaged rows that are set aside, and releases those that are mended."""

from collections.abc import Sequence

import typer
from rich.text import Text

import notifyflow
from notifyflow.app.clock_and_ids import system_now
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.exits import Exit
from notifyflow.cli.frame.screen import plain
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.insight.left_out import LeftOut
from notifyflow.core.insight.list_documents import SetAsideDocument
from notifyflow.core.insight.schemas import LeftOutDocument
from notifyflow.core.insight.times import Times


def show(released: Sequence[str], *, as_json: bool) -> None:
    """Release rows, then list those that are set aside; end with 1 if a row could not be released."""
    with notifyflow.NotifyFlow.from_env() as flow:
        done = flow.overview.release(released)
        rows, damaged = flow.overview.set_aside(), flow.overview.damaged()
    kept = [row_id for row_id in released if row_id not in done]
    if as_json:
        shown = [LeftOutDocument.of(each) for each in damaged]
        screen.print_json({"released": list(done), "rows": [SetAsideDocument.of(each) for each in rows], "damaged": shown})
    else:
        _print(rows, done, kept)
        _print_damaged(damaged)
    if kept:
        raise typer.Exit(Exit.FAILED)


def _print(rows: Sequence[SetAside], done: Sequence[str], kept: Sequence[str]) -> None:
    for row_id in done:
        screen.out.print(f"Released: {row_id}.", markup=False, highlight=False)
    for row_id in kept:
        screen.warn(f"{row_id} was not released: it is not set aside, or still damaged. Mend the row first.")
    for each in rows:
        for line in _drawn(each):
            screen.out.print(line, soft_wrap=True)
    if not rows:
        screen.out.print("No row is set aside.")


def _print_damaged(rows: Sequence[LeftOut]) -> None:
    for each in rows:
        screen.out.print(Text.assemble(("✕ ", "red"), plain(str(each))), soft_wrap=True)
    if rows:
        screen.out.print(
            f"Lists leave {'it' if len(rows) == 1 else 'them'} out. `notifyflow check` looks through the history, too."
        )


def _drawn(row: SetAside) -> Sequence[Text]:
    times = Times(None, system_now())
    return (
        Text.assemble(("✕ ", "red"), (f"{row.machine} {row.row_id}", "bold"), f": {plain(row.what)}"),
        Text(f"  table {plain(row.relation)}, code {plain(row.code)}, incident {row.incident_id or 'unknown'}"),
        Text(f"  since {times.full(row.at)}, set aside {row.times} × until {times.full(row.until)}", "dim"),
    )
