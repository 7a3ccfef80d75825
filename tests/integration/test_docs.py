"""What the documentation shows is true: its Python runs, its commands exist, its links lead somewhere."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from notifyflow.cli import app as command_line
from notifyflow.sandbox import Sandbox
from tests.columns import sources

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.rst")), ROOT / "examples" / "README.rst", *sorted((ROOT / "docs").rglob("*.rst"))]


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:(?:   .*)?\n)+)", page.read_text() + "\n", re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name_of)
def test_the_python_of_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NOTIFYFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with Sandbox() as sandbox:
        for name, value in sandbox.settings().items():
            monkeypatch.setenv(name, value)
        namespace: dict[str, object] = {"__name__": "documentation"}
        for number, block in enumerate(blocks(page, "python"), start=1):
            exec(compile(block, f"{name_of(page)}#{number}", "exec"), namespace)


@pytest.mark.slow
def test_the_python_of_all_pages_passes_strict_type_checks(tmp_path: Path) -> None:
    """Check them in one run of mypy, which would otherwise read notifyflow once for each."""
    for number, page in enumerate(PAGES):
        if found := blocks(page, "python"):
            (tmp_path / f"{re.sub('[^a-z]', '_', page.stem)}_{number}.py").write_text("\n".join(found))
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", f"--cache-dir={ROOT}/.mypy_cache/docs", "."],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "shell")], ids=name_of)
def test_every_command_of_a_page_exists(page: Path) -> None:
    lines = "\n".join(blocks(page, "shell")).replace("\\\n", " ").splitlines()
    for line in (each.replace("sudo -u notifyflow nf ", "notifyflow ") for each in lines):
        if line.startswith("notifyflow "):
            check_command(shlex.split(line, comments=True))
        elif line.startswith("scripts/"):
            assert os.access(ROOT / line.split()[0], os.X_OK), line


@pytest.mark.parametrize("unit", sorted((ROOT / "docs" / "deploy").glob("*.service")), ids=name_of)
def test_every_command_of_a_unit_exists(unit: Path) -> None:
    lines = re.findall(r"^ExecStart=/opt/notifyflow/bin/(.+)$", unit.read_text(), re.MULTILINE)
    assert lines
    for line in lines:
        if line.startswith("notifyflow "):
            check_command(line.split())
        else:
            assert find_spec(line.split()[1]) is not None  # dramatiq imports it


DEPLOY = ROOT / "docs" / "deploy"


def test_the_files_of_a_deployment_can_be_downloaded_whole() -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    offered = re.findall(r":download:`[^`<]+ </deploy/([^>]+)>`", pages)
    assert sorted(offered) == sorted(path.name for path in DEPLOY.iterdir())


def test_with_the_settings_of_a_deployment_somebody_can_be_reached(tmp_path: Path) -> None:
    """Check them as an administrator does, with secrets in the files that they name."""
    secrets = {
        "database-url": "postgresql://notifyflow:sesame@127.0.0.1/notifyflow",
        "secret-key": "x" * 43,
        "smtp-url": "smtp://notifyflow:sesame@mail.example.com:587",
        "slack-bot-token": "xoxb-sesame",
    }
    lines = [line for line in (DEPLOY / "notifyflow.env").read_text().splitlines() if line and not line.startswith("#")]
    settings = {name: value.replace("/etc/notifyflow/", f"{tmp_path}/") for name, value in (line.split("=", 1) for line in lines)}
    for value in settings.values():
        if value.startswith(str(tmp_path)):
            path, sample = Path(value), DEPLOY / Path(value).name
            path.write_text(sample.read_text() if sample.exists() else secrets.get(path.name, "sesame" * 6))
    for check in (["config", "check", "--offline"], ["directory", "check"]):
        ended = CliRunner().invoke(command_line, check, env=settings)
        assert ended.exit_code == 0, ended.output


def check_command(words: list[str]) -> None:
    """Check that a line of the shell is a command of notifyflow, with options that it has and arguments that it takes."""
    command, rest = get_command(command_line), words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    if rest[:1] == ["--help"]:
        return
    given, more, _ = command.make_parser(command.context_class(command, info_name=words[0])).parse_args(rest)
    assert more == [], words
    missing = [each.name for each in command.params if each.required and given.get(each.name) is None]
    assert missing == [], words


def test_pages_and_examples_show_the_short_way_to_a_state() -> None:
    shown = [*PAGES, *(ROOT / "examples").rglob("*.py")]
    assert [name_of(each) for each in shown if ".facts." in each.read_text()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    for target in re.findall(r"`[^`<]+ <((?!https?://)[^>`]+)>`_", page.read_text()):
        assert (page.parent / target).exists(), target


def test_what_troubleshooting_quotes_is_said() -> None:
    source = "\n".join(path.read_text() for path in sources())
    source = re.sub(r'"\s*\n\s*f?"', "", source)  # a text over several lines
    quoted = [" ".join(each.split()) for each in re.findall("“([^”]+)”", (ROOT / "docs/how-to/troubleshoot.rst").read_text())]
    assert len(quoted) > 30
    assert [each for each in quoted if each not in source] == []


def test_the_queries_of_troubleshooting_run(sqlite_url: str) -> None:
    (query,) = blocks(ROOT / "docs" / "how-to" / "troubleshoot.rst", "sql")
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as db:
        assert db.execute(query).fetchall() == []


def test_every_picture_is_small_and_shown_with_words_for_those_who_do_not_see_it() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    shown = re.findall(r"^\.\. (?:image|figure):: (\S+)\n   :alt: \w+", text, re.MULTILINE)
    assert len(shown) == len(re.findall(r"^\.\. (?:image|figure)::", text, re.MULTILINE))
    for picture in (ROOT / "docs" / "pictures").iterdir():
        assert f"/pictures/{picture.name}" in shown
        assert picture.stat().st_size < 120_000, picture
