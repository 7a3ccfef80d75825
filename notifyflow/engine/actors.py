"""The actors that handle rings, one for each queue. Their messages hold ids only."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import dramatiq

from notifyflow.core.delivery.model import Severity
from notifyflow.engine.broker.ring import queue_name
from notifyflow.engine.reporter import RING_SIZE
from notifyflow.log import get_logger, source_line

_log = get_logger("notifyflow.engine")

URGENT = 1
"""The priority of rings for CRITICAL notifications among the rings that wait for a thread."""
_PRIORITIES = {Severity.CRITICAL: URGENT, Severity.ERROR: 10}


class Deliver(Protocol):
    """Handles a ring."""

    def __call__(self, channel: str, notification_ids: Sequence[str], /, *, is_urgent: bool) -> None:
        """Handle a ring for notifications of one channel and one urgency."""
        ...


def declare_actors(broker: dramatiq.Broker, channels: Iterable[str], deliver: Deliver) -> None:
    """Declare the two actors of each channel on a broker.

    Args:
        broker: The broker.
        channels: Names of channels.
        deliver: Handles a ring.
    """
    for channel in channels:
        for severity, priority in _PRIORITIES.items():
            name = queue_name(channel, severity)
            declare = dramatiq.actor(broker=broker, actor_name=name, queue_name=name, priority=priority)
            declare(_ring_handler(channel, deliver, is_urgent=severity is Severity.CRITICAL))


def handle_ring(deliver: Deliver, channel: str, notification_ids: Sequence[str], *, is_urgent: bool) -> None:
    """Handle a ring; log any error once, here: a later sweep rings again."""
    try:
        deliver(channel, notification_ids, is_urgent=is_urgent)
    except Exception as error:  # noqa: BLE001 - the edge of the thread
        _log.error("engine.ring_failed", channel=channel, error=type(error).__name__, place=source_line(error))


def _ring_handler(channel: str, deliver: Deliver, *, is_urgent: bool) -> Callable[..., None]:
    def handle_message(*args: object, **kwargs: object) -> None:
        match args:
            case ([*ids],) if not kwargs and len(ids) <= RING_SIZE and all(isinstance(each, str) for each in ids):
                handle_ring(deliver, channel, [str(each) for each in ids], is_urgent=is_urgent)
            case _:
                _log.warning("engine.message_foreign", channel=channel)

    return handle_message
