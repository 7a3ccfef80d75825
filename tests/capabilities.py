"""The capabilities of the built-in channels that page people."""

from collections.abc import Mapping
from importlib.metadata import entry_points

from notifyflow.channels.registry import GROUP
from notifyflow.core.capabilities import ChannelCapabilities

_BUILT_IN = [point for point in entry_points(group=GROUP) if point.value.startswith("notifyflow.") and point.name != "webhook"]
CAPABILITIES: Mapping[str, ChannelCapabilities] = {point.name: point.load().capabilities for point in _BUILT_IN}
CALLING = frozenset(name for name, capabilities in CAPABILITIES.items() if capabilities.is_call)
