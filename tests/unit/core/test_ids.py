import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from notifyflow.app.clock_and_ids import RandomIds
from notifyflow.core.ids import lowest, made_at
from tests.builders import START, HandClock

ROOT = Path(__file__).parents[3]


def test_ids_that_are_made_at_an_instant_lie_between_its_lowest_and_the_next():
    made = RandomIds(HandClock()).new()
    assert lowest(START) <= made < lowest(START + timedelta(milliseconds=1))


def test_an_id_says_when_it_was_made():
    clock = HandClock(START + timedelta(milliseconds=250, microseconds=7))
    assert made_at(RandomIds(clock).new()) == START + timedelta(milliseconds=250)


def test_no_id_was_made_before_1970():
    assert lowest(datetime(1901, 1, 1, tzinfo=UTC)) == "0" * 32


_FORKED = """
import os
from notifyflow.app.clock_and_ids import RandomIds
from tests.builders import HandClock

ids = RandomIds(HandClock())
made = [ids.new()]
if os.fork():
    os.wait()
print(*made, *(ids.new() for _ in range(100)), flush=True)
"""


def test_a_forked_child_makes_other_ids_than_its_parent():
    printed = subprocess.run([sys.executable, "-c", _FORKED], cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    child, parent = (line.split() for line in printed.stdout.splitlines())
    assert set(parent[1:]).isdisjoint(child[1:])
    assert len({*parent, *child}) == 201


def test_threads_never_make_the_same_id():
    ids = RandomIds(HandClock())
    with ThreadPoolExecutor(4) as threads:
        made = [each for some in threads.map(lambda _: [ids.new() for _ in range(500)], range(8)) for each in some]
    assert len(set(made)) == 4_000
