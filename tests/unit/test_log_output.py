import io
import json
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import Any

import pytest

from notifyflow.app.log_output import LineFormatter, SameLineOnce, StandardError
from notifyflow.log import LogMessage
from tests.log_lines import capture_logs


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


class Slow(io.StringIO):
    """Notes each write; the first one lasts until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.has_begun, self.goes_on = Event(), Event()

    def write(self, text: str) -> int:
        self.writes.append(text)
        if len(self.writes) == 1:
            self.has_begun.set()
            assert self.goes_on.wait(30)
        return len(text)


def written_during_a_write(monkeypatch: pytest.MonkeyPatch, log: Callable[[logging.Handler], None]) -> list[str]:
    """Return what standard error is given when some lines are logged while a first one is written."""
    monkeypatch.setattr(sys, "stderr", Slow())
    stream, handler = sys.stderr, StandardError()
    assert isinstance(stream, Slow)
    first = Thread(target=handler.handle, args=(a_record("first"),))
    first.start()
    assert stream.has_begun.wait(30)
    log(handler)
    stream.goes_on.set()
    first.join(30)
    return stream.writes


def test_lines_that_come_while_another_is_written_leave_in_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    def log(handler: logging.Handler) -> None:
        for text in "second", "third":
            assert handler.handle(a_record(text)), "a thread that does not write does not wait"

    assert written_during_a_write(monkeypatch, log) == ["first\n", "second\nthird\n"]


def test_of_the_lines_that_nobody_reads_the_newest_are_kept_and_the_others_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def log(handler: logging.Handler) -> None:
        for number in range(10_005):
            handler.handle(a_record(str(number)))

    with capture_logs() as lines:
        _, later = written_during_a_write(monkeypatch, log)
    assert later.split() == [str(number) for number in range(5, 10_005)]
    assert [(line["event"], line["lines"]) for line in lines] == [("app.log_lines_lost", 5)]


def test_every_line_of_many_threads_is_written_once_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    stream, handler = sys.stderr, StandardError()
    assert isinstance(stream, io.StringIO)
    texts = [f"{thread} {number}" for thread in range(8) for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda text: handler.handle(a_record(text)), texts))
    assert sorted(stream.getvalue().splitlines()) == sorted(texts)


def test_a_line_that_cannot_be_written_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("no space left on the device")

    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setattr(sys, "stderr", Full())
    handler = StandardError()
    handler.handle(a_record("lost"))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    handler.handle(a_record("written"))
    assert sys.stderr.getvalue() == "written\n"  # type: ignore[attr-defined]


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
