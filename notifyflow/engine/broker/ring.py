"""A ring as a message of any broker: ids of notifications of one queue."""

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any, TypeAlias

from dramatiq import Message, MessageProxy

from notifyflow.core.delivery.model import Severity

GiveBack: TypeAlias = Callable[[Sequence[str]], None]
"""Gives back the rings of notifications that this process does not handle; never raises."""
NAMESPACE = "notifyflow"
"""The prefix of our queues, since a broker may be shared."""


def queue_name(channel: str, severity: Severity) -> str:
    """Return the queue of a notification: two for each channel, since priorities do not reorder a queue."""
    return f"{channel}.critical" if severity is Severity.CRITICAL else channel


def make_ring(queue: str, notification_ids: Sequence[str]) -> Message[None]:
    """Return the message of a ring; a queue has one actor, of the same name."""
    return Message(queue_name=queue, actor_name=queue, args=(list(notification_ids),), kwargs={}, options={})


def is_ring(message: Message[Any], queue: str, *, options: Set[str] = frozenset()) -> bool:
    """Return whether a message from a queue is a ring of ours, with exactly the options that its broker adds.

    dramatiq trusts messages: one that names another queue ends the thread that handles it, one with an ``eta`` is held in memory,
    and one whose options are no mapping, or no text, stops the consumer again and again.
    """
    return (
        message.queue_name == message.actor_name == queue
        and isinstance(message.kwargs, dict)
        and isinstance(message.message_id, str)
        and isinstance(message.options, dict)
        and message.options.keys() == options
        and all(isinstance(each, str) for each in message.options.values())
    )


def rung_for(messages: "Iterable[Message[Any] | MessageProxy]") -> list[str]:
    """Return the notification ids of some messages; foreign messages have none."""
    return [
        each
        for message in messages
        for ids in message.args[:1]
        if isinstance(ids, list | tuple)
        for each in ids
        if isinstance(each, str)
    ]
