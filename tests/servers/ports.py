"""Ports for servers that need a number before they listen."""

import random
import socket
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000
_reserved: list[socket.socket] = []


def reserve_port() -> int:
    """Reserve a port on which nobody listens, for as long as this process lives.

    A port that the kernel chose, and that is closed again, may be taken by anybody before it is bound: the kernel gives it to the
    next connection that leaves. So it comes from below the range that the kernel chooses from. Other test processes see that it
    is taken by a name in the machine's abstract namespace of sockets, which ends with its process.
    """
    highest = int(_EPHEMERAL.read_text().split()[0]) - 1
    assert highest > _LOWEST, f"{_EPHEMERAL} leaves no ports for servers"
    while True:
        port = random.randint(_LOWEST, highest)
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0notifyflow-test-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        _reserved.append(name)
        return port
