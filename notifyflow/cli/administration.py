"""The commands for whoever runs it: diagrams, schema migrations, and what is wrong with the settings."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from notifyflow.cli import connections, screen
from notifyflow.cli.directory import show_paging
from notifyflow.cli.exits import Exit
from notifyflow.core.policy import Policy
from notifyflow.core.schemas import FaultDocument
from notifyflow.errors import Fault, InvalidPolicy, ProgramMissing

if TYPE_CHECKING:
    from notifyflow.app import NotifyFlow


class Format(StrEnum):
    """How a diagram is written."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    RST = "rst"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(diagram)
    db = typer.Typer(help="Look after the database.", no_args_is_help=True)
    db.command("upgrade")(db_upgrade)
    db.command("adopt")(db_adopt)
    app.add_typer(db, name="db")
    config = typer.Typer(help="Look after the settings.", no_args_is_help=True)
    config.command("check")(config_check)
    app.add_typer(config, name="config")


def diagram(
    format_: Annotated[Format, typer.Option("--format", help="How to write them.")] = Format.MERMAID,
    policy: Annotated[
        str | None, typer.Option(help="Draw the escalation alone, as this policy unrolls it.", show_default=False)
    ] = None,
) -> None:
    """Draw the state machines as they run."""
    from notifyflow.core import diagram as drawn

    drawings = None if policy is None else [drawn.unroll(_policy(policy))]
    match format_:
        case Format.MERMAID:
            text = drawn.mermaid(drawings)
        case Format.DOT:
            text = drawn.dot(drawings)
        case Format.RST:
            text = drawn.rst()
        case Format.SVG:
            text = _svg(drawn.dot(drawings))
    typer.echo(text, nl=not text.endswith("\n"))


def _policy(name: str) -> Policy:
    from notifyflow.app import configuration
    from notifyflow.channels.registry import load
    from notifyflow.settings import Settings

    settings = Settings()
    policies, *_ = configuration.read(settings, load(settings))
    if name not in policies:
        raise InvalidPolicy((Fault("policy", f"{name!r} is not known", f"Choose one of {', '.join(policies)}"),))
    return policies[name]


def _svg(dot: str) -> str:
    program = shutil.which("dot")
    if program is None:
        raise ProgramMissing("dot", "Install Graphviz (Debian: apt install graphviz), or use --format dot")
    drawn = subprocess.run([program, "-Tsvg"], input=dot, capture_output=True, text=True, check=True)  # noqa: S603 - no shell, our own text
    return drawn.stdout


def db_upgrade() -> None:
    """Bring the database's schema to this version."""
    from notifyflow.settings import Settings
    from notifyflow.storage.migrations import WANTED
    from notifyflow.storage.store import Store

    store = Store(Settings().database_url.get_secret_value())
    try:
        applied = store.upgrade()
    finally:
        store.close()
    screen.out.print(
        f"The database has schema {WANTED} {'now' if applied else 'already, or a newer one that this code may use'}."
    )


def db_adopt(
    release: Annotated[bool, typer.Option("--release", help="Let the quarantined incidents go on.")] = False,
    resolve: Annotated[bool, typer.Option("--resolve", help="Resolve the quarantined incidents, and tell nobody.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Adopt it although somebody delivers from it.")] = False,
) -> None:
    """Take over a restored or copied database: unfinished incidents are quarantined until they are released or resolved."""
    from notifyflow.app import NotifyFlow

    if release and resolve:
        raise typer.BadParameter("--release and --resolve exclude each other")
    with NotifyFlow.from_env() as flow:
        if release:
            count = flow.maintenance.release_quarantined()
            said = f"{_were(count)} quarantined, and {'goes' if count == 1 else 'go'} on."
        elif resolve:
            said = _resolve_quarantined(flow, is_agreed=yes)
        else:
            said = _adopt(flow, is_agreed=yes, is_forced=force)
    screen.out.print(said, soft_wrap=True)


def _adopt(flow: "NotifyFlow", *, is_agreed: bool, is_forced: bool) -> str:
    holding = flow.maintenance.survey(is_forced=is_forced)
    if holding.unfinished and not is_agreed:
        whose = f"of the environment {screen.plain(holding.environment)}" if holding.environment else "without a name"
        screen.agree(
            f"{_are(holding.unfinished)} unfinished in this database {whose}. Adopted, nothing more of that is sent until you "
            "release or resolve it."
        )
    quarantined = flow.maintenance.adopt(is_forced=is_forced)
    return f"The database is ours; {_are(quarantined)} quarantined. Let them go on with --release, or end them with --resolve."


def _resolve_quarantined(flow: "NotifyFlow", *, is_agreed: bool) -> str:
    quarantined = flow.maintenance.quarantined_count()
    if quarantined and not is_agreed:
        screen.agree(f"{_are(quarantined)} quarantined. With --resolve all of that is resolved, and nobody is told.")
    count = flow.maintenance.resolve_quarantined()
    return f"{_were(count)} quarantined, and {'is' if count == 1 else 'are'} resolved."


def _are(count: int) -> str:
    return "1 incident is" if count == 1 else f"{count} incidents are"


def _were(count: int) -> str:
    return "1 incident was" if count == 1 else f"{count} incidents were"


def config_check(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False) -> None:
    """Say everything that is wrong with the settings, at once, and whether database and broker answer; exit 0 if all is well."""
    from notifyflow.app import NotifyFlow, configuration
    from notifyflow.channels.registry import load
    from notifyflow.settings import Settings

    settings = Settings()
    channels = load(settings)
    with NotifyFlow(settings, channels=channels) as flow:
        warnings = flow.warnings
    policies, *_ = configuration.read(settings, channels)
    paging = configuration.read_paging(settings, policies)
    tried = connections.try_all(settings)
    providers_of = {name: [provider.name for provider in channel.providers] for name, channel in channels.items()}
    if as_json:
        answers = {each.name: {"is_good": each.is_good, "told": each.told} for each in tried}
        faults = [FaultDocument.of(each) for each in warnings]
        screen.print_json({**answers, "channels": providers_of, "routes": dict(paging), "warnings": faults})
    else:
        _show_settings(providers_of, paging, warnings, tried)
    if not all(each.is_good for each in tried):
        raise typer.Exit(Exit.UNAVAILABLE)


def _show_settings(
    providers_of: Mapping[str, Sequence[str]],
    paging: Mapping[str, str],
    warnings: Sequence[Fault],
    tried: Sequence[connections.Connection],
) -> None:
    for each in tried:
        mark = ("✔ ", "green") if each.is_good else ("✘ ", "bold red")
        screen.out.print(Text.assemble(mark, (each.name, "bold"), f": {screen.plain(each.told)}"), soft_wrap=True)
    for name, providers in providers_of.items():
        line = (
            Text.assemble(("✔ ", "green"), (name, "bold"), f" over {', '.join(providers)}")
            if providers
            else f"· {name}: nobody carries it"
        )
        screen.out.print(line)
    show_paging(paging)
    screen.show_faults(warnings, style="yellow")
    if all(each.is_good for each in tried):
        screen.out.print(Text("The settings allow a start.", "bold green"))
