"""A pytest plug-in for a run that has to end soon.

It keeps the order of the files, begins no test once the time is over, and counts the tests that it leaves out.
``scripts/test --changed`` loads it with ``-p tests.hurry --hurry-until 1796015000``: an instant, since the processes that share
the tests do not start at the same time.
"""

import time
from collections import Counter
from collections.abc import Generator
from typing import Any

import pytest

from tests.nearest import SUITES, suite_of

_LEFT_OUT = pytest.StashKey[Counter[str]]()
_OUTPUT = "left_out"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the instant after which no test begins."""
    parser.addoption("--hurry-until", type=float, default=None, help="begin no test after an instant, in seconds since 1970")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.stash[_LEFT_OUT] = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, Any, Any]:
    """Restore the order of the files, whatever comes first elsewhere."""
    places = {item: place for place, item in enumerate(items)}
    done = yield
    items.sort(key=places.__getitem__)
    return done


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Leave out a test if the time is over."""
    until = item.config.getoption("hurry_until")
    if until is None or time.time() < until:
        return None
    item.session._setupstate.teardown_exact(nextitem)
    item.config.stash[_LEFT_OUT][suite_of(item.nodeid)] += 1
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Report the number from a process that shares the tests with others."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_OUTPUT] = dict(session.config.stash[_LEFT_OUT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the number of another process."""
    node.config.stash[_LEFT_OUT].update(getattr(node, "workeroutput", {}).get(_OUTPUT, {}))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how many tests were left out."""
    counts = config.stash[_LEFT_OUT]
    said = ", ".join(f"{counts[suite]} in {suite}" for suite in SUITES if counts[suite])
    terminalreporter.write_line(f"Tests left out since the time was over: {said or 'none'}.")
