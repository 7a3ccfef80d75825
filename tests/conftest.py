"""Shared by all tests: Hypothesis profiles, the order of tests, what coverage measures, garbage, and an unconfigured log."""

import gc
import logging
import os
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext

import pytest
from hypothesis import HealthCheck, settings

from tests import deep, measuring

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("deep" if deep.IS_DEEP else "ci" if os.environ.get("CI") else "local")

_GARBAGE = (10_000, 10, 10)
"""How much garbage may gather (``gc.set_threshold``): by default it is looked for after each 700 objects."""

if "PYTEST_XDIST_WORKER" in os.environ:  # what tests start is not measured, which would double the time that it takes to start
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in its background; commands would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what belongs to the deep run, and run slow tests first, so that no worker is left with one at the end."""
    if deep.IS_DEEP:
        for item in items:
            deep.deepen(item)
    if not deep.HAS_ALL and not any("::" in each for each in config.args):
        kept = deep.everyday(items)
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Measure coverage of what is imported in one of the processes that share the tests."""
    with nullcontext() if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0" else measuring.unmeasured(), _kept():
        return (yield)


@contextmanager
def _kept() -> Iterator[None]:
    """Keep what is made in a block out of all later searches for garbage, and search less often."""
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GARBAGE)
        gc.enable()


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """Let coverage rest where a test goes again through what others have gone through."""
    with measuring.unmeasured():
        yield


@pytest.fixture(autouse=True)
def _unconfigured_logs() -> Iterator[None]:
    """Reset the logging that a command configured in this process, which would filter the next test's log lines."""
    before = logging.root.level, logging.root.handlers[:]
    yield
    logging.root.setLevel(before[0])
    logging.root.handlers[:] = before[1]
