"""The command line as a whole: which module has which command, and the one place where errors become messages and exit codes.

A command's module is loaded when the command is run, completed or described. So ``notifyflow status`` does not load the web
service, and ``--version`` loads none of them.
"""

import gc
import os
import sys
from collections import UserDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

import notifyflow
from notifyflow.errors import NotifyflowError

if TYPE_CHECKING:
    from notifyflow.core.insight.left_out import LeftOut

_OF_MODULES = {
    "insight.incidents": "send status ack resolve page page-again",
    "insight.overview": "list",
    "insight.messages": "log",
    "upkeep.explain": "explain",
    "upkeep.drill": "drill",
    "oncall.people": "test-page",
    "pauses": "pause resume",
    "silences": "silence",
    "oncall.duty": "oncall",
    "oncall.directory": "directory",
    "oncall.heartbeats": "heartbeats",
    "frame.configuration": "config",
    "upkeep.housekeeping": "check prune forget",
    "upkeep.administration": "db diagram",
    "upkeep.deploy": "deploy",
    "insight.codes": "code",
    "keys": "keys",
    "users": "users",
    "setup.command": "setup",
    "upkeep.serve": "up web demo sandbox",
}
_WITH_ANY_DATABASE = (None, "setup.command")
"""What may use another database than that of the settings: what is typed at ``setup``, for instance."""
_WITH_PLUG_INS = "upkeep.serve"
"""What has another database only if a plug-in has one."""

_MODULES = {name: module for module, names in _OF_MODULES.items() for name in names.split()}


class _Loading(UserDict[str, Any]):
    """The commands and groups by name, in the order of the help; each is loaded when it is looked up."""

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            whole = typer.Typer()
            whole.add_typer(import_module(f"notifyflow.cli.{_MODULES[name]}").app)
            self.data.update(get_group(whole).commands)
        return self.data[name]


class _Commands(TyperGroup):
    """The command line, which loads a command when it is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Loading(dict.fromkeys(_MODULES))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command."""
        if ctx.obj is not None:
            ctx.obj.prepare(cmd_name)
        return super().get_command(ctx, cmd_name)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read what is typed, and show help if it asks for it."""
        with _until_nobody_reads():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; at its end, name the damaged rows that it left out."""
        from notifyflow.storage.insight.left_out import collecting

        with _until_nobody_reads(), collecting() as found:
            try:
                return super().invoke(ctx)
            finally:
                if found:
                    _tell(found.values())


app = typer.Typer(
    cls=_Commands,
    help="Durable incident notification: every recipient is reached, or operations is alerted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Process:
    """The process of the command line; elsewhere, as in tests, nothing is to be prepared."""

    def prepare(self, command: str) -> None:
        """Prepare it for the import of a command."""
        module = _MODULES.get(command)
        if module in _WITH_ANY_DATABASE or "peewee" in sys.modules or (module == _WITH_PLUG_INS and _has_plug_ins()):
            return
        from notifyflow.settings import Settings
        from notifyflow.storage import drivers

        drivers.load(Settings.tolerant()[0].database_url.get_secret_value())

    def begin(self) -> None:
        """Prepare it for a command that is loaded."""
        gc.freeze()
        gc.enable()
        from notifyflow.app import log_output

        log_output.to_stderr(default="error")


def _has_plug_ins() -> bool:
    from notifyflow.channels import registry

    return registry.has_plug_ins()


def _tell(left_out: "Collection[LeftOut]") -> None:
    from notifyflow.cli.frame import screen
    from notifyflow.core.insight.left_out import sentence

    screen.warn(sentence(left_out))


def main() -> None:
    """Run the command line; errors of notifyflow are shown without a traceback."""
    gc.disable()  # what is loaded stays: to look for garbage in it again and again took a sixth of the time
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that has no ✓ shows ?
    try:
        app(obj=_Process())
    except NotifyflowError as error:
        from notifyflow.cli.frame import screen
        from notifyflow.cli.frame.exits import code_of

        screen.show_error(error)
        sys.exit(code_of(error))


def _show_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"notifyflow {notifyflow.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, metavar="", help="Show the version.")
    ] = False,
) -> None:
    del version
    process: _Process | None = context.obj
    if process is not None:
        process.begin()


@contextmanager
def _until_nobody_reads() -> Iterator[None]:
    """End with 0 when the reader of standard output has gone, as behind ``| head``; later output is dropped."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except (BrokenPipeError, SystemExit):  # Rich makes the second of the first, in the texts of help
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None
