"""Command lines as people and files have them, read by the parsers that will read them."""

from collections.abc import Sequence
from importlib.util import find_spec

from dramatiq.cli import make_argument_parser
from typer.main import get_command

from notifyflow.cli import app


def check_command(words: Sequence[str]) -> None:
    """Check that a line of the shell is a command of notifyflow, with options that it has and arguments that it takes."""
    command, rest = get_command(app), list(words[1:])
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    if rest[:1] == ["--help"]:
        return
    if hasattr(command, "commands"):
        assert command.invoke_without_command, words
        assert not rest or rest[0].startswith("-"), words
    command.make_context(words[0], rest)  # raises what is wrong, and runs nothing


def check_worker(words: Sequence[str]) -> None:
    """Check that a line starts dramatiq with a module that exists, for all queues."""
    read = make_argument_parser().parse_args(list(words[1:]))
    assert find_spec(read.broker) is not None, words
    assert (read.modules, read.queues) == ([], None), words
