"""Tests of your own policies: the real pipeline over the sandbox, in one thread, on a clock that the test moves.

The pytest plugin imports this package at every start of pytest; each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from notifyflow.testing.clock import VirtualClock as VirtualClock
    from notifyflow.testing.driver import PUBLIC_URL as PUBLIC_URL
    from notifyflow.testing.driver import Driver as Driver
    from notifyflow.testing.web import Response as Response

_MODULES = {
    "PUBLIC_URL": "notifyflow.testing.driver",
    "Driver": "notifyflow.testing.driver",
    "Response": "notifyflow.testing.web",
    "VirtualClock": "notifyflow.testing.clock",
}

__all__ = [*_MODULES]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES[name]), name)
    return value
