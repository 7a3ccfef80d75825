"""The options that several commands have."""

import getpass
from datetime import timedelta
from typing import Annotated

import typer

from notifyflow.core.intake.forms import read_duration


def span(value: str) -> timedelta:
    """Parse a duration: ``90d``, ``12h``, ``30m``, ``45s``; an invalid one ends the command with 2."""
    duration = read_duration(value)
    if duration is None:
        raise typer.BadParameter(f"{value!r} is not a duration: write a number and d, h, m or s, such as 90d or 30m")
    return duration


def _or_login(name: str) -> str:
    try:
        return name or getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "someone"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
By = Annotated[str, typer.Option("--by", help="Who does it; by default, your login.", callback=_or_login, show_default=False)]
