"""Runs the command on a terminal of its own, reads what it shows, and types."""

import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.acceptance.commands import PROGRAM

_DEADLINE_S = 60
_COLOUR = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|\[[0-9;?]*$|$)")  # also one that has not come whole


class Terminal:
    """A terminal with a command on it.

    Attributes:
        shown: All that was shown so far, without colours.
    """

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self._process = process
        self._raw = b""
        self._read_to = 0
        self.shown = ""

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until what was shown since the last match has a pattern."""
        deadline = time.monotonic() + _DEADLINE_S
        while (found := re.compile(pattern).search(self.shown, self._read_to)) is None:
            assert self._read(deadline), f"no {pattern!r} in\n{self.shown[self._read_to :]}"
        self._read_to = found.end()
        return found

    def type(self, keys: str) -> None:
        """Type; ``\\n`` is Enter, ``\\x03`` Ctrl-C."""
        os.write(self._descriptor, keys.encode())

    def answer(self, pattern: str, text: str) -> None:
        """Wait for a question, and answer it."""
        self.wait_for(pattern)
        self.type(text + "\n")

    def end(self) -> int:
        """Wait until the command has ended, and return its exit code."""
        deadline = time.monotonic() + _DEADLINE_S
        while self._read(deadline):
            pass
        return self._process.wait(_DEADLINE_S)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"nothing more came after\n{self.shown}"
        try:
            raw = os.read(self._descriptor, 65536)
        except OSError:  # the command has ended
            return False
        self._raw += raw
        self.shown = _COLOUR.sub("", self._raw.decode(errors="ignore"))
        return bool(raw)


@contextmanager
def on_terminal(*arguments: str, folder: Path, **variables: str) -> Iterator[Terminal]:
    """Run the command on a terminal, with no other settings than those given."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}
    process = subprocess.Popen(
        ["setsid", "--ctty", PROGRAM, *arguments],
        cwd=folder,
        env={**kept, "HOME": str(folder), "TERM": "xterm", "COLUMNS": "160", **variables},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    with process:
        try:
            yield Terminal(ours, process)
        finally:
            process.kill()
            os.close(ours)
