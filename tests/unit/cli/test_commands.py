"""The command line as a whole: each command is found in the module that has it."""

import subprocess
import sys
from importlib import import_module

import pytest
import typer
from typer.main import get_group

from notifyflow.cli import commands
from tests.columns import dotted, sources


@pytest.mark.parametrize("module", commands._OF_MODULES)
def test_a_module_has_the_commands_that_it_is_loaded_for(module: str):
    whole = typer.Typer()
    whole.add_typer(import_module(f"notifyflow.cli.{module}").app)
    assert sorted(get_group(whole).commands) == sorted(commands._OF_MODULES[module].split())


def test_every_module_that_has_commands_is_known():
    having = {dotted(path) for path in sources("cli") if "\napp = typer.Typer(" in path.read_text()}
    known = {"commands", "oncall.feeds", *commands._OF_MODULES}  # feeds is a part of oncall
    assert having == {f"notifyflow.cli.{each}" for each in known}


@pytest.mark.parametrize(("command", "has_both"), [("up", True), ("setup", True), ("status", False)])
def test_what_may_meet_another_database_has_the_drivers_of_both(command: str, has_both: bool):
    program = (
        f"from notifyflow.cli.commands import _Process; _Process().prepare({command!r}); import peewee; print(peewee.psycopg)"
    )
    ended = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=True)
    assert (ended.stdout != "None\n") == has_both
