"""The Python reference shows every name that is public."""

import re
from pathlib import Path

import notifyflow
from notifyflow import errors, plugin, testing
from notifyflow.testing import channel_contract

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "python.rst").read_text(encoding="utf-8")
SHOWN = set(re.findall(r"^\.\. (?:autoclass|autoexception|autofunction|py:data):: ([\w.]+)", PAGE, re.MULTILINE))


def test_every_public_name_of_the_package_is_on_the_page() -> None:
    names = {name for name in notifyflow.__all__ if not hasattr(errors, name)} | {"Fault", "NotifyflowError"}
    tools = {f"notifyflow.testing.{name}" for name in testing.__all__} | {"notifyflow.sandbox.Sandbox"}
    assert {f"notifyflow.{name}" for name in names} | tools <= SHOWN


def test_every_class_on_the_page_that_is_part_of_a_policy_or_a_status_is_in_the_package() -> None:
    parts = (
        "notifyflow.core.delivery.facts.",
        "notifyflow.core.delivery.policy.",
        "notifyflow.core.insight.views.",
        "notifyflow.errors.",
    )
    assert [name for name in SHOWN if name.startswith(parts)] == []


def test_all_errors_are_on_the_page() -> None:
    assert re.findall(r"^\.\. automodule:: ([\w.]+)", PAGE, re.MULTILINE) == ["notifyflow.errors"]


def test_every_name_for_channels_is_on_the_page() -> None:
    section = PAGE.partition("\nChannels\n--------\n")[2].partition("\n---")[0]
    named = set(re.findall(r"notifyflow\.plugin\.(\w+)", section)) | set(re.findall(r"~notifyflow\.(?:errors\.)?(\w+)`", section))
    assert named == {name for name in vars(plugin) if name.isidentifier() and not name.startswith("_")}


def test_the_tools_for_tests_of_channels_are_on_the_page() -> None:
    named = {name.rpartition(".")[2] for name in SHOWN if name.startswith(f"{channel_contract.__name__}.")}
    assert named == {"Bench", "ChannelContract"}
