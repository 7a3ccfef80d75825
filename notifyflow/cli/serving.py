"""Serves an ASGI application on a socket, from a thread beside this one."""

import gc
import logging
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI

from notifyflow.cli.log import SameLineOnce
from notifyflow.cli.timed_http import Bounds, Hall, TimedProtocol

_BURST = 128
_RESERVED = 256
_SAME_LINE_ONCE = SameLineOnce()


def listen(host: str, port: int) -> socket.socket:
    """Bind a port, 0 for a free one; connections wait from now on until somebody serves them.

    Raises:
        OSError: When it cannot be had.
    """
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=256)


def url_of(listening: socket.socket) -> str:
    """Tell the URL of a socket that listens."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def wait_for_signal() -> None:
    """Wait until SIGINT or SIGTERM; unlike uvicorn, which raises them again, this lets what is open be left in order."""
    is_over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: is_over.set())
    is_over.wait()


def raise_file_limit() -> int:
    """Let this process have as many files open as it may ever have, and tell how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1_048_576


def connections_within(files: int, wanted: int) -> int:
    """Tell how many connections may be held, so that files are left for delivery whatever comes in.

    Args:
        files: How many files the process may have open.
        wanted: How many connections are to be held, where there are files enough.
    """
    reserved = min(_RESERVED, files // 2)
    bursts = 2 * min(_BURST, files // 8)  # accepted, and not yet counted
    return max(1, min(wanted, files - reserved - bursts))


def freeze() -> None:
    """Take what is there for staying, so that a body of a million small parts does not have all of it looked through again."""
    gc.collect()
    gc.freeze()


@contextmanager
def served(application: FastAPI, listening: socket.socket, bounds: Bounds | None = None) -> Iterator[uvicorn.Server]:
    """Serve from a thread of its own, until the block is left."""
    protocol: Any = partial(TimedProtocol, bounds or Bounds(), Hall())
    config = uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        access_log=False,  # the path of a magic link is a secret
        server_header=False,
        log_level="warning",
        backlog=_BURST,  # as many are accepted before any is counted
    )
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(_SAME_LINE_ONCE)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="notifyflow-web", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.should_exit = True
        thread.join()
