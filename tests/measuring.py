"""Lets coverage rest, which doubles the time of what runs.

As a plug-in of pytest, it lets coverage rest except in one folder. ``scripts/test`` loads it with ``-p tests.measuring --measured
tests/unit/core``.
"""

import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext

import pytest


@contextmanager
def unmeasured() -> Iterator[None]:
    """Let coverage rest, in this thread and those that it starts."""
    tracing, tracing_of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.settrace(tracing)
        threading.settrace(tracing_of_threads)  # type: ignore[arg-type]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the folder whose tests are measured."""
    parser.addoption("--measured", default="tests", help="measure only what the tests of this folder run through")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let coverage rest in a test of another folder, and in its fixtures."""
    is_measured = item.nodeid.startswith(f"{item.config.getoption('measured')}/")
    with nullcontext() if is_measured else unmeasured():
        return (yield)
