"""The log lines are the ones the reference lists, with the levels it gives."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALL = re.compile(r"\b_log\.(?P<level>\w+)\(\s*(?P<event>[^\s,)]+)")
LISTED = re.compile(r"^``(?P<event>[a-z_.]+)`` \((?P<level>\w+)\)$", flags=re.MULTILINE)
AS_LISTED = {"exception": "error"}


def logged() -> set[tuple[str, str]]:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "notifyflow").rglob("*.py"))
    return {(call["event"], AS_LISTED.get(call["level"], call["level"])) for call in CALL.finditer(source)}


def test_every_event_name_is_a_constant() -> None:
    assert all(re.fullmatch(r'"[a-z_.]+"', event) for event, _ in logged())


def test_the_reference_lists_every_event_with_its_level_and_no_other() -> None:
    page = (ROOT / "docs" / "reference" / "logging.rst").read_text(encoding="utf-8")
    listed = [(line["event"], line["level"]) for line in LISTED.finditer(page)]
    assert sorted(listed) == sorted((event.strip('"'), level) for event, level in logged())


def test_every_logger_is_called_log() -> None:
    for path in (ROOT / "notifyflow").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if "structlog.get_logger" in source:
            assert re.search(r"^_log = structlog\.get_logger\(", source, flags=re.MULTILINE), path
