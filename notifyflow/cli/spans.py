"""Spans of time as they are typed: ``90d``, ``12h``, ``30m``, ``45s``."""

from datetime import timedelta

import typer

from notifyflow.core.intake.forms import read_duration


def span(written: str) -> timedelta:
    """Read an option's value; what is none ends the command with 2."""
    found = read_duration(written)
    if found is None:
        raise typer.BadParameter(f"{written!r} is not a duration: write a number and d, h, m or s, such as 90d or 30m")
    return found
