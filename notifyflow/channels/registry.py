"""Loads the installed channels: the entry points of the group ``notifyflow.channels``, built-in ones and those of plug-ins."""

import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from notifyflow.channels.base import Channel
from notifyflow.errors import Fault
from notifyflow.log import get_logger
from notifyflow.settings import Settings

GROUP = "notifyflow.channels"
_log = get_logger(__name__)


def load(settings: Settings) -> Mapping[str, Channel]:
    """Build every installed channel.

    A channel that cannot be loaded or built does not stop the others: a stand-in without providers has a fault that says why, and
    its notifications fail. If a plug-in registers the name of a built-in channel, the plug-in's channel is used.

    Returns:
        Channel name to channel, by name.
    """
    chosen: dict[str, EntryPoint] = {}
    for point in sorted(_installed(tuple(sys.path)), key=lambda point: not _is_ours(point)):
        chosen[point.name] = point
    channels = {name: _build(chosen[name], settings) for name in sorted(chosen)}
    order = {name: place for place, name in enumerate(settings.provider_order)}
    for channel in channels.values():
        channel.providers = sorted(channel.providers, key=lambda provider: order.get(provider.name, len(order)))
    return channels


def has_plug_ins() -> bool:
    """Return whether a plug-in registers a channel."""
    return not all(map(_is_ours, _installed(tuple(sys.path))))


@lru_cache(maxsize=1)
def _installed(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points of channels; read once for a ``sys.path``, since the files of all installed packages are read."""
    del path
    return tuple(entry_points(group=GROUP))


def _is_ours(point: EntryPoint) -> bool:
    return point.value.startswith("notifyflow.")


def _build(point: EntryPoint, settings: Settings) -> Channel:
    try:
        kind = point.load()
        if not (isinstance(kind, type) and issubclass(kind, Channel)):
            raise TypeError("the entry point does not name a subclass of notifyflow.channels.base.Channel")
        return kind.from_settings(settings)
    except Exception as error:  # noqa: BLE001 - no error of a plug-in may silence the other channels
        _log.error("channels.channel_not_loaded", channel=point.name, error=type(error).__name__)
        what = f"could not be loaded ({type(error).__name__}: {error})"
        remedy = f"Repair or remove the package that registers {point.value}"
        return _Missing(faults=(Fault(f"channels.{point.name}", what, remedy),))


class _Missing(Channel):
    """The stand-in for a channel that could not be loaded: it accepts every address, and has no provider."""

    name = "not loaded"
    is_loaded = False

    @classmethod
    def from_settings(cls, settings: Settings) -> "_Missing":
        del settings
        return cls()

    def check_address(self, address: str) -> str:
        return address
