"""The log lines are the ones the reference lists, with the levels it gives."""

import ast
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifyflow.log import get_logger
from tests.columns import sources

ROOT = Path(__file__).parents[2]
CALL = re.compile(r"\b_log\.(?P<level>\w+)\(\s*(?P<event>[^\s,)]+)")
LISTED = re.compile(r"^``(?P<event>[a-z_.]+)`` \((?P<level>\w+)\)$", flags=re.MULTILINE)
AS_LISTED = {"exception": "error"}


def logged() -> set[tuple[str, str]]:
    source = "\n".join(path.read_text(encoding="utf-8") for path in sources())
    return {(call["event"], AS_LISTED.get(call["level"], call["level"])) for call in CALL.finditer(source)}


def test_every_event_name_is_a_constant() -> None:
    assert all(re.fullmatch(r'"[a-z_.]+"', event) for event, _ in logged())


def test_the_reference_lists_every_event_with_its_level_and_no_other() -> None:
    page = (ROOT / "docs" / "reference" / "logging.rst").read_text(encoding="utf-8")
    listed = [(line["event"], line["level"]) for line in LISTED.finditer(page)]
    assert sorted(listed) == sorted((event.strip('"'), level) for event, level in logged())


def test_every_logger_is_called_log_and_is_one_of_ours() -> None:
    for path in sources():
        source = path.read_text(encoding="utf-8")
        assert "structlog.get_logger" not in source, path
        if "from notifyflow.log import get_logger" in source:
            assert re.search(r"^_log = get_logger\(\"?(notifyflow\.|__name__)", source, flags=re.MULTILINE), path


def test_no_fact_has_the_name_of_an_attribute_that_every_record_has() -> None:
    taken = {*vars(logging.makeLogRecord({})), "message", "asctime", "event", "level", "timestamp", "logger", "exception"}
    calls = [
        node
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("_log.")
    ]
    names = {keyword.arg for call in calls for keyword in call.keywords}
    assert len(names) > 20
    assert names & taken == set()


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """What a handler of the application gets from INFO on."""
    kept: list[logging.LogRecord] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    logger, handler = logging.getLogger("notifyflow.tests"), Keep()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield kept
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_a_record_has_the_event_the_facts_and_the_place(records: list[logging.LogRecord]) -> None:
    get_logger("notifyflow.tests").info("engine.swept", rows=3, why="a test")
    (record,) = records
    assert record.getMessage() == 'engine.swept rows=3 why="a test"'
    assert (vars(record)["event"], vars(record)["rows"], record.levelname) == ("engine.swept", 3, "INFO")
    assert (record.filename, record.funcName) == ("test_logging.py", "test_a_record_has_the_event_the_facts_and_the_place")


def test_a_level_that_nobody_reads_costs_no_formatting(records: list[logging.LogRecord]) -> None:
    class Fact:
        def __str__(self) -> str:
            raise AssertionError("it was formatted")

        __repr__ = __str__

    logging.getLogger("notifyflow.tests").setLevel(logging.WARNING)
    get_logger("notifyflow.tests").info("engine.swept", rows=Fact())
    assert records == []
