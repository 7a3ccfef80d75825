"""The command that looks after the directory: what is wrong with it, and who could not be reached."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from notifyflow.cli import screen
from notifyflow.cli.exits import Exit
from notifyflow.core.schemas import FaultDocument
from notifyflow.errors import Fault, InvalidDirectory

if TYPE_CHECKING:
    from notifyflow.core.intake.directory import Reach

_UNSET = Fault("NOTIFYFLOW_DIRECTORY", "is not set, and no file is named", "Set it, or name the file to check")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    directory = typer.Typer(help="Look after the directory.", no_args_is_help=True)
    directory.command("check")(check)
    app.add_typer(directory, name="directory")


def check(
    file: Annotated[
        Path | None, typer.Argument(help="The file; NOTIFYFLOW_DIRECTORY where it is not said.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Say everything that is wrong with the directory, and who could not be reached; exit 0 if nothing is, and nobody."""
    found = _look(file)
    if as_json:
        recipients = {each: list(ways) for each, ways in found.ways.items()}
        faults = [FaultDocument.of(each) for each in found.faults]
        warnings = [FaultDocument.of(each) for each in found.warnings]
        screen.print_json({"recipients": recipients, "routes": dict(found.paging), "faults": faults, "warnings": warnings})
    else:
        _show(found)
    if found.faults:
        raise typer.Exit(Exit.UNTOLD if found.is_usable else Exit.BAD_INPUT)


def _look(file: Path | None) -> "Reach":
    from notifyflow.app import configuration
    from notifyflow.channels.registry import load
    from notifyflow.core.intake.directory import reach
    from notifyflow.service.directory import text_of
    from notifyflow.settings import Settings

    settings = Settings()
    channels = load(settings)
    policies, *_ = configuration.read(settings, channels)
    path = file or settings.directory
    if path is None:
        raise InvalidDirectory((_UNSET,))
    return reach(
        text_of(path),
        lambda channel, address: channels[channel].check_address(address),
        channels,
        [name for name, channel in channels.items() if channel.providers],
        policies,
        warn=lambda channel, address: channels[channel].warning(address),
    )


def _show(found: "Reach") -> None:
    for recipient, ways in found.ways.items():
        mark, said = (("✔ ", "green"), ", ".join(ways)) if ways else (("✘ ", "red"), "cannot be reached")
        screen.out.print(Text.assemble(mark, (screen.plain(recipient), "bold"), f": {said}"))
    show_paging(found.paging)
    for warning in found.warnings:
        screen.out.print(Text.assemble(("! ", "yellow"), screen.plain(str(warning))), soft_wrap=True)
    screen.show_faults(found.faults, style="yellow")
    if not found.faults:
        screen.out.print(Text("Everybody can be reached by every way there is.", "bold green"))


def show_paging(paging: Mapping[str, str]) -> None:
    """Print by which policy each route pages, and what ends that."""
    for where, said in paging.items():
        line = Text.assemble("· ", (screen.plain(where), "bold"), f" pages by {screen.plain(said)}")
        screen.out.print(line, soft_wrap=True)
