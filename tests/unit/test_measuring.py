"""Coverage rests where it is told to, and goes on afterwards."""

import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tests import measuring


def trace(*_: object) -> None:
    """Trace nothing."""


@pytest.fixture
def traced() -> Any:
    before = sys.gettrace(), threading.gettrace()
    sys.settrace(trace)
    threading.settrace(trace)
    yield trace
    sys.settrace(before[0])
    threading.settrace(before[1])  # type: ignore[arg-type]


def in_test(nodeid: str) -> object:
    """Return what traces while a test runs, if the tests of the core are measured."""
    item: Any = SimpleNamespace(nodeid=nodeid, config=SimpleNamespace(getoption={"measured": "tests/unit/core"}.get))
    running = measuring.pytest_runtest_protocol(item)
    next(running)
    tracing = sys.gettrace()
    with pytest.raises(StopIteration):
        running.send(None)
    return tracing


def test_only_the_tests_of_one_folder_are_measured(traced: Any) -> None:
    assert in_test("tests/unit/core/test_text.py::test_it") is traced
    assert in_test("tests/unit/core_else/test_text.py::test_it") is None
    assert in_test("tests/integration/test_limits.py::test_it") is None
    assert sys.gettrace() is traced


def test_coverage_rests_in_the_threads_that_a_test_starts_too(traced: Any) -> None:
    with measuring.unmeasured():
        assert (sys.gettrace(), threading.gettrace()) == (None, None)
    assert (sys.gettrace(), threading.gettrace()) == (traced, traced)
