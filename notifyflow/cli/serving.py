"""Serves an ASGI application on a socket, from a thread beside this one."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI


def listen(host: str, port: int) -> socket.socket:
    """Take a port, 0 for a free one; connections wait from now on until somebody serves them.

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


@contextmanager
def served(application: FastAPI, listening: socket.socket) -> Iterator[None]:
    """Serve from a thread of its own, until the block is left."""
    # No access log: the path of a magic link is a secret.
    server = uvicorn.Server(uvicorn.Config(application, access_log=False, server_header=False, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="notifyflow-web", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
