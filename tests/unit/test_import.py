"""Importing notifyflow is cheap and has no side effects."""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import notifyflow
from notifyflow import errors

WHEN_USED = (
    *("twilio", "boto3", "botocore", "slack_sdk", "cryptography"),  # by a process that sends, or serves callbacks
    *("dramatiq", "redis", "pika", "notifyflow.engine.engine"),  # by one that delivers, or rings
    *("fastapi", "starlette", "uvicorn", "h11", "notifyflow.web"),  # by the web service
    *("typer", "click", "aiosmtpd"),  # by the command line, and by the sandbox
    *("phonenumbers", "email_validator", "regex"),  # with the first address, and the first text that is cut
    *("requests", "urllib3", "jinja2"),  # with the first request and the first message, or a start
    "structlog",  # with the first line of the log that is read, or a start
    "notifyflow.core.insight.schemas",  # with the first document
    "transitions.extensions",  # never: our diagrams are our own
)
WHEN_ONE_IS_MADE = (
    *("peewee", "psycopg", "pydantic", "pydantic_settings"),
    *("notifyflow.settings", "notifyflow.storage", "notifyflow.pipeline", "notifyflow.channels", "notifyflow.service"),
)
OF_OTHER_COMMANDS = tuple(
    f"notifyflow.cli.{name}" for name in ("serve", "drill", "explain", "administration", "configuration", "users", "codes")
)
RUN = "import sys; sys.argv = {arguments}\nfrom notifyflow.cli import main\ntry: main()\nexcept SystemExit: pass"
SCRIPT = """
import json, os, sys
class Env(dict):
    def __getitem__(self, name): read.append(name); return super().__getitem__(name)
    def get(self, name, default=None): read.append(name); return super().get(name, default)
read, events = [], []
os.environ = Env(os.environ)
sys.addaudithook(lambda event, args: events.append(event) if event.startswith(("socket.", "sqlite3.", "subprocess.")) else None)
{statement}
print(json.dumps(dict(modules=sorted(sys.modules), read=read, events=events)))
"""


def loaded(statement: str, folder: Path | None = None) -> dict[str, list[str]]:
    script = SCRIPT.replace("{statement}", statement)
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    modules: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return modules


@pytest.mark.parametrize(
    "statement",
    [
        "import notifyflow",
        "from notifyflow import Incident, Recipient, Severity",
        "from notifyflow import NotifyFlow",
        "import notifyflow.testing.plugin",
    ],
)
def test_importing_loads_nothing_heavy_opens_nothing_and_reads_no_environment(statement: str) -> None:
    seen = loaded(statement)
    assert [name for name in (*WHEN_USED, *WHEN_ONE_IS_MADE) if name in seen["modules"]] == []
    assert [name for name in seen["read"] if name.startswith("NOTIFYFLOW_")] == []
    assert seen["events"] == []


def test_the_door_for_channels_loads_nothing_that_sends() -> None:
    seen = loaded("import notifyflow.plugin")
    assert [name for name in WHEN_USED if name in seen["modules"]] == []
    assert seen["events"] == []


def test_making_one_loads_what_it_works_with_and_opens_nothing() -> None:
    seen = loaded("from notifyflow import NotifyFlow; NotifyFlow.from_env()")
    assert [name for name in WHEN_USED if name in seen["modules"]] == []
    assert [name for name in WHEN_ONE_IS_MADE if name not in seen["modules"]] == []
    assert [event for event in seen["events"] if event.startswith(("sqlite3.", "subprocess.", "socket.connect"))] == []


def test_the_version_is_shown_without_anything_that_commands_work_with() -> None:
    seen = loaded(RUN.format(arguments=["notifyflow", "--version"]))
    assert [name for name in (*WHEN_USED, *WHEN_ONE_IS_MADE) if name in seen["modules"] and name != "typer"] == []
    assert [name for name in seen["modules"] if name.startswith("notifyflow.cli.")] == ["notifyflow.cli.commands"]
    assert [name for name in seen["read"] if name.startswith("NOTIFYFLOW_")] == []


@pytest.mark.parametrize("arguments", [["list"], ["status"], ["status", "db-1"], ["ack", "db-1"]], ids=" ".join)
def test_a_command_loads_nothing_of_others_and_nothing_that_sends_or_serves(arguments: list[str], tmp_path: Path) -> None:
    seen = loaded(RUN.format(arguments=["notifyflow", *arguments]), tmp_path)
    assert "notifyflow.storage.store" in seen["modules"]
    of_others = (
        "notifyflow.sandbox",
        "notifyflow.core.upkeep.rehearsal",
        "notifyflow.core.upkeep.forecast",
        "notifyflow.core.metrics.charts",
    )
    unwanted = (*WHEN_USED, *OF_OTHER_COMMANDS, *of_others, "psycopg")
    assert [name for name in unwanted if name in seen["modules"] and name != "typer"] == []


@pytest.mark.parametrize(
    ("database_url", "is_loaded"), [("sqlite:///notifyflow.db", False), ("postgresql://ada@127.0.0.1/pages", True)]
)
def test_a_command_on_a_file_leaves_out_the_driver_for_servers_which_is_there_all_the_same(
    database_url: str, is_loaded: bool, tmp_path: Path
) -> None:
    given = f"import os; os.environ['NOTIFYFLOW_DATABASE_URL'] = {database_url!r}\n"
    ran = RUN.format(arguments=["notifyflow", "config", "check", "--offline"])
    is_whole = f"import peewee; assert (peewee.psycopg is not None) is {is_loaded}\nfrom psycopg import connect"
    assert "psycopg.pq" in loaded(f"{given}{ran}\n{is_whole}", tmp_path)["modules"]


def test_every_public_name_is_there_and_listed() -> None:
    for name in notifyflow.__all__:
        assert getattr(notifyflow, name) is not None
        assert name in dir(notifyflow)


def test_every_error_is_a_public_name() -> None:
    assert {name for name, value in vars(errors).items() if isinstance(value, type)} <= set(notifyflow.__all__)


def test_type_checkers_see_the_names_that_are_loaded_when_they_are_used() -> None:
    imports = [node for node in ast.walk(ast.parse(inspect.getsource(notifyflow))) if isinstance(node, ast.ImportFrom)]
    seen = {name.asname: node.module for node in imports for name in node.names if name.asname}
    assert seen == notifyflow._MODULES


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NotifyFlows"):
        _ = notifyflow.NotifyFlows
