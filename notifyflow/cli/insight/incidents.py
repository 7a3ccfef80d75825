"""The commands about incidents: send, status, acknowledge, resolve, page somebody, page again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

import notifyflow
from notifyflow.app.clock_and_ids import system_now
from notifyflow.cli import pauses
from notifyflow.cli.frame import completion, files, screen
from notifyflow.cli.frame.exits import Exit
from notifyflow.cli.frame.options import AsJson, By, Key, Namespace, Person, as_options, flag, within
from notifyflow.cli.frame.picture import picture
from notifyflow.cli.insight import overview
from notifyflow.core.delivery.model import EscalationState, Incident, Notified, Severity, Stopped, Via
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import IncidentFilter, IncidentStatus
from notifyflow.core.messages.ways import message
from notifyflow.core.namespaces import SHARED
from notifyflow.core.text import quantity
from notifyflow.errors import NotFound, RecipientNotFound

app = typer.Typer()
_UNSETTLED = "Not settled yet. Queued notifications are kept; `notifyflow up` or the next `notifyflow send` delivers them."

Wait = Annotated[bool, flag("--wait", help="Watch until it is settled; always on with memory://.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, help="Stop watching after this many seconds.")]
_LONGEST_NAME = 200  # of a person, within a key


@app.command()
def send(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The incident as JSON; - reads standard input.", show_default=False)
    ],
    recipients: Annotated[str | None, typer.Option(help="A second file with more recipients.", show_default=False)] = None,
    policy: Annotated[str, typer.Option(help="The policy: default, insistent, or one of your own.")] = "default",
    strict: Annotated[bool, flag("--strict", help="Refuse the incident if any recipient is faulty.")] = False,
    wait: Wait = False,
    timeout_s: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Deliver an incident file, with live progress per recipient and channel."""
    submission = files.read(file, recipients, policy=policy, strict=strict)
    with notifyflow.NotifyFlow.from_env() as flow:
        with as_options("policy", besides=submission.unread):
            notified = flow.submit(submission)
        sent = _follow(flow, notified, submission.incident.key, wait=wait, timeout_s=timeout_s, as_json=as_json)
    _conclude(sent, as_json=as_json)


