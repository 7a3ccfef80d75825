"""What the configuration of our tools names exists, and no comment is a banner."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
CONFIGURATIONS = ("ruff.toml", "setup.cfg", "tox.ini", "towncrier.toml", ".importlinter")
MADE_LATER = {"docs/_build", "docs/_build/html"}
PATH = re.compile(
    r"(?<![\w./{}<>=-])(?:[\w.*-]+/)*[\w.*-]*\w\.(?:py|rst|txt|toml|cfg|ini)\b|(?<![\w./{}-])[\w*-]+(?:/[\w.*-]+)+/?"
)
MODULE = re.compile(r"(?<![\w.])notifyflow(?:\.\w+)+")
BANNER = re.compile(r"^ *(#|//|/\*|<!--) *[-=#~*]{2,}(?![/\w])|^ *#.*[-=~]{4,}$", re.MULTILINE)
PLACES = (TOP, TOP / "notifyflow")
"""Package data is named below the package, anything else below the top."""
SOURCES = [
    *(path for folder in ("notifyflow", "tests", "scripts", "examples", "docs") for path in sorted((TOP / folder).rglob("*.py"))),
    *sorted((TOP / "docs" / "_static").glob("*.[cj]s*")),
    *(TOP / name for name in CONFIGURATIONS),
]


def named(text: str) -> Iterator[str]:
    """Return the paths in a text; a regular expression finds some that are none, and leaves out none that is one."""
    for line in text.splitlines():
        if "://" not in line and "content_type" not in line:
            yield from PATH.findall(line)


def exists(path: str) -> bool:
    return any(any(place.glob(path.rstrip("/"))) for place in PLACES)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_each_path_that_a_configuration_names_exists(name: str) -> None:
    paths = set(named((TOP / name).read_text(encoding="utf-8"))) - MADE_LATER
    assert [path for path in sorted(paths) if not exists(path)] == []


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_each_module_that_a_configuration_names_exists(name: str) -> None:
    named = MODULE.findall((TOP / name).read_text(encoding="utf-8"))
    modules = set(named) - {"notifyflow.version.__version__", "notifyflow.channels"}
    paths = {module: module.replace(".", "/") for module in modules if not module.endswith(".*")}
    assert [name for name, path in sorted(paths.items()) if not exists(f"{path}.py") and not exists(f"{path}/__init__.py")] == []


def test_the_configurations_name_paths_and_modules() -> None:
    texts = {name: (TOP / name).read_text(encoding="utf-8") for name in CONFIGURATIONS}
    assert {name for name, text in texts.items() if set(named(text)) - MADE_LATER} >= {"ruff.toml", "setup.cfg", "tox.ini"}
    assert {name for name, text in texts.items() if MODULE.search(text)} == {"setup.cfg", ".importlinter"}
    assert list(named('"time.time".msg = "the clock in app.py owns it"')) == ["app.py"]


def test_no_comment_is_a_banner() -> None:
    assert len(SOURCES) > 900
    assert [str(path.relative_to(TOP)) for path in SOURCES if BANNER.search(path.read_text(encoding="utf-8"))] == []
