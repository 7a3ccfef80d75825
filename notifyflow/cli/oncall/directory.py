"""The command that checks the directory: its faults, and the people who could not be reached."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from notifyflow.channels.provider_protocols import shows_arrival
from notifyflow.channels.registry import load
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.audience import stored_roster
from notifyflow.cli.frame.exits import Exit
from notifyflow.cli.frame.options import AsJson
from notifyflow.cli.frame.rehearsed import findings
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.insight.schemas import FaultDocument
from notifyflow.core.intake.toml_lines import with_lines
from notifyflow.core.oncall.reach import Reach, reach
from notifyflow.core.oncall.roster import Roster
from notifyflow.errors import Fault, InvalidDirectory
from notifyflow.service.oncall.directory import text_of
from notifyflow.settings import Settings

app = typer.Typer(name="directory", help="Check the directory: its people, schedules and routes.", no_args_is_help=True)
_UNSET = Fault("NOTIFYFLOW_DIRECTORY", "is not set, and no file was given", "Set it, or give the file to check")


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="The file; by default, NOTIFYFLOW_DIRECTORY.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Check the directory: list all that is wrong, and everyone who could not be reached; exit 0 only if there is nothing."""
    settings = Settings()
    document, found, policies, rehearsed = _reach(settings, file)
    has_duty = found.is_usable and bool(found.directory.schedules)
    roster = stored_roster(settings, found.directory) if has_duty else None
    if found.is_usable:
        found = _with_duty_warnings(found, roster or Roster(directory=found.directory), policies)
        found = replace(found, faults=(*found.faults, *rehearsed))
    found = replace(found, faults=with_lines(found.faults, document), warnings=with_lines(found.warnings, document))
    if as_json:
        recipients = {each: list(ways) for each, ways in found.ways.items()}
        faults, warnings = ([_with_line(each) for each in those] for those in (found.faults, found.warnings))
        report = {"recipients": recipients, "routes": dict(found.paging), "faults": faults, "warnings": warnings}
        screen.print_json({**report, "uses_database": roster is not None})
    else:
        rows = "are those of the database" if roster else "are not considered: no database was read"
        _show(found, f"Overrides and calendars {rows}." if has_duty else "")
    if found.faults:
        raise typer.Exit(Exit.FAILED if found.is_usable else Exit.BAD_INPUT)


def _with_line(fault: Fault) -> Mapping[str, object]:
    return FaultDocument.of(fault).as_json() | {"line": fault.line}


def _reach(settings: Settings, file: Path | None) -> tuple[str, Reach, Mapping[str, Policy], Sequence[Fault]]:
    from notifyflow.app import configuration

    channels = load(settings)
    read = configuration.read(settings, channels)
    policies = read.policies
    path = file or settings.directory
    if path is None:
        raise InvalidDirectory((_UNSET,))
    document = text_of(path)
    found = reach(
        document,
        lambda channel, address: channels[channel].check_address(address),
        channels,
        [name for name, channel in channels.items() if channel.providers],
        policies,
        warn=lambda channel, address: channels[channel].warning(address),
        showing=[name for name, channel in channels.items() if shows_arrival(channel)],
    )
    from notifyflow.core.upkeep.rehearsal import tells_nobody  # with this command only

    rehearsed = findings(read, found.people.values(), channels) if found.is_usable else ()
    has_operations = bool(read.operations)  # `config check` says that there is nobody
    faults = [each.fault for each in rehearsed if has_operations or not tells_nobody(each)]
    return document, found, policies, (*read.unreached, *faults)


def _with_duty_warnings(found: Reach, roster: Roster, policies: Mapping[str, Policy]) -> Reach:
    """Add the foreseeable faults."""
    from notifyflow.app.clock_and_ids import system_now
    from notifyflow.core.upkeep.duty_warnings import duty_warnings  # with this command only

    found_warnings = duty_warnings(roster, found.people, policies, now=system_now())
    return replace(
        found,
        faults=(*found.faults, *(each.fault for each in found_warnings if each.is_fault)),
        warnings=(*found.warnings, *(each.fault for each in found_warnings if not each.is_fault)),
    )


def _show(found: Reach, source: str) -> None:
    for recipient, ways in found.ways.items():
        mark, state = (("✓ ", "green"), ", ".join(ways)) if ways else (("✕ ", "red"), "cannot be reached")
        screen.out.print(Text.assemble(mark, (screen.plain(recipient), "bold"), f": {state}"))
    screen.show_paging(found.paging)
    if source:
        screen.out.print(Text(f"· {source}"), soft_wrap=True)
    for warning in found.warnings:
        screen.out.print(Text.assemble(("! ", "yellow"), screen.plain(str(warning))), soft_wrap=True)
    screen.show_faults(found.faults, style="yellow")
    if not found.faults:
        screen.out.print(Text("Everybody can be reached on all their channels.", "bold green"))
