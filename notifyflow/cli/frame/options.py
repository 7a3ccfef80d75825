"""The options that several commands have."""

import getpass
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

import typer

from notifyflow.cli.frame import completion
from notifyflow.core.forms import read_duration
from notifyflow.errors import Fault, InvalidInput


def span(value: str) -> timedelta:
    """Parse a duration: ``90d``, ``12h``, ``30m``, ``45s``; an invalid one ends the command with 2."""
    duration = read_duration(value)
    if duration is None:
        raise typer.BadParameter(f"{value!r} is not a duration: write a number and d, h, m or s, such as 90d or 30m")
    return duration


def flag(*names: str, help: str, **more: Any) -> Any:
    """Return an option without a value, shown without a type in the help."""
    return typer.Option(*names, help=help, metavar="", **more)


def span_option(*names: str, help: str, default: str | bool = False) -> Any:
    """Return an option whose value is a duration; ``default`` describes what holds without it."""
    return typer.Option(*names, parser=span, metavar="SPAN", help=help, show_default=default)


def _or_login(name: str) -> str:
    try:
        return name or getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "someone"


@contextmanager
def as_options(*names: str, besides: Collection[Fault] = ()) -> Iterator[None]:
    """Name some options as they are typed in the faults of an error: ``--older-than``; faults ``besides`` stay as they are."""
    try:
        yield
    except InvalidInput as error:
        faults = [
            replace(fault, where=f"--{fault.where.replace('_', '-')}") if fault.where in names and fault not in besides else fault
            for fault in error.faults
        ]
        raise type(error)(faults) from None


def label_pairs(labels: Sequence[str]) -> Mapping[str, str]:
    """Parse labels, each ``NAME=VALUE``; an invalid one ends the command with 2."""
    pairs = [each.partition("=") for each in labels]
    if wrong := next((name for name, sign, _ in pairs if not (name and sign)), None):
        raise typer.BadParameter(f"{wrong!r} is not a label: write NAME=VALUE, such as team=orders")
    return {name: value for name, _, value in pairs}


def within(namespace: str | None) -> frozenset[str] | None:
    """Return the namespaces of a filter; None for all."""
    return None if namespace is None else frozenset({namespace})


Key = Annotated[
    str, typer.Argument(metavar="KEY", help="The incident's key or id.", show_default=False, autocompletion=completion.keys)
]
Person = Annotated[
    str,
    typer.Argument(
        metavar="PERSON", help="Their id, as the directory has it.", show_default=False, autocompletion=completion.people
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", help="The incident's namespace; by default, all are searched.", show_default=False),
]
AsJson = Annotated[bool, flag("--json", help="Print JSON.")]
By = Annotated[str, typer.Option("--by", help="Who does it; by default, your login.", callback=_or_login, show_default=False)]
Within = Annotated[str | None, typer.Option("--namespace", help="Only this namespace; by default, all.", show_default=False)]
Since = Annotated[timedelta | None, span_option("--since", help="Only what is no older than this, as in 2h.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many to show at most.")]
