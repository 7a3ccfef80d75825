"""Namespaces: a key names one unresolved incident of its namespace; in another namespace it names another incident."""

from collections.abc import Iterator

from notifyflow.core.forms import id_faults
from notifyflow.errors import Fault

SHARED = ""
"""The namespace in which the library and the command line open incidents."""

OPERATIONS = "notifyflow"
"""The namespace of notifyflow's own incidents; reserved, so that no API key reaches them by their key."""

ALL = "*"
"""Stands for all namespaces, for API keys that do not open incidents."""


def faults(where: str, name: str, *, may_be_all: bool) -> Iterator[Fault]:
    """Yield the faults of a namespace for an API key; the empty one is allowed, and ``*`` for a key that opens no incidents."""
    if name == OPERATIONS:
        yield Fault(where, f"the namespace {name!r} is reserved for notifyflow's own incidents", "Choose another one")
    elif name == ALL and not may_be_all:
        what = "'*' is all namespaces, and a key with the scope ingest opens incidents in one"
        yield Fault(where, what, "Name one with --namespace, and make a second key that reads or operates in '*'")
    elif name != SHARED:
        yield from id_faults(where, name)
