"""A process that notifies people and delivers with the embedded engine."""

import sys

from notifyflow import Incident
from tests.chaos.composition import compose
from tests.chaos.field import STUBBORN, crowd

if __name__ == "__main__":
    key, people = sys.argv[1:]
    with compose() as flow:
        flow.notify(Incident(key=key, title="orders db is down"), crowd(int(people)), policy=STUBBORN)
        sys.stdout.write("accepted\n")
        sys.stdout.flush()
        flow.wait(key)
