"""The commands for administrators: diagrams and schema migrations."""

import shutil
import subprocess
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

import notifyflow
from notifyflow.channels.registry import load
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.audience import Labels, audiences, policy_of
from notifyflow.cli.frame.options import AsJson, flag
from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.diagrams.layout import View
from notifyflow.core.forms import unknown
from notifyflow.core.text import quantity
from notifyflow.errors import Fault, InvalidInput, InvalidPolicy, ProgramMissing
from notifyflow.settings import Settings

if TYPE_CHECKING:
    from notifyflow.core.diagrams.tier_picture import TierPicture

app = typer.Typer()
db = typer.Typer(name="db", help="Manage the database.", no_args_is_help=True)


class Format(StrEnum):
    """The format of a diagram."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    RST = "rst"


@app.command()
def diagram(
    format_: Annotated[Format, typer.Option("--format", help="The output format.")] = Format.MERMAID,
    policy: Annotated[
        str | None, typer.Option(help="Draw only the escalation, unrolled for this policy.", show_default=False)
    ] = None,
    labels: Labels = None,
    view: Annotated[
        View, typer.Option(help="What a newcomer reads in ten seconds (simple), or every move with its events (full).")
    ] = View.SIMPLE,
) -> None:
    """Print the state machines as diagrams."""
    from notifyflow.core.diagrams import diagram as diagrams
    from notifyflow.core.diagrams import diagram_svg, tier_picture

    unrolled = None if policy is None else _policy(policy)
    picture = _chain(labels) if labels else tier_picture.of_policy(unrolled) if unrolled and view is View.SIMPLE else None
    drawn = [tier_picture.drawing(picture)] if picture else [diagrams.unroll(unrolled)] if unrolled else diagrams.drawings(view)
    match format_:
        case Format.MERMAID:
            text = diagrams.mermaid(drawn)
        case Format.DOT:
            text = diagrams.dot(drawn)
        case Format.RST:
            text = diagrams.rst(view=view)
        case Format.SVG if view is View.FULL:
            text = _svg(diagrams.dot(drawn))
        case Format.SVG:
            text = tier_picture.svg(picture) if picture else diagram_svg.picture(diagrams.TABLES)
    typer.echo(text, nl=not text.endswith("\n"))


def _chain(labels: Sequence[str]) -> "TierPicture":
    """Return the chain of the route that an alert with these labels takes."""
    from notifyflow.app import configuration
    from notifyflow.cli.upkeep.expected import chain_of
    from notifyflow.core.diagrams import tier_picture

    settings = Settings()
    channels = load(settings)
    read = configuration.read(settings, channels)
    (audience,) = audiences(settings, read.policies, None, labels, None)
    found = chain_of(audience, policy_of(read.policies, audience.policy), Severity.CRITICAL, channels, read.operations)
    if found is None:
        raise InvalidInput((Fault("--label", "the route of this alert has no chain", "Give it later steps with `then`"),))
    return tier_picture.of_chain(audience.name, found)


def _policy(name: str) -> Policy:
    from notifyflow.app import configuration

    settings = Settings()
    policies = configuration.read(settings, load(settings)).policies
    if name not in policies:
        raise InvalidPolicy((unknown("--policy", "policy", name, policies),))
    return policies[name]


def _svg(dot: str) -> str:
    program = shutil.which("dot")
    if program is None:
        raise ProgramMissing("dot", "Install Graphviz (Debian: apt install graphviz), or use --view simple or --format dot")
    done = subprocess.run([program, "-Tsvg"], input=dot, capture_output=True, text=True, check=True)  # noqa: S603 - no shell, our own text
    return done.stdout


@db.command("upgrade")
def db_upgrade(as_json: AsJson = False) -> None:
    """Upgrade the database's schema to this version."""
    from notifyflow.storage.migrations import WANTED
    from notifyflow.storage.store import Store

    store = Store(Settings().database_url.get_secret_value())
    try:
        applied = store.upgrade()
    finally:
        store.close()
    if as_json:
        screen.print_json({"schema": WANTED, "applied": applied})
        return
    screen.out.print(
        f"The database now has schema {WANTED}." if applied else f"Nothing to do: the database has schema {WANTED} or newer."
    )


@db.command("adopt")
def db_adopt(
    release: Annotated[bool, flag("--release", help="Let the quarantined incidents continue.")] = False,
    resolve: Annotated[bool, flag("--resolve", help="Resolve the quarantined incidents without notifying anyone.")] = False,
    yes: Annotated[bool, flag("--yes", help="Do not ask for confirmation.")] = False,
    force: Annotated[bool, flag("--force", help="Adopt it even if a running system delivers from it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take over a restored or copied database: its unfinished incidents are quarantined until you release or resolve them."""
    if release and resolve:
        raise typer.BadParameter("--release and --resolve exclude each other")
    with notifyflow.NotifyFlow.from_env() as flow:
        if release:
            done, count = "released", flow.maintenance.release_quarantined()
            message = f"{_were(count)} released and {'continues' if count == 1 else 'continue'}."
        elif resolve:
            done, count = "resolved", _resolve_quarantined(flow, is_agreed=yes)
            message = f"{_were(count)} resolved."
        else:
            done, count = "quarantined", _adopt(flow, is_agreed=yes, is_forced=force)
            message = (
                f"The database is adopted; {_are(count)} quarantined. Continue them with --release, or end them with --resolve."
            )
    if as_json:
        screen.print_json({"done": done, "incidents": count})
    else:
        screen.out.print(message, soft_wrap=True)


def _adopt(flow: "notifyflow.NotifyFlow", *, is_agreed: bool, is_forced: bool) -> int:
    holding = flow.maintenance.survey(is_forced=is_forced)
    if holding.unfinished and not is_agreed:
        owner = f"of the environment {screen.plain(holding.environment)}" if holding.environment else "without a name"
        screen.agree(
            f"{_are(holding.unfinished)} unfinished in this database {owner}. If you adopt it, nothing more is sent for them "
            "until you release or resolve them."
        )
    return flow.maintenance.adopt(is_forced=is_forced)


def _resolve_quarantined(flow: "notifyflow.NotifyFlow", *, is_agreed: bool) -> int:
    quarantined = flow.maintenance.quarantined_count()
    if quarantined and not is_agreed:
        screen.agree(f"{_are(quarantined)} quarantined. --resolve ends all of them and notifies nobody.")
    return flow.maintenance.resolve_quarantined()


def _are(count: int) -> str:
    return f"{quantity(count, 'incident')} {'is' if count == 1 else 'are'}"


def _were(count: int) -> str:
    return f"{quantity(count, 'incident')} {'was' if count == 1 else 'were'}"


app.add_typer(db)
