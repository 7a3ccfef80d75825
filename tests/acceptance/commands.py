"""Runs the command in its own process, with no other settings than those of the test."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.acceptance import warm

PROGRAM = Path(sys.executable).with_name("notifyflow")


@dataclass(frozen=True)
class Ended:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The document that it printed with ``--json``."""
        return json.loads(self.out)


@dataclass(frozen=True)
class CommandLine:
    """A folder in which commands are run.

    Attributes:
        folder: The working folder, with the default database.
        variables: The NOTIFYFLOW_* settings.
    """

    folder: Path
    variables: Mapping[str, str]

    def run(self, *arguments: str, input_text: str | bytes = b"", stdin: int | None = None, **variables: str) -> Ended:
        """Run a command to its end; ``stdin`` replaces its standard input with a file descriptor.

        Where it starts with other variables than settings, these may matter while it imports: then it starts from nothing.
        """
        environment = self._environment(variables)
        start = warm.run if all(name.startswith("NOTIFYFLOW_") for name in {**self.variables, **variables}) else _start
        with TemporaryFile() as given, TemporaryFile() as out, TemporaryFile() as err:
            given.write(input_text.encode() if isinstance(input_text, str) else input_text)
            files = [given.fileno() if stdin is None else stdin, out.fileno(), err.fileno()]
            for each in (given, out, err):
                each.seek(0)
            code = start(arguments, environment=environment, folder=self.folder, files=files, timeout_s=120)
            for each in (out, err):
                each.seek(0)
            return Ended(code, out.read().decode(), err.read().decode())

    @contextmanager
    def running(
        self, *arguments: str, until: str, code: int = 0, by: signal.Signals = signal.SIGINT, **variables: str
    ) -> Iterator[list[str]]:
        """Run a command that keeps running, until a line of its output matches; then end it by a signal, and check its exit code.

        The output is both standard output and standard error.
        """
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=self._environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            assert process.stdout is not None
            lines: list[str] = []
            try:
                for line in process.stdout:
                    lines.append(line.rstrip("\n"))
                    if re.search(until, line):
                        break
                else:
                    raise AssertionError(f"it exited with {process.wait()} and printed {lines}")
                yield lines
                process.send_signal(by)
                assert process.wait(60) == code
            finally:
                process.kill()

    def write(self, name: str, content: object) -> str:
        """Write a file into the folder: bytes and text as they are, anything else as JSON."""
        raw = content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode()
        (self.folder / name).write_bytes(raw)
        return name

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}
        return {**kept, "HOME": str(self.folder), "COLUMNS": "160", **self.variables, **variables}


def _start(
    arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, files: Sequence[int], timeout_s: float
) -> int:
    stdin, stdout, stderr = files
    command = [PROGRAM, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, stdin=stdin, stdout=stdout, stderr=stderr, timeout=timeout_s
    ).returncode
