"""Lets a forked child log at once: structlog's printer guards each file with a lock that it does not renew in a child.

A thread of the parent that was writing a line at the instant of the fork would leave the lock held in the child for ever. Python
renews the locks of its own ``logging`` and of standard output in the same way.
"""

import os

from structlog import _output as printing  # what is configured by default; structlog has no public name for its locks


def _renew_print_locks() -> None:
    for lock in list(printing.WRITE_LOCKS.values()):
        lock._at_fork_reinit()  # type: ignore[attr-defined]  # as CPython's logging and threading do


if hasattr(os, "register_at_fork"):  # where processes can fork at all
    os.register_at_fork(after_in_child=_renew_print_locks)
