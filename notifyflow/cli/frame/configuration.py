"""The command that checks the settings: what is wrong, risky, unused and good, each once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from notifyflow.channels.base import Channel
from notifyflow.channels.registry import load
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.connections import INFRASTRUCTURE, REPLICA, ConnectionTry, Tries, url_faults
from notifyflow.cli.frame.exits import Exit
from notifyflow.cli.frame.options import AsJson, flag
from notifyflow.cli.frame.rehearsed import findings, people_of
from notifyflow.core.insight.schemas import FaultDocument
from notifyflow.core.text import quantity
from notifyflow.errors import Fault
from notifyflow.settings import Settings

app = typer.Typer(name="config", help="Check the settings, the connections and the providers.", no_args_is_help=True)
_GOOD, _WRONG, _RISKY, _UNUSED = ("✓ ", "green"), ("✕ ", "bold red"), ("! ", "bold yellow"), ("· ", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that was found.

    Attributes:
        paging: Each route of the directory to its policy, and what ends its paging.
        warnings: What is allowed, and risky or incomplete.
        hazards: What is allowed, and may leave a phone silent.
        unreached: Why nobody can be reached.
        unused: Each channel that is not used to what it lacks.
    """

    connections: Sequence[ConnectionTry]
    channels: Mapping[str, Channel]
    paging: Mapping[str, str]
    faults: Sequence[Fault]
    warnings: Sequence[Fault]
    hazards: Sequence[Fault]
    unreached: Sequence[Fault]
    unused: Mapping[str, Sequence[Fault]]

    @property
    def exit_code(self) -> Exit:
        """The code of the gravest finding."""
        if self.faults:
            return Exit.BAD_INPUT
        return code_of(self.connections) or (Exit.FAILED if self.hazards or self.unreached else Exit.OK)


@app.command()
def check(
    is_offline: Annotated[bool, flag("--offline", help="Connect to nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the settings, and log in everywhere: list all that is wrong; exit 0 only if somebody can be reached."""
    report = _examine(is_offline=is_offline)
    if as_json:
        _print_json(report)
    else:
        _show(report)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _examine(*, is_offline: bool) -> Report:
    from notifyflow.app import configuration

    settings, faults = Settings.tolerant()
    channels = load(settings)
    found = configuration.examine(settings, channels)
    faults = _new((*url_faults(settings), *found.preventing, *(each for each in found.faults if not each.is_unset)), faults)
    wrong = _settings(faults)
    rehearsed = [each.fault for each in findings(found, people_of(settings, found, channels), channels)]
    tries = Tries(settings=settings, wrong=wrong, channels=channels)
    try:
        connections = tuple(tries.skip() if is_offline else tries.run())
    finally:
        for channel in channels.values():
            channel.close()
    return Report(
        connections=connections,
        channels=channels,
        paging=configuration.read_paging(settings, found.policies),
        faults=faults,
        warnings=_not_at(wrong, found.warnings),
        hazards=(*_not_at(wrong, found.hazards), *rehearsed),
        unreached=_not_at(wrong, found.unreached),
        unused={name: unset for name, channel in channels.items() if (unset := _not_at(wrong, _unset(channel)))},
    )


def _new(found: Iterable[Fault], known: Sequence[Fault]) -> tuple[Fault, ...]:
    """Return the known faults, and those found later that are not about the same settings."""
    return (*known, *_not_at(_settings(known), found))


def _settings(faults: Iterable[Fault]) -> set[str]:
    """Return the settings that faults are about; some faults name a part of one, after a space."""
    return {fault.where.split()[0].removesuffix("_FILE") for fault in faults}


def _not_at(settings: Iterable[str], faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return the faults, each once, without those about one of some settings."""
    return tuple(dict.fromkeys(fault for fault in faults if fault.where not in settings))


def _unset(channel: Channel) -> Iterable[Fault]:
    return (fault for fault in channel.faults if fault.is_unset)


def _print_json(report: Report) -> None:
    tried = {each.name: each for each in report.connections}
    others = (*INFRASTRUCTURE, REPLICA)
    results = {name: _result(tried[name]) for name in others if name in tried}
    screen.print_json(
        {
            **results,
            "providers": {name: _result(each) for name, each in tried.items() if name not in others},
            "channels": {name: [each.name for each in channel.providers] for name, channel in report.channels.items()},
            "routes": dict(report.paging),
            "faults": [FaultDocument.of(each) for each in report.faults],
            "warnings": [FaultDocument.of(each) for each in (*report.unreached, *report.hazards, *report.warnings)],
            "unused": {name: [FaultDocument.of(each) for each in unset] for name, unset in report.unused.items()},
        }
    )


def _result(connection: ConnectionTry) -> Mapping[str, object]:
    return {"is_good": connection.is_good, "detail": connection.detail}


def code_of(connections: Iterable[ConnectionTry]) -> Exit:
    """Return the exit code of a command that needs all these connections."""
    failed = {each.name for each in connections if each.is_good is False}
    if failed.intersection(INFRASTRUCTURE):
        return Exit.UNAVAILABLE
    return Exit.FAILED if failed else Exit.OK


def show_tries(connections: Iterable[ConnectionTry]) -> None:
    """Print what the tries found."""
    for each in connections:
        mark = {True: _GOOD, False: _WRONG, None: _UNUSED}[each.is_good]
        carries = f" ({', '.join(each.channels)})" if each.channels else ""
        _line(mark, each.name, f"{carries}: {each.detail}")


def _show(report: Report) -> None:
    show_tries(report.connections)
    screen.show_paging(report.paging)
    for mark, faults in ((_WRONG, report.faults), (_RISKY, (*report.unreached, *report.hazards, *report.warnings))):
        for fault in faults:
            _line(mark, fault.where, f" {fault.what}. {fault.remedy}.")
    for channel, unset in report.unused.items():
        for fault in unset:
            _line(_UNUSED, channel, f" not used: {fault}")
    count = len(report.faults) + sum(each.is_good is False for each in report.connections)
    start = f"The settings allow a start{', but nobody can be reached' if report.unreached else ''}."
    screen.out.print(f"{quantity(count, 'fault')}." if count else start, style="bold")


def _line(mark: tuple[str, str], name: str, rest: str) -> None:
    screen.out.print(Text.assemble(mark, (screen.plain(name), "bold"), screen.plain(rest)), soft_wrap=True)
