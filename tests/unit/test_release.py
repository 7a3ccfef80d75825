"""The wheel has every file, the licences that come with it have been looked at, and pages say how it is installed."""

import configparser
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from docutils.core import publish_parts
from packaging.version import Version

from notifyflow.version import __version__

TOP = Path(__file__).parents[2]
PACKAGE = TOP / "notifyflow"


def script(name: str) -> Any:
    """A module of the scripts."""
    spec = spec_from_file_location(name, TOP / "scripts" / "lib" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def licences() -> Any:
    return script("licences")


def test_every_file_of_the_package_goes_into_the_wheel() -> None:
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg")
    patterns = ["**/*.py", *setup["options.package_data"]["notifyflow"].split()]
    packed = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    files = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert files - packed == set()


def test_until_the_first_release_pages_say_what_to_install_meanwhile() -> None:
    pages = [TOP / "README.rst", *(TOP / "docs").rglob("*.rst")]
    lines = [line for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    installing = [line for line in lines if re.search(r"pip install (--upgrade )?notifyflow\b(?!`)", line)]
    assert len(installing) >= 5
    is_published = Version(__version__) >= Version("0.1.0")
    assert [line for line in installing if ("  # not published yet: " in line) is is_published] == []


@pytest.mark.parametrize(
    "licence",
    [
        "MIT",
        "Apache-2.0 AND CNRI-Python",
        "Apache Software License; BSD License",
        "GPL-2.0-only OR MIT",
        "(GPL-2.0-only OR MIT) AND ISC",
        "LGPL-3.0-only",
        "GNU Lesser General Public License v3 or later (LGPLv3+)",
        "Mozilla Public License 2.0 (MPL 2.0)",
    ],
)
def test_a_licence_that_goes_with_ours_is_let_through(licences: Any, licence: str) -> None:
    assert licences.refused([{"Name": "some", "License": licence}]) == []


@pytest.mark.parametrize(
    "licence",
    [
        "GPL-3.0-or-later",
        "GNU General Public License v3 (GPLv3)",
        "GNU Affero General Public License v3",
        "AGPL-3.0-only",
        "MIT AND GPL-2.0-only",
        "MIT License; GNU General Public License (GPL)",
        "SSPL-1.0",
        "BUSL-1.1",
        "UNKNOWN",
        "MITRE",
    ],
)
def test_any_other_licence_stops_a_release(licences: Any, licence: str) -> None:
    assert licences.refused([{"Name": "some", "License": licence}]) == [f"some: {licence}"]


def test_a_licence_that_asks_for_more_than_a_notice_is_listed_with_its_packages(licences: Any) -> None:
    packages = [{"Name": name, "License": licence} for name, licence in (("a", "MIT"), ("c", "MPL-2.0"), ("b", "MPL-2.0"))]
    table = licences.table([*packages, {"Name": "peewee", "License": "UNKNOWN"}])
    assert "* - MIT\n     - 2\n     -\n" in table
    assert "* - MPL-2.0\n     - 2\n     - b, c\n" in table


HOME = "https://git.example.com/ops/notifyflow"


@pytest.mark.parametrize("source", [None, HOME])
def test_an_index_gets_no_address_that_is_relative_and_all_the_words(source: str | None) -> None:
    readme = (TOP / "README.rst").read_text(encoding="utf-8")
    text = script("long_description").rewritten(readme, source, "0.1.0")
    page = publish_parts(text, writer="html5", settings_overrides={"halt_level": 2})["body"]
    leads = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert len(leads) == (len(re.findall(r"<(?:docs|examples|[A-Z]+\.rst)|image:: ", readme)) if source else 0)
    for each in leads:
        found = re.fullmatch(f"{HOME}/(?:blob|raw)/v0.1.0/(.*)", each)
        assert found is not None
        assert (TOP / found[1]).is_file()
    assert "acknowledges. If nobody is reached, operations is paged." in " ".join(page.split())
    assert "next person" in page


def test_the_address_of_the_repository_is_that_of_the_metadata() -> None:
    find = script("long_description").source_of
    assert find(f"[metadata]\nproject_urls =\n    Docs = https://x.example.com\n    Source = {HOME}/\n") == HOME
    assert find((TOP / "setup.cfg").read_text(encoding="utf-8")) is None
