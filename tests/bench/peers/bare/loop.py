"""The limit of a provider: THREADS threads that call it COUNT times and do nothing else; writes the calls a second.

``python -m tests.bench.peers.bare.loop THREADS COUNT``
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.bench.peers.provider import send


def main(threads: int, count: int) -> float:
    """Call and return the calls a second."""

    def call(number: int) -> None:
        send("slack", f"p{number}", "orders db is down")

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(call, range(threads * 2)))  # connect
        began = time.perf_counter()
        list(pool.map(call, range(count)))
        return count / (time.perf_counter() - began)


if __name__ == "__main__":
    sys.stdout.write(f"{main(*map(int, sys.argv[1:]))}\n")
