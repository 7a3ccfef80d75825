"""Durations as options: ``90d``, ``12h``, ``30m``, ``45s``."""

from datetime import timedelta

import typer

from notifyflow.core.intake.forms import read_duration


def span(value: str) -> timedelta:
    """Parse a duration; an invalid one ends the command with 2."""
    duration = read_duration(value)
    if duration is None:
        raise typer.BadParameter(f"{value!r} is not a duration: write a number and d, h, m or s, such as 90d or 30m")
    return duration
