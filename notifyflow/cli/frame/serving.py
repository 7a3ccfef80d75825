"""Serves an ASGI application on a socket, in a thread of its own."""

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

from notifyflow.cli.frame.pools import ClientConnections
from notifyflow.cli.frame.timed_http import HttpLimits, TimedProtocol
from notifyflow.engine import threads
from notifyflow.web.frame.context import Context
from notifyflow.web.frame.site import Site

_BURST = 128
_RESERVED = 256


def listen(host: str, port: int) -> socket.socket:
    """Bind a port, 0 for a free one; connections queue until the application is served.

    Raises:
        OSError: When the port is unavailable.
    """
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=256)


def url_of(listening: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def expect_signal() -> threading.Event:
    """Return the event that SIGINT or SIGTERM sets; uvicorn would raise them again, but this lets everything close in order."""
    is_over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: is_over.set())
    return is_over


def raise_file_limit() -> int:
    """Raise the limit of open files to the highest that is allowed, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1_048_576


def connections_within(files: int, limit: int) -> int:
    """Return how many connections may be held: the limit, or fewer, so that enough files are left for delivery."""
    reserved = min(_RESERVED, files // 2)
    bursts = 2 * min(_BURST, files // 8)  # accepted but not yet counted
    return max(1, min(limit, files - reserved - bursts))


@contextmanager
def served(application: FastAPI, listening: socket.socket, limits: HttpLimits | None = None) -> Iterator[uvicorn.Server]:
    """Serve in a thread of its own, until the block ends."""
    limits = limits or HttpLimits()
    protocol: Any = partial(TimedProtocol, limits, ClientConnections(limits.connections, _site_of(application)))
    config = uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        access_log=False,  # the path of a magic link is a secret
        server_header=False,
        proxy_headers=False,  # which proxies are trusted is a setting of ours
        log_config=None,  # its lines look like ours
        log_level="warning",
        backlog=_BURST,  # so many may be accepted before any is counted
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="notifyflow-web", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.should_exit = True
        threads.end(thread)


def _site_of(application: FastAPI) -> Site:
    """Return an application's trust in its proxies; one that is not ours trusts none."""
    context: Context | None = getattr(application.state, "context", None)
    return context.site if context else Site()
