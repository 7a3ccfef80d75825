"""Containers of the image, which podman runs as root, on the host's network and with a root that is read-only."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Any, Self

from tests.chaos.field import until

IMAGE = "localhost/notifyflow:0.1.0"
GRACE_S = 45
_LEAST = ("--cap-drop=all", "--security-opt=no-new-privileges")
_RUN = ("run", "--cgroups=disabled", "--network=host", f"--stop-timeout={GRACE_S}", *_LEAST)
_NUMBERS = count(1)


def podman(*arguments: str, text: str = "", is_checked: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one command of podman; its standard error is part of its output."""
    ended = subprocess.run(
        ["podman", *arguments], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert not (is_checked and ended.returncode), f"podman {' '.join(arguments)}\n{ended.stdout}"
    return ended


@dataclass(frozen=True, kw_only=True)
class How:
    """How a container is run.

    Attributes:
        variables: The settings.
        volumes: Name or folder of the host, and where it is mounted.
        user: The user and the group, by number; the image's own if empty.
        is_read_only: Whether the root is read-only.
        more: More options of ``podman run``.
    """

    variables: Mapping[str, str]
    volumes: Mapping[str, str]
    user: str = ""
    is_read_only: bool = True
    more: Sequence[str] = ()

    def options(self) -> list[str]:
        user = [f"--user={self.user}"] if self.user else []
        read_only = ["--read-only"] if self.is_read_only else []
        variables = [f"--env={name}={value}" for name, value in self.variables.items()]
        volumes = [f"--volume={source}:{target}" for source, target in self.volumes.items()]
        return [*user, *read_only, *variables, *volumes, *self.more]


class Container:
    """A container that keeps running; the end of its block removes it."""

    def __init__(self, how: How, *command: str) -> None:
        self.name = f"notifyflow-trial-{os.getpid()}-{next(_NUMBERS)}"
        podman(*_RUN, "--detach", "--name", self.name, *how.options(), IMAGE, *command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            error.add_note(self.log)
        podman("rm", "--force", "--time=0", "--volumes", self.name)

    @property
    def log(self) -> str:
        return podman("logs", self.name).stdout

    @property
    def state(self) -> dict[str, Any]:
        """What podman says of its first process: ``Pid``, ``Running``, ``ExitCode``."""
        return dict(json.loads(podman("inspect", "--format={{json .State}}", self.name).stdout))

    def await_line(self, text: str) -> None:
        """Wait until its log holds a text."""
        until(lambda: text in self.log or not self.state["Running"], what=f"{self.name} never says {text}")
        assert text in self.log, self.log

    def kill(self) -> None:
        """Kill its first process with SIGKILL, which the container's runtime did not ask for."""
        os.kill(self.state["Pid"], signal.SIGKILL)

    def stop(self) -> int:
        """Stop it with one SIGTERM, as an orchestrator does; return its exit code."""
        podman("stop", self.name)
        return int(self.state["ExitCode"])


def run(how: How, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in a container of its own to its end."""
    return podman(*_RUN, "--rm", "--interactive", *how.options(), IMAGE, *command, text=text, is_checked=False)


class Volume:
    """A named volume; the end of its block removes it."""

    def __init__(self) -> None:
        self.name = f"notifyflow-trial-{os.getpid()}-{next(_NUMBERS)}"
        podman("volume", "create", self.name)

    def __enter__(self) -> str:
        return self.name

    def __exit__(self, *_: object) -> None:
        podman("volume", "rm", "--force", self.name)


def many(stack: ExitStack, number: int, how: How, *command: str) -> list[Container]:
    """Start several containers of one kind."""
    return [stack.enter_context(Container(how, *command)) for _ in range(number)]
