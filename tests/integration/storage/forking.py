"""Uses a store before and after a fork, in parent and child at once; exit code 0 when both found their connections sound."""

import os
import sys
from dataclasses import replace

from notifyflow.core.facts import IncidentFacts
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store

ROUNDS = 50


def count(ledger: Ledger) -> None:
    before: IncidentFacts = ledger.lock_incident("i")
    ledger.save(before, replace(before, times_seen=before.times_seen + 1))


def main(url: str) -> int:
    store = Store(url)
    store.run(count)
    inherited = store._pool
    child = os.fork()
    for _ in range(ROUNDS):
        store.run(count, timeout_s=60)
    if child == 0:
        is_new = store._pool is not inherited
        store.close()
        os._exit(0 if is_new else 3)
    _, status = os.waitpid(child, 0)
    seen = store.read(lambda reads: reads.incidents(1)[0].times_seen)
    store.close()
    return 0 if status == 0 and seen == 2 + 2 * ROUNDS else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
