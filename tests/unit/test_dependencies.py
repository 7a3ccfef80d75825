"""setup.cfg, constraints.txt and the documentation agree on the dependencies."""

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

TOP = Path(__file__).parents[2]
PYTHONS = ("3.11.14", "3.12.12", "3.13.9")


def _requirements() -> Iterator[Requirement]:
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg")
    for lines in (setup["options"]["install_requires"], *setup["options.extras_require"].values()):
        yield from (Requirement(line) for line in lines.splitlines() if line and not line.startswith("#"))


def _pins(python: str) -> dict[str, Version]:
    lines = (TOP / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
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


def test_every_requirement_has_a_lowest_version() -> None:
    without = [
        required.name for required in _requirements() if not any(each.operator in (">=", "==") for each in required.specifier)
    ]
    assert without == []
