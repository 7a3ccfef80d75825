"""The commands about stored data: check its consistency, delete old incidents, forget a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

import notifyflow
from notifyflow.cli.frame import completion, files, screen
from notifyflow.cli.frame.exits import Exit
from notifyflow.cli.frame.options import AsJson, as_options, flag, span_option
from notifyflow.core.insight.list_documents import FindingDocument
from notifyflow.core.text import quantity
from notifyflow.core.upkeep.audit import Finding

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from notifyflow.app.maintenance import Lost

app = typer.Typer()
_QUARANTINED = (
    "Nothing is sent for them until you run `notifyflow db adopt` with `--release`, which continues them, or `--resolve`."
)


@app.command()
def check(
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log", metavar="FILE", help="A log of yours: find what it names and the database lacks.", show_default=False
        ),
    ] = None,
    kept_for: Annotated[
        timedelta | None,
        span_option(help="With --log: how long your prune keeps what is resolved; older rows are not judged.", default="1d"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the database: that all stored rows are consistent; exit 0 only if they are and nothing is quarantined."""
    from notifyflow.app.maintenance import Lost  # with this command only

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
        lost = flow.maintenance.find_lost(files.lines(log), kept_for=kept_for) if log else Lost()
    count += len(lost.findings)
    findings += [FindingDocument.of(each) for each in lost.findings]
    if not as_json:
        _show_lost(lost)
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


def _show_lost(lost: "Lost") -> None:
    _show(lost.findings)
    if lost.old:
        what = f"{quantity(lost.old, 'mention')} of older rows, which may have been pruned, not judged; see --kept-for."
        screen.out.print(Text(f"· {what}"), soft_wrap=True)


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
