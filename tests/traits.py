"""The traits of the built-in channels that page people."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from notifyflow.channels.registry import GROUP
from notifyflow.core.traits import Traits

_BUILT_IN = [point for point in entry_points(group=GROUP) if point.value.startswith("notifyflow.") and point.name != "webhook"]
TRAITS: Mapping[str, Traits] = {point.name: point.load().traits for point in _BUILT_IN}
CALLING = frozenset(name for name, traits in TRAITS.items() if traits.is_call)
