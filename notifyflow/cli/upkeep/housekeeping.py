"""The commands about stored data: check its consistency, delete old incidents, forget a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

import notifyflow
from notifyflow.cli.frame import completion, screen
from notifyflow.cli.frame.exits import Exit
from notifyflow.cli.frame.options import AsJson, as_options, flag, span_option
from notifyflow.core.insight.list_documents import FindingDocument
from notifyflow.core.text import quantity
from notifyflow.core.upkeep.audit import Finding

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

app = typer.Typer()
_QUARANTINED = (
    "Nothing is sent for them until you run `notifyflow db adopt` with `--release`, which continues them, or `--resolve`."
)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Check the database: that all stored rows are consistent; exit 0 only if they are and nothing is quarantined."""
    done, count, findings = 0, 0, []
    with notifyflow.NotifyFlow.from_env() as flow, _bar() as (bar, task):
        for checked in flow.maintenance.check():
            done, count = checked.done, count + len(checked.findings)
            bar.update(task, completed=checked.done, total=checked.total)
            if as_json:
                findings += [FindingDocument.of(each) for each in checked.findings]
            else:
                _show(checked.findings)
        quarantined = flow.maintenance.quarantined_count()
    checked_count = quantity(done, "incident")
    if as_json:
        screen.print_json({"incidents": done, "findings": findings, "quarantined": quarantined})
    elif count:
        screen.out.print(Text(f"{checked_count} checked; {quantity(count, 'finding')}.", "bold red"))
    elif not quarantined:
        screen.out.print(Text(f"{checked_count} checked; no findings.", "bold green"))
    if quarantined and not as_json:
        are = "is" if quarantined == 1 else "are"
        screen.out.print(Text(f"{checked_count} checked; {quarantined} of them {are} quarantined.", "bold red"))
        screen.out.print(_QUARANTINED, soft_wrap=True)
    raise typer.Exit(Exit.FAILED if count or quarantined else Exit.OK)


@app.command()
def prune(
    older_than: Annotated[
        timedelta, span_option(help="Delete incidents resolved longer ago than this, as in 90d; at least one day.")
    ],
    dry_run: Annotated[bool, flag("--dry-run", help="Delete nothing; print what would be deleted.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete incidents that were resolved long ago, in small steps that do not block delivery."""
    from notifyflow.storage.upkeep.pruning import Pruned

    total = Pruned()
    with notifyflow.NotifyFlow.from_env() as flow, _bar() as (bar, task), as_options("older_than"):
        for pruned in flow.maintenance.prune(older_than, is_dry_run=dry_run):
            total += pruned
            bar.update(task, completed=total.incidents)
    counts = asdict(total)
    if as_json:
        screen.print_json({"is_dry_run": dry_run, **counts})
        return
    listed = ", ".join(quantity(count, name.removesuffix("s")) for name, count in counts.items())
    screen.out.print(f"{'Would delete' if dry_run else 'Deleted'}: {listed}.", soft_wrap=True)


@app.command()
def forget(
    recipient: Annotated[
        str,
        typer.Argument(metavar="RECIPIENT", help="The recipient's id.", show_default=False, autocompletion=completion.people),
    ],
    as_json: AsJson = False,
) -> None:
    """Overwrite a person's name, addresses and messages; the history stays, under their opaque id."""
    with notifyflow.NotifyFlow.from_env() as flow:
        forgotten = flow.maintenance.forget(recipient)
        similar = None if forgotten.is_known else flow.overview.similar_recipient(recipient)
    if as_json:
        screen.print_json({"recipient": recipient, "is_known": forgotten.is_known, "incidents": forgotten.incidents})
    if not forgotten.is_known:
        screen.warn(f"No incident names a recipient {recipient!r}.{f' Did you mean {similar!r}?' if similar else ''}")
        raise typer.Exit(Exit.FAILED)
    if not as_json:
        screen.out.print(f"Removed from {quantity(forgotten.incidents, 'incident')}.")


def _show(findings: tuple[Finding, ...]) -> None:
    for each in findings:
        line = Text.assemble(("✕ ", "red"), (each.rule, "bold"), f": {each.machine} {each.row_id} {screen.plain(each.what)}")
        if each.row_id != each.incident_id:
            line.append(f" (incident {each.incident_id})", "dim")
        screen.out.print(line, soft_wrap=True)


@contextmanager
def _bar() -> "Iterator[tuple[Progress, TaskID]]":
    """Show progress on standard error if it is a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("incidents"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=screen.err, transient=True, disable=not screen.err.is_terminal) as bar:
        yield bar, bar.add_task("incidents", total=None)
