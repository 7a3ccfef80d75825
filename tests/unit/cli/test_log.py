import logging
from typing import Any

import pytest
import structlog

from notifyflow.cli.log import SameLineOnce


def logged(once: SameLineOnce, **facts: Any) -> dict[str, Any] | None:
    try:
        return dict(once(None, "warning", {"event": "web.access_denied", **facts}))
    except structlog.DropEvent:
        return None


def test_the_same_line_passes_once_a_second_and_then_says_how_many_were_left_out() -> None:
    now = [100.0]
    once = SameLineOnce(lambda: now[0])
    assert logged(once, error="a") == {"event": "web.access_denied", "error": "a"}
    assert [logged(once, error="a") for _ in range(1_000)] == [None] * 1_000
    assert logged(once, error="b") == {"event": "web.access_denied", "error": "b"}, "another line is another line"
    now[0] += 1.0
    assert logged(once, error="a") == {"event": "web.access_denied", "error": "a", "left_out": 1_000}
    now[0] += 1.0
    assert logged(once, error="a") == {"event": "web.access_denied", "error": "a"}


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


def test_lines_that_were_seen_long_ago_are_not_kept() -> None:
    now = [100.0]
    once = SameLineOnce(lambda: now[0])
    for number in range(5_000):
        now[0] += 0.01
        logged(once, number=number)
    assert len(once._seen) <= 1_001
