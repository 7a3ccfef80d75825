"""Measures ``notify()``: ``python -m tests.bench.peers.dramatiq INCIDENTS RECIPIENTS CALLERS CHANNELS PAUSE_MS``."""

import sys

from tests.bench.peers.dramatiq.tasks import notify
from tests.bench.peers.driver import drive

drive(notify, sys.argv[1:])