@app.command()
def page(
    person: Person,
    title: Annotated[str, typer.Argument(metavar="TEXT", help="What happened, in one line.", show_default=False)],
    severity: Annotated[Severity, typer.Option("--severity", help="How severe it is.", case_sensitive=False)] = Severity.ERROR,
    body: Annotated[str | None, typer.Option(help="More about it.", show_default=False)] = None,
    url: Annotated[str | None, typer.Option(help="A link to more.", show_default=False)] = None,
    policy: Annotated[str | None, typer.Option(help="The policy.", show_default="of the first route to them")] = None,
    by: By = "",
    wait: Wait = False,
    timeout_s: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Page a person of the directory now, as an incident of its own."""
    key = f"page-{person[:_LONGEST_NAME]}-{system_now():%Y%m%d-%H%M%S-%f}"
    incident = Incident(key=key, title=title, severity=severity, body=body, url=url, source=by)
    with notifyflow.NotifyFlow.from_env() as flow:
        with as_options("policy", "body", "url"):
            notified = flow.page(person, incident, policy=policy)
        sent = _follow(flow, notified, key, wait=wait, timeout_s=timeout_s, as_json=as_json)
    _conclude(sent, as_json=as_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """The result of a submission: the status of the incident if it was watched, and whether it is quarantined."""

    key: str
    notified: Notified
    status: IncidentStatus | None
    is_quarantined: bool


def _follow(
    flow: "notifyflow.NotifyFlow", notified: Notified, key: str, *, wait: bool, timeout_s: float | None, as_json: bool
) -> _Sent:
    """Warn of all that holds up an incident, and watch it if wanted, or if only this process delivers it."""
    screen.warn(flow.notice)
    screen.show_unfinished(flow.others)
    _warn_of_broker(flow)
    screen.show_faults(notified.faults, style="yellow")
    is_quarantined = flow.maintenance.is_quarantined(notified.incident_id)
    is_watched = (wait or flow.is_embedded) and not is_quarantined
    status = _watch(flow, key, timeout_s, as_json) if is_watched else None
    return _Sent(key=key, notified=notified, status=status, is_quarantined=is_quarantined)


def _conclude(sent: _Sent, *, as_json: bool) -> None:
    """Print the result of a submission, and end with 1 if somebody was not reached."""
    status, notified = sent.status, sent.notified
    screen.warn(screen.QUARANTINED if sent.is_quarantined else "")
    if as_json:
        from notifyflow.core.insight.schemas import IncidentDocument, NotifiedDocument

        incident = None if status is None else IncidentDocument.of(status)
        stored = {**NotifiedDocument.of(notified).as_json(), "is_quarantined": sent.is_quarantined}
        screen.print_json({**stored, "incident": incident})
    elif status is None:
        paged, known = quantity(len(notified.added), "recipient"), len(notified.repeated)
        also = f", {known} known already" if known else ""
        screen.out.print(
            f"Accepted: {paged} to page{also}. See `notifyflow status {screen.plain(sent.key)}`.", markup=False, soft_wrap=True
        )
    if sent.is_quarantined or (status is not None and not _is_reached(status)):
        raise typer.Exit(Exit.FAILED)


def _warn_of_broker(flow: "notifyflow.NotifyFlow") -> None:
    if flow.unrung:
        waits = f"{quantity(flow.unrung, 'notification')} {'waits' if flow.unrung == 1 else 'wait'}"
        screen.warn(f"The broker is unavailable (NOTIFYFLOW_BROKER_URL). {waits} in the database for the next sweep of a worker.")


def _watch(flow: "notifyflow.NotifyFlow", key: str, timeout_s: float | None, as_json: bool) -> IncidentStatus:
    """Show an incident until it is settled: on standard error if standard output is for JSON."""
    from notifyflow.cli.frame.progress import watch  # with rich's live display, which a server does not need

    console = screen.err if as_json else screen.out
    try:
        status = watch(
            console,
            lambda: flow.status(key, namespace=SHARED),
            lambda step_s: flow.wait(key, namespace=SHARED, timeout_s=step_s),
            timeout_s=timeout_s,
        )
    except KeyboardInterrupt:
        screen.err.print(_UNSETTLED)
        screen.err.print("Sending what is due now; press Ctrl-C again to stop at once.", style="dim")
        raise
    if not status.is_settled:
        screen.err.print(_UNSETTLED)
    return status


def _is_reached(status: IncidentStatus) -> bool:
    reached = (EscalationState.REACHED, EscalationState.ACKNOWLEDGED, EscalationState.CANCELLED)
    return all(each.facts.state in reached for each in status.escalations if each.facts.is_current)


@app.command()
def status(
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="The incident's key or id.", show_default=False, autocompletion=completion.keys),
    ] = None,
    namespace: Namespace = None,
    verbose: Annotated[bool, flag("--verbose", "-v", help="Show every attempt and every step.")] = False,
    brief: Annotated[bool, flag("--brief", help="Show only the recipients and their channels, not what happened when.")] = False,
    as_markdown: Annotated[bool, flag("--markdown", help="Print a Markdown document for the post-mortem.")] = False,
    is_about_broken: Annotated[bool, flag("--broken", help="List the damaged rows that are set aside.")] = False,
    released: Annotated[
        list[str] | None, typer.Option("--release", metavar="ROW", help="Let a mended row go on at once.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show an incident: whom it reached how, what comes next, what happened; without a key, list the unresolved incidents."""
    if is_about_broken or released:
        from notifyflow.cli.insight import broken

        if key is not None or as_markdown:
            raise typer.BadParameter("--broken and --release take no KEY and no --markdown")
        broken.show(released or (), as_json=as_json)
        return
    if as_markdown and (as_json or key is None):
        raise typer.BadParameter("--markdown needs a KEY, and takes no --json")
    if key is None:
        with notifyflow.NotifyFlow.from_env() as flow:
            wanted = IncidentFilter(states=overview.UNRESOLVED, namespaces=within(namespace))
            overview.show(flow, wanted, overview.MOST_SHOWN, as_json=as_json)
        return
    with notifyflow.NotifyFlow.from_env() as flow:
        paused, notice = flow.pauses.in_force(), flow.notice
        incident = _find(flow, key, namespace)
        next_events, entries = flow.overview.next_events(incident), flow.overview.timeline(incident)
        explain = flow.overview.explain
    if as_json:
        from notifyflow.core.insight.report_document import IncidentReportDocument

        shown = IncidentReportDocument.of_all(incident, next_events, entries).as_json()
        screen.print_json({**shown, **overview.surroundings(paused, notice)})
        return
    if as_markdown:
        from notifyflow.core.insight.postmortem import markdown

        screen.out.file.write(markdown(incident, entries, here=Times(None, None).local))
        return
    screen.warn(notice)
    happened = () if brief else entries
    screen.out.print(picture(incident, has_attempts=verbose, next_events=next_events, entries=happened, explain=explain))
    pauses.show(paused)


def _find(flow: "notifyflow.NotifyFlow", key: str, namespace: str | None) -> IncidentStatus:
    """Return an incident; the error of an unknown key suggests a similar one."""
    try:
        return flow.status(key, namespace=namespace)
    except NotFound:
        similar = flow.overview.similar_key(key, namespace=namespace)
        raise NotFound(key, namespace, similar=similar) from None


@app.command()
def ack(key: Key, by: By = "", namespace: Namespace = None, as_json: AsJson = False) -> None:
    """Acknowledge an incident: its queued pages are cancelled."""
    _stop(notifyflow.NotifyFlow.acknowledge, key, by, namespace, as_json=as_json)


@app.command()
def resolve(key: Key, by: By = "", namespace: Namespace = None, as_json: AsJson = False) -> None:
    """Resolve an incident: it ends, and the same key opens a new one."""
    _stop(notifyflow.NotifyFlow.resolve, key, by, namespace, as_json=as_json)


def _stop(act: Callable[..., Stopped], key: str, by: str, namespace: str | None, *, as_json: bool) -> None:
    with notifyflow.NotifyFlow.from_env() as flow:
        namespace = _find(flow, key, namespace).facts.namespace  # act on and show the same incident
        stopped = act(flow, key, by=by, via=Via.CLI, namespace=namespace)
        _warn_of_broker(flow)
    _show_stopped(stopped, as_json=as_json)
    status(key, namespace, brief=True, as_json=as_json)


@app.command("page-again")
def page_again(
    key: Key,
    people: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PERSON]...", help="Whom, by id.", show_default="all whom it pages", autocompletion=completion.people
        ),
    ] = None,
    by: By = "",
    namespace: Namespace = None,
    as_json: AsJson = False,
) -> None:
    """Page the people of an incident again, from the first tier on, also after an acknowledgement."""
    with notifyflow.NotifyFlow.from_env() as flow:
        incident = _find(flow, key, namespace)
        known = dict.fromkeys(each.contact.recipient_id for each in incident.escalations)
        for person in people or ():
            if person not in known:
                raise RecipientNotFound(key, person)
        namespace = incident.facts.namespace
        for person in dict.fromkeys(people or known):
            flow.page_again(key, person, by=by, via=Via.CLI, namespace=namespace)
        _warn_of_broker(flow)
    status(key, namespace, brief=True, as_json=as_json)


def _show_stopped(stopped: Stopped, *, as_json: bool) -> None:
    """Print which pages were cancelled and which were on their way; on standard error if standard output is for JSON."""
    console = screen.err if as_json else screen.out
    if not stopped:
        console.print("Nothing changed: this had been done before.")
        return
    for heading, pages in (("Cancelled", stopped.cancelled), ("On their way", stopped.on_their_way)):
        names = ", ".join(f"{message(page.channel)} to {page.recipient_id}" for page in pages)
        console.print(f"{heading}: {names or 'nothing'}.", markup=False, highlight=False)
    if stopped.left:
        left = f"Set aside, since the database refuses to write it: {', '.join(stopped.left)}. See `notifyflow status --broken`."
        console.print(left, markup=False, highlight=False)
