"""Runs commands in processes that have imported the command line already, since that takes longer than most commands.

A server (``python -m tests.acceptance.warm FD``) waits on a socket, and forks for each command. The child gets the arguments,
environment, folder and files of the command, and runs and ends as ``notifyflow`` would.
"""

import atexit
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_IMPORTED = (
    *("notifyflow.cli", "notifyflow.cli.insight.incidents", "notifyflow.cli.oncall.duty", "notifyflow.cli.upkeep.explain"),
    *("notifyflow.app.log_output", "notifyflow.app.composition", "notifyflow.engine.engine"),
)
_LIMIT_BYTES = 2**20
_ROOT = Path(__file__).parents[2]


@cache
def server(path: str, columns: str) -> socket.socket:
    """Start a server, which ends with this process; return the socket that it takes commands from.

    Args:
        path: The variable ``PATH`` of the environment in which it imports.
        columns: The variable ``COLUMNS``, which the command line reads once.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LIMIT_BYTES)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=_ROOT,
            env={"PATH": path, "COLUMNS": columns},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    atexit.register(_stop, process, ours)
    return ours


def run(arguments: Sequence[str], *, environment: Mapping[str, str], folder: Path, files: Sequence[int], timeout_s: float) -> int:
    """Run a command to its end; ``files`` are its standard input, output and error. Return its exit code.

    Raises:
        TimeoutError: When it takes longer than ``timeout_s``.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    wanted = {"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)}
    with ours:
        with theirs:
            warm = server(environment["PATH"], environment["COLUMNS"])
            socket.send_fds(warm, [json.dumps(wanted).encode()], [theirs.fileno(), *files])
        ours.settimeout(timeout_s)
        return int(ours.recv(16))


def _stop(process: subprocess.Popen[bytes], ours: socket.socket) -> None:
    ours.close()
    process.wait()


def _serve(listening: socket.socket) -> None:
    """Return in the process that is to run a command."""
    while True:
        message, files, _, _ = socket.recv_fds(listening, _LIMIT_BYTES, 4)
        if not message:  # whoever started the server has ended
            os._exit(0)
        if os.fork() == 0 and _report(files[0]):
            listening.close()
            _become(json.loads(message), files[1:])
            return
        for each in files:
            os.close(each)


def _report(report: int) -> bool:
    """Fork, return true in the child, and send its exit code; so that the server waits for nobody."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        os.close(report)
        return True
    with socket.socket(fileno=report) as answers:
        answers.send(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
    os._exit(0)


def _become(wanted: Mapping[str, object], files: Sequence[int]) -> None:
    for number, each in enumerate(files):
        os.dup2(each, number)
        os.close(each)
    os.environ.clear()
    os.environ.update(wanted["environment"])  # type: ignore[arg-type]
    os.chdir(str(wanted["folder"]))
    sys.argv = ["notifyflow", *wanted["arguments"]]  # type: ignore[misc]


if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for name in _IMPORTED:
        importlib.import_module(name)
    _serve(socket.socket(fileno=int(sys.argv[1])))
    from notifyflow.cli import main

    sys.exit(main())
