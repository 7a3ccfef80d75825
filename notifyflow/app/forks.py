"""Renews structlog's locks in a forked child, so that it can log.

structlog's printer guards each file with a lock. If a thread of the parent writes a line at the instant of the fork, the child's
copy of the lock stays held for ever. Python renews the locks of ``logging`` and of standard output in the same way.
"""

import os

from structlog import _output as printing  # the default logger; its locks have no public name


def _renew_print_locks() -> None:
    for lock in list(printing.WRITE_LOCKS.values()):
        lock._at_fork_reinit()  # type: ignore[attr-defined]  # as CPython's logging and threading do


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_renew_print_locks)
