"""The commands that stay: the web service, the whole in one process, and the stand-ins for the providers."""

from typing import Annotated

import typer

from notifyflow.cli import screen

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(demo)
    app.command()(up)
    app.command()(web)
    app.command()(sandbox)


def demo() -> None:
    """Watch an incident fan out, fail, escalate, be received and be acknowledged; exit 0 only if all went as told."""
    from notifyflow.cli.demo.show import run

    raise typer.Exit(run(screen.out))


def up(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run everything in one process: web, delivery and sweeper."""
    from notifyflow.app import NotifyFlow

    with NotifyFlow.from_env() as flow:
        flow.start()
        _serve(flow.asgi(), host, port)


def web(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Run the web service only: callbacks and acknowledgement links; workers deliver."""
    from notifyflow.app import NotifyFlow

    with NotifyFlow.from_env() as flow:
        _serve(flow.asgi(), host, port)


def _serve(application: object, host: str, port: int) -> None:
    import uvicorn

    # No access log: the paths of magic links are secrets.
    uvicorn.run(application, host=host, port=port, access_log=False, server_header=False, log_level="warning")  # type: ignore[arg-type]


def sandbox() -> None:
    """Run local stand-ins for Twilio, Slack, Teams, SES, SNS and SMTP, with an inbox page and scripted faults."""
    raise NotImplementedError
