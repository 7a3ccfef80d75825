"""Posts callbacks as fast as they are answered, over kept connections, from a separate process.

``python -m tests.bench.load`` reads what to post from standard input as JSON, and writes what was answered.
"""

import json
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import IO

CONNECTIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One form and its URL."""

    path: str
    body: str
    signature: str = ""

    def spelt(self) -> bytes:
        """Return the request's bytes."""
        head = (
            f"POST {self.path} HTTP/1.1",
            "Host: 127.0.0.1",
            *([f"X-Twilio-Signature: {self.signature}"] if self.signature else []),
            "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(self.body)}",
        )
        return ("\r\n".join(head) + "\r\n\r\n" + self.body).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Responses:
    """The result of some posts: the total time, the time of each, and the count of each status."""

    took_s: float
    spans_s: list[float]
    statuses: dict[str, int]


def post(port: int, posts: Sequence[Post]) -> Responses:
    """Post from a separate process and return the result."""
    given = json.dumps({"port": port, "posts": [asdict(each) for each in posts]})
    done = subprocess.run([sys.executable, "-m", __name__], input=given, stdout=subprocess.PIPE, text=True, check=True)
    return Responses(**json.loads(done.stdout))


def _post(port: int, posts: Sequence[Post]) -> Responses:
    waiting = deque([each.spelt() for each in posts])
    found: list[tuple[str, float]] = []

    def work(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            while waiting:
                try:
                    request = waiting.popleft()
                except IndexError:  # another connection has just taken the last one
                    return
                began = time.perf_counter()
                connection.sendall(request)
                found.append((_status(stream), time.perf_counter() - began))

    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(work, connections))
    took_s = time.perf_counter() - began
    return Responses(took_s=took_s, spans_s=[span for _, span in found], statuses=dict(Counter(status for status, _ in found)))


def _status(stream: IO[bytes]) -> str:
    """Read one response to its end."""
    status, length = stream.readline().split()[1].decode(), 0
    while line := stream.readline().strip():
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    stream.read(length)
    return status


if __name__ == "__main__":
    request = json.load(sys.stdin)
    json.dump(asdict(_post(request["port"], [Post(**each) for each in request["posts"]])), sys.stdout)
