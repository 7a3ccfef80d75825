"""Acknowledges an incident and writes how long that took, in seconds: ``python -m tests.bench.throughput.acknowledge KEY``."""

import sys
import time

from notifyflow import NotifyFlow
from notifyflow.app import memory

if __name__ == "__main__":
    with NotifyFlow.from_env() as flow:
        assert flow.wait(sys.argv[1], timeout_s=60)  # connects
        flow.asgi()  # loads what ``notifyflow web`` has loaded, where links lead
        memory.freeze()  # as it does
        began = time.perf_counter()
        flow.acknowledge(sys.argv[1], by="incident-0-0")
        sys.stdout.write(f"{time.perf_counter() - began}\n")
