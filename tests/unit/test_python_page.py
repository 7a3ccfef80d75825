"""The Python reference shows every name that is public."""

import re
from pathlib import Path

import notifyflow

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "python.rst").read_text(encoding="utf-8")
SHOWN = set(re.findall(r"^\.\. (?:autoclass|autoexception|py:data):: ([\w.]+)", PAGE, re.MULTILINE))


def test_every_public_name_of_the_package_is_on_the_page() -> None:
    assert {f"notifyflow.{name}" for name in notifyflow.__all__} <= SHOWN


def test_all_errors_and_channel_ports_are_on_the_page() -> None:
    assert {"notifyflow.errors", "notifyflow.channels.base"} == set(
        re.findall(r"^\.\. automodule:: ([\w.]+)", PAGE, re.MULTILINE)
    )
