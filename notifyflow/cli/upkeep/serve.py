"""The commands that keep running: everything in one process, the web service, the sandbox; and the demo."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

import notifyflow
from notifyflow.app import log_output, memory
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.exits import Exit
from notifyflow.errors import PortUnavailable
from notifyflow.settings import Settings

app = typer.Typer()
sandbox_app = typer.Typer(name="sandbox", invoke_without_command=True)
T = TypeVar("T")
Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 picks a free one.")]


@app.command()
def demo() -> None:
    """Watch an incident fan out, fail, escalate and be acknowledged; exit 0 only if all checks pass."""
    from notifyflow.cli.demo.show import run

    raise typer.Exit(run(screen.out))


@app.command()
def up(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run everything in one process: the web service, delivery and the sweeper."""
    _serve(host, port, _deliver)


@app.command()
def web(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run the web service alone: callbacks, acknowledgements, the API and the dashboard; workers deliver."""
    _serve(host, port, lambda flow: None)


def _deliver(flow: "notifyflow.NotifyFlow") -> None:
    flow.start()
    if flow.others is not None and flow.others.is_recent:
        screen.warn("Another process delivers from this database, or did within the last ten seconds. Several may at once.")
    screen.show_unfinished(flow.others)


def _serve(host: str, port: int, begin: Callable[["notifyflow.NotifyFlow"], None]) -> None:
    from notifyflow.cli.frame import serving
    from notifyflow.cli.frame.timed_http import HttpLimits

    settings = Settings()
    files = serving.raise_file_limit()
    limits = HttpLimits(connections=serving.connections_within(files, settings.web_connections))
    with notifyflow.NotifyFlow(settings) as flow:
        log_output.to_stderr(default="info")
        is_over = serving.expect_signal()
        if not flow.wait_for_database(is_over.wait):
            return
        with _bind(port, lambda: serving.listen(host, port)) as listening:  # later, so that a proxy takes another one meanwhile
            begin(flow)
            application = flow.asgi()
            memory.freeze()
            with serving.served(application, listening, limits):
                screen.out.print(f"Listening on {serving.url_of(listening)}")
                _offer_setup(flow, settings.public_url or serving.url_of(listening))
                is_over.wait()


def _offer_setup(flow: "notifyflow.NotifyFlow", url: str) -> None:
    """Print the link for making the first user of the dashboard, while there is none."""
    if token := flow.users().offer_setup():
        text = f"Nobody can use the dashboard yet. Make its first user within an hour: {url.rstrip('/')}/setup/{token}"
        screen.out.print(text, soft_wrap=True, markup=False)


@sandbox_app.callback()
def sandbox(
    context: typer.Context,
    script: Annotated[list[str] | None, typer.Option(help="Faults, as in 'slack: 500 twice, then ok'; can be repeated.")] = None,
    host: Host = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(min=0, max=65530, help="The port of the inbox page; the stand-ins use the next ones; 0 picks free ports."),
    ] = 8025,
) -> None:
    """Run stand-ins for Twilio, Slack, Teams, SES, SNS and SMTP, with scripted faults and an inbox page."""
    if context.invoked_subcommand is not None:
        return
    from notifyflow.cli.frame import serving
    from notifyflow.sandbox.system import Sandbox

    stand_ins = Sandbox(host=host, port=port)
    stand_ins.script("\n".join(script or ()))
    _bind(port, stand_ins.start)
    try:
        is_over = serving.expect_signal()
        for name, value in stand_ins.settings().items():
            screen.out.print(f"export {name}={value}", soft_wrap=True, markup=False)
        screen.out.print(f"# The inbox is at {stand_ins.url}. Addresses for a recipient named ada:", soft_wrap=True)
        screen.out.print(f"#   slack {stand_ins.slack_url('ada')}\n#   teams {stand_ins.teams_url('ada')}", soft_wrap=True)
        screen.out.print(f"#   push  {stand_ins.push_arn('ada')}", soft_wrap=True)
        screen.out.print("# To receive incident events in the inbox, also set:", soft_wrap=True)
        screen.out.print(f"#   export NOTIFYFLOW_WEBHOOKS='{stand_ins.webhooks('status-page')}'", soft_wrap=True, markup=False)
        is_over.wait()
    finally:
        stand_ins.stop()


@sandbox_app.command("script")
def sandbox_script(
    script: Annotated[str, typer.Argument(metavar="FILE|TEXT", help="A file with a script, or a script.", show_default=False)],
    url: Annotated[str, typer.Option(help="The inbox page of the sandbox.")] = "http://127.0.0.1:8025",
) -> None:
    """Replace the script of a sandbox that is running; an empty text accepts everything again."""
    from notifyflow.sandbox.remote import replace_script

    is_file = os.path.isfile(script)  # unlike Path's, it is False for a text that is too long for a name
    try:
        replace_script(url, Path(script).read_text("utf-8") if is_file else script)
    except (OSError, ValueError) as error:
        screen.warn(f"No sandbox responds at {url}: {error}. Start `notifyflow sandbox`, or give its inbox page with --url.")
        raise typer.Exit(Exit.UNAVAILABLE) from None
    screen.out.print("The script is in force.")


def _bind(port: int, listen: Callable[[], T]) -> T:
    try:
        return listen()
    except OSError as error:
        raise PortUnavailable(port, error.strerror or str(error)) from None


app.add_typer(sandbox_app)
