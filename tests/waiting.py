"""Waits for another thread or process."""

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Wait until a condition holds; fail if it does not in time."""
    ends_at = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < ends_at, f"it did not come to that within {within_s:g} s"
        time.sleep(0.02)
