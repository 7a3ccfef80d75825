import json
import logging
from typing import Any

import pytest

from notifyflow.app.log_output import LineFormatter, SameLineOnce
from notifyflow.log import LogMessage


def a_record(msg: object = "text", **facts: Any) -> logging.LogRecord:
    message = LogMessage("web.access_denied", facts) if facts else msg
    record = logging.LogRecord("notifyflow.web", logging.WARNING, "file.py", 1, message, (), None)
    record.created = 1_795_867_200.25
    return record


def logged(once: SameLineOnce, **facts: Any) -> dict[str, Any] | None:
    record = a_record(**facts)
    return dict(record.msg.facts) if once.filter(record) else None  # type: ignore[attr-defined]


def test_the_same_line_passes_once_a_second_and_then_says_how_many_were_left_out() -> None:
    now = [100.0]
    once = SameLineOnce(lambda: now[0])
    assert logged(once, error="a") == {"error": "a"}
    assert [logged(once, error="a") for _ in range(1_000)] == [None] * 1_000
    assert logged(once, error="b") == {"error": "b"}, "another line is another line"
    now[0] += 1.0
    assert logged(once, error="a") == {"error": "a", "left_out": 1_000}
    now[0] += 1.0
    assert logged(once, error="a") == {"error": "a"}


def test_what_libraries_log_passes_once_a_second_too(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("some.library")
    once = SameLineOnce()
    logger.addFilter(once)
    try:
        for _ in range(10):
            logger.warning("Invalid HTTP request %s.", "received")
            logger.error("Invalid HTTP request %s.", "received")
    finally:
        logger.removeFilter(once)
    assert [record.getMessage() for record in caplog.records] == ["Invalid HTTP request received."] * 2


def test_the_thousand_newest_lines_are_remembered() -> None:
    once = SameLineOnce(lambda: 100.0)
    for number in range(5_000):
        assert logged(once, number=number)
    assert len(once._seen) == 1_000
    assert logged(once, number=4_000) is None


def test_a_genuine_callback_that_is_repeated_logs_one_line_a_second() -> None:
    once = SameLineOnce(lambda: 100.0)

    def passes() -> bool:
        record = a_record(attempt_id="1", fate="repeated")
        record.levelno = logging.INFO
        return once.filter(record)

    assert [passes() for _ in range(3)] == [True, False, False]


HEAD = {"timestamp": "2026-11-28T12:00:00.250+00:00", "level": "warning", "logger": "notifyflow.web"}


def test_json_has_a_key_for_each_fact_of_ours_and_the_message_of_a_library() -> None:
    write = LineFormatter("json").format
    assert json.loads(write(a_record(error="é"))) == {**HEAD, "event": "web.access_denied", "error": "é"}
    assert json.loads(write(a_record("done"))) == {**HEAD, "event": "done"}


def test_logfmt_quotes_what_has_spaces() -> None:
    line = LineFormatter("logfmt").format(a_record(error="a b", count=2))
    head = " ".join(f"{name}={value}" for name, value in HEAD.items())
    assert line == f'{head} event=web.access_denied error="a b" count=2'


def test_the_console_shows_the_event_first_and_an_exception_after_it() -> None:
    record = a_record(error="a")
    try:
        raise RuntimeError("a bug")
    except RuntimeError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    first, *rest = LineFormatter("console").format(record).splitlines()
    assert "web.access_denied" in first
    assert "error=a" in first
    assert rest[-1] == "RuntimeError: a bug"
    assert len(LineFormatter("json").format(record).splitlines()) == 1
    assert len(LineFormatter("logfmt").format(record).splitlines()) == 1
