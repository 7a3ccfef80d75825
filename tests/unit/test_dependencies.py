"""setup.cfg, constraints.txt, the list of known holes and the documentation agree on the dependencies."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP = Path(__file__).parents[2]
PYTHONS = ("3.11.14", "3.12.12", "3.13.9")


def _script(name: str) -> Any:
    """Load a module that is the scripts', and no package's."""
    spec = spec_from_file_location(name, TOP / "scripts" / "lib" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HOLES = _script("holes")


def _requirements() -> list[Requirement]:
    return list(HOLES.bounds())


def _pins(python: str) -> dict[str, Version]:
    pins = list(HOLES.pins())
    here = {"python_version": python.rpartition(".")[0], "python_full_version": python, "sys_platform": "linux"}
    return {
        canonicalize_name(pin.name): Version(str(pin.specifier).removeprefix("=="))
        for pin in pins
        if pin.marker is None or pin.marker.evaluate(here)
    }


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_pins_every_requirement_to_a_version_that_is_allowed(python: str) -> None:
    pins = _pins(python)
    for required in _requirements():
        if required.marker is None or required.marker.evaluate({"python_version": python.rpartition(".")[0]}):
            pinned = pins.get(canonicalize_name(required.name))
            assert pinned is not None, f"{required.name} is not pinned. Run scripts/lock"
            assert pinned in required.specifier, (
                f"{required.name} {pinned} is pinned, {required.specifier} is required. Run scripts/lock"
            )


def test_every_bound_that_keeps_a_hole_out_is_the_one_that_the_documentation_explains() -> None:
    page = (TOP / "docs" / "explanation" / "dependencies.rst").read_text()
    lowest = dict(re.findall(r"^   \* - ``([a-z0-9-]+)>=([0-9.]+)``$", page, re.MULTILINE))
    bounds = {required.name: str(required.specifier) for required in _requirements()}
    assert {"starlette", "requests", "urllib3", "cryptography", "jinja2"} <= lowest.keys()
    for name, version in lowest.items():
        assert f">={version}" in bounds[name].split(",")


def test_no_bound_and_no_pin_lies_under_a_known_hole() -> None:
    assert list(HOLES.open_holes(HOLES.known(), HOLES.bounds(), file="setup.cfg")) == []
    assert list(HOLES.open_holes(HOLES.known(), HOLES.pins(), file="constraints.txt")) == []


HOLE = {"library": "Jinja2", "fixed_in": "3.1.6", "id": "GHSA-x", "source": "https://example.com/x", "hole": "it leaks"}


@pytest.mark.parametrize(
    ("bound", "is_open"),
    [
        ("jinja2>=3.1.6", False),
        ("jinja2>=3.1.10,<4", False),
        ("jinja2==3.2", False),
        ("jinja2>=3.1.5", True),
        ("jinja2==3.1.5", True),
        ("jinja2~=3.1.5", True),
        ("jinja2<4", True),
        ("jinja2>=3", True),
        ("markupsafe>=1", False),
    ],
)
def test_a_bound_lies_under_a_hole_if_it_admits_a_version_with_it(bound: str, *, is_open: bool) -> None:
    assert bool(list(HOLES.open_holes([HOLE], [Requirement(bound)], file="setup.cfg"))) is is_open


def test_whoever_reads_of_a_hole_learns_where_it_stands_and_what_to_do() -> None:
    (in_setup,) = HOLES.open_holes([HOLE], [Requirement("jinja2>=3.1.5,<4")], file="setup.cfg")
    (in_pins,) = HOLES.open_holes([HOLE], [Requirement("jinja2==3.1.5")], file="constraints.txt")
    assert in_setup == (
        "setup.cfg: jinja2<4,>=3.1.5 lies under GHSA-x: it leaks (https://example.com/x). To mend it, require Jinja2>=3.1.6."
    )
    assert in_pins.startswith("constraints.txt: jinja2==3.1.5 lies under GHSA-x")
    assert in_pins.endswith("To mend it, run scripts/lock --upgrade.")


def test_every_hole_of_the_list_has_a_source_and_is_explained() -> None:
    page = (TOP / "docs" / "explanation" / "dependencies.rst").read_text()
    for hole in HOLES.known():
        assert hole["source"].startswith("https://")
        assert hole["id"] in hole["source"]
        assert hole["id"] in page


def test_every_requirement_has_a_lowest_version() -> None:
    without = [
        required.name for required in _requirements() if not any(each.operator in (">=", "==") for each in required.specifier)
    ]
    assert without == []
