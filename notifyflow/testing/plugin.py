"""The pytest plugin: a driver for each test that asks for one. It imports nothing heavy before the first does."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from notifyflow.testing.driver import Driver

pytest.register_assert_rewrite("notifyflow.testing.channel_contract")


@pytest.fixture
def notifyflow_settings() -> Mapping[str, str]:
    """Return ``NOTIFYFLOW_*`` settings of ``notifyflow_driver``, beside those of the sandbox; override it in your own tests."""
    return {}


@pytest.fixture
def notifyflow_start_at() -> datetime:
    """Return when the clock of ``notifyflow_driver`` begins, aware: a Monday at 9:00 UTC; override it in your own tests."""
    return datetime(2030, 1, 7, 9, tzinfo=UTC)


@pytest.fixture
def notifyflow_driver(
    notifyflow_settings: Mapping[str, str], notifyflow_start_at: datetime, tmp_path: Path
) -> "Iterator[Driver]":
    """Make a flow over the sandbox that the test drives on a clock of its own (``notifyflow.testing.Driver``)."""
    from notifyflow.testing.driver import Driver

    with Driver(notifyflow_settings, folder=tmp_path, start_at=notifyflow_start_at) as driver:
        yield driver
