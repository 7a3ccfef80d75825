"""The command line: reads arguments, calls the application, shows the result."""

from notifyflow.cli.commands import app, main

__all__ = ["app", "main"]
