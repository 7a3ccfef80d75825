"""The command line: reads what is typed, calls the application, shows what comes of it."""

from notifyflow.cli.commands import app, main

__all__ = ["app", "main"]
