"""Namespaces: a key names one unresolved incident of its namespace; the same key in another namespace is another incident."""

from collections.abc import Iterator

from notifyflow.core.intake.validation import id_faults
from notifyflow.errors import Fault

SHARED = ""
"""Where the library and the command line open incidents; keys and incidents from before namespaces belong here too."""

OPERATIONS = "notifyflow"
"""Where operations incidents stand; reserved, so that no API key reaches them by their key."""

ALL = "*"
"""What a key that only reads or operates may have instead of one namespace."""


def faults(where: str, name: str, *, may_be_all: bool) -> Iterator[Fault]:
    """Find what is wrong with the namespace that an API key is to have; the empty one is allowed.

    Args:
        where: What the faults call the place where it stands.
        name: The namespace.
        may_be_all: Whether ``*``, all namespaces, is allowed: not for a key that opens incidents.
    """
    if name == OPERATIONS:
        yield Fault(where, f"the namespace {name!r} is reserved for notifyflow's own incidents", "Choose another one")
    elif name == ALL and not may_be_all:
        what = "'*' is all namespaces, and a key with the scope ingest opens incidents in one"
        yield Fault(where, what, "Name one with --namespace, and make a second key that reads or operates in '*'")
    elif name != SHARED:
        yield from id_faults(where, name)
