"""What the documentation shows is true: its Python runs, its commands exist, its links lead somewhere."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from notifyflow.sandbox import Sandbox
from tests.columns import sources
from tests.command_lines import check_command

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


@pytest.mark.parametrize(("folder", "place"), [("docs/proxies", "/proxies"), ("deploy/systemd", "/../deploy/systemd")])
def test_the_files_of_a_deployment_can_be_downloaded_whole(folder: str, place: str) -> None:
    pages = "\n".join(page.read_text() for page in PAGES)
    offered = re.findall(rf":download:`[^`<]+ <{re.escape(place)}/([^>]+)>`", pages)
    assert set(offered) == {path.name for path in (ROOT / folder).iterdir()}


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
