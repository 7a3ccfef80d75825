"""The actors that handle rings, one for each queue. Their messages hold ids only."""

from collections.abc import Callable, Iterable, Sequence

import dramatiq
import structlog

from notifyflow.core.model import Severity
from notifyflow.engine.reporter import RING_SIZE, place
from notifyflow.engine.ring import queue_name

_log = structlog.get_logger("notifyflow.engine")

_PRIORITIES = {Severity.CRITICAL: 1, Severity.ERROR: 10}


def declare_actors(broker: dramatiq.Broker, channels: Iterable[str], deliver: Callable[[str, Sequence[str]], None]) -> None:
    """Declare the two actors of each channel on a broker.

    Args:
        broker: The broker.
        channels: Names of channels.
        deliver: (channel, notification ids) → handles a ring.
    """
    for channel in channels:
        for severity, priority in _PRIORITIES.items():
            name = queue_name(channel, severity)
            declare = dramatiq.actor(broker=broker, actor_name=name, queue_name=name, priority=priority)
            declare(_ring_handler(channel, deliver))


def _ring_handler(channel: str, deliver: Callable[[str, Sequence[str]], None]) -> Callable[..., None]:
    def handle_ring(*args: object, **kwargs: object) -> None:
        """Handle a ring; log any error once, here: a later sweep rings again."""
        match args:
            case ([*ids],) if not kwargs and len(ids) <= RING_SIZE and all(isinstance(each, str) for each in ids):
                try:
                    deliver(channel, [str(each) for each in ids])
                except Exception as error:  # noqa: BLE001 - the edge of the actor
                    _log.error("engine.ring_failed", channel=channel, error=type(error).__name__, place=place(error))
            case _:
                _log.warning("engine.message_foreign", channel=channel)

    return handle_ring
