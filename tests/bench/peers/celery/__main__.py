"""Measures ``notify()``: ``python -m tests.bench.peers.celery INCIDENTS RECIPIENTS CALLERS CHANNELS PAUSE_MS``."""

import sys

from tests.bench.peers.celery.tasks import notify
from tests.bench.peers.driver import drive

drive(notify, sys.argv[1:])
