"""Renews in a forked child the locks, threads and connections that the parent's threads may hold at the fork."""

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """An object that a forked child cannot use as it is."""

    def begin_anew(self) -> None:
        """Replace the parts that stayed with the parent."""


FORKED: "weakref.WeakSet[Forked]" = weakref.WeakSet()
"""The objects that begin anew in every forked child."""


def _begin_anew() -> None:
    for each in list(FORKED):
        each.begin_anew()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_begin_anew)
