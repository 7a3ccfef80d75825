"""The commands about incidents, and the one place where errors become words and exit codes."""

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from notifyflow.cli import administration, directory, files, housekeeping, keys, log, pauses, screen, serve
from notifyflow.cli.exits import Exit, code_of
from notifyflow.cli.picture import picture
from notifyflow.cli.progress import look, watch
from notifyflow.core.model import EscalationState, Stopped, Via
from notifyflow.core.namespaces import SHARED
from notifyflow.core.schemas import IncidentDocument, NotifiedDocument, PauseDocument
from notifyflow.core.views import IncidentStatus
from notifyflow.errors import NotifyflowError

if TYPE_CHECKING:
    from notifyflow.app import NotifyFlow

app = typer.Typer(
    help="Durable incident notification: every recipient is told, or operations knows why not.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_UNSETTLED = (
    "Not settled yet. What is queued is kept, and goes on whenever something delivers: `notifyflow up`, or the next send."
)

serve.register(app)
directory.register(app)
housekeeping.register(app)
keys.register(app)
pauses.register(app)
administration.register(app)

Key = Annotated[str, typer.Argument(metavar="KEY", help="The incident's key, or its id.", show_default=False)]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", help="The incident's namespace; all are looked in where it is not said.", show_default=False),
]
By = Annotated[str | None, typer.Option("--by", help="Who does it; your login where it is not said.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def main() -> None:
    """Run the command line; what notifyflow refuses is shown without a traceback."""
    log.to_stderr()
    try:
        app()
    except NotifyflowError as error:
        screen.show_error(error)
        sys.exit(code_of(error))


def _show_version(is_requested: bool) -> None:
    if is_requested:
        from notifyflow import __version__

        typer.echo(f"notifyflow {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    del version


@app.command()
def send(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The incident as JSON; - is standard input.", show_default=False)],
    recipients: Annotated[str | None, typer.Option(help="A second file, with (more) recipients.", show_default=False)] = None,
    policy: Annotated[str, typer.Option(help="How to page: default, insistent, or one of your own.")] = "default",
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the whole when one recipient is faulty.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Watch until it is settled; memory:// always does.")] = False,
    timeout_s: Annotated[float | None, typer.Option("--timeout", min=0, help="Stop watching after so many seconds.")] = None,
    as_json: AsJson = False,
) -> None:
    """Deliver an incident file, with live progress per recipient and channel."""
    submission = files.read(file, recipients, policy=policy, strict=strict)
    from notifyflow.app import NotifyFlow

    with NotifyFlow.from_env() as flow:
        notified = flow.submit(submission)
        screen.show_notice(flow.notice)
        screen.show_faults(notified.faults, style="yellow")
        is_quarantined = flow.maintenance.is_quarantined(notified.incident_id)
        is_watched = (wait or flow.is_embedded) and not is_quarantined
        status = _watch(flow, submission.incident.key, timeout_s, as_json) if is_watched else None
    screen.show_quarantined(is_quarantined=is_quarantined)
    if as_json:
        incident = None if status is None else IncidentDocument.of(status)
        screen.print_json({**NotifiedDocument.of(notified).as_json(), "is_quarantined": is_quarantined, "incident": incident})
    elif status is None:
        screen.out.print(
            f"Accepted: {len(notified.added)} paged, {len(notified.repeated)} already known. Look with `notifyflow status`."
        )
    if is_quarantined or (status is not None and not _is_told(status)):
        raise typer.Exit(Exit.UNTOLD)


def _watch(flow: "NotifyFlow", key: str, timeout_s: float | None, as_json: bool) -> IncidentStatus:
    """Show an incident until it is settled; standard output stays free for JSON."""
    console = screen.err if as_json else screen.out
    try:
        status = watch(
            console,
            lambda: look(flow, key, SHARED),
            lambda step_s: flow.wait(key, namespace=SHARED, timeout_s=step_s),
            timeout_s=timeout_s,
        )
    except KeyboardInterrupt:
        screen.err.print(_UNSETTLED)
        screen.err.print("What is due at once is still sent; Ctrl-C again leaves without.", style="dim")
        raise
    if not status.is_settled:
        screen.err.print(_UNSETTLED)
    return status


def _is_told(status: IncidentStatus) -> bool:
    told = (EscalationState.REACHED, EscalationState.ACKNOWLEDGED, EscalationState.CANCELLED)
    return all(each.facts.state in told for each in status.escalations if each.facts.is_current)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "somebody"


@app.command()
def status(key: Key, namespace: Namespace = None, as_json: AsJson = False) -> None:
    """Show what happened to an incident: every recipient, channel and attempt."""
    from notifyflow.app import NotifyFlow

    with NotifyFlow.from_env() as flow:
        found, paused, notice = look(flow, key, namespace), flow.switch.pauses(), flow.notice
    if as_json:
        more = {"pauses": [PauseDocument.of(each) for each in paused], "notice": notice or None}
        screen.print_json({**IncidentDocument.of(found).as_json(), **more})
    else:
        screen.show_notice(notice)
        screen.out.print(picture(found))
        pauses.show(paused)


@app.command()
def ack(key: Key, by: By = None, namespace: Namespace = None, as_json: AsJson = False) -> None:
    """Acknowledge an incident: what is still queued for it is cancelled."""
    from notifyflow.app import NotifyFlow

    with NotifyFlow.from_env() as flow:
        namespace = look(flow, key, namespace).facts.namespace  # so that what is shown is what was acknowledged
        stopped = flow.acknowledge(key, by=by or _login(), via=Via.CLI, namespace=namespace)
    _show_stopped(stopped, as_json=as_json)
    status(key, namespace, as_json=as_json)


@app.command()
def resolve(key: Key, by: By = None, namespace: Namespace = None, as_json: AsJson = False) -> None:
    """End an incident; the same key opens a new one."""
    from notifyflow.app import NotifyFlow

    with NotifyFlow.from_env() as flow:
        namespace = look(flow, key, namespace).facts.namespace
        stopped = flow.resolve(key, by=by or _login(), via=Via.CLI, namespace=namespace)
    _show_stopped(stopped, as_json=as_json)
    status(key, namespace, as_json=as_json)


def _show_stopped(stopped: Stopped, *, as_json: bool) -> None:
    """Say what was cancelled and what had left already; beside JSON on standard error, which stays free for people."""
    console = screen.err if as_json else screen.out
    if not stopped:
        console.print("Nothing was changed: it was so already.")
        return
    for words, pages in (("Cancelled", stopped.cancelled), ("Had left already", stopped.on_their_way)):
        named = ", ".join(f"{page.channel} to {page.recipient_id}" for page in pages)
        console.print(f"{words}: {named or 'nothing'}.", markup=False, highlight=False)
