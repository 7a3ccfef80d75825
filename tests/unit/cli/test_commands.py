"""The command line as a whole: each command is found in the module that has it."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

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


@pytest.mark.parametrize(("command", "has_both"), [("up", False), ("setup", True), ("status", False)])
def test_what_may_meet_another_database_has_the_drivers_of_both(command: str, has_both: bool):
    assert has_both_drivers(command, {}) == has_both


def test_a_server_with_a_plug_in_has_the_drivers_of_both(tmp_path: Path):
    installed = tmp_path / "pager-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: pager\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[notifyflow.channels]\npager = pager:Pager\n")
    assert has_both_drivers("up", {"PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))})


def has_both_drivers(command: str, environment: dict[str, str]) -> bool:
    program = (
        f"from notifyflow.cli.commands import _Process; _Process().prepare({command!r}); import peewee; print(peewee.psycopg)"
    )
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return ended.stdout != "None\n"
