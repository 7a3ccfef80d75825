"""What a ring is as a message, on whatever broker: ids of one queue's notifications, and nothing else."""

from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any, TypeAlias

from dramatiq import Message, MessageProxy

from notifyflow.core.model import Severity

GiveBack: TypeAlias = Callable[[Sequence[str]], None]
"""Takes back that notifications were rung for, since nobody here will handle them; never raises."""
NAMESPACE = "notifyflow"
"""What the names of our queues begin with: a broker may be shared."""


def queue_name(channel: str, severity: Severity) -> str:
    """Name the queue a notification is rung in: two a channel, since priorities do not reorder a queue."""
    return f"{channel}.critical" if severity is Severity.CRITICAL else channel


def make_ring(queue: str, notification_ids: Sequence[str]) -> Message[None]:
    """Make the message that rings; a queue has one actor, of the same name."""
    return Message(queue_name=queue, actor_name=queue, args=(list(notification_ids),), kwargs={}, options={})


def is_ring(message: Message[Any], queue: str, *, options: Set[str] = frozenset()) -> bool:
    """Tell whether what was read from a queue is one of our messages, with the options that its broker adds and no others.

    dramatiq believes what a message says of itself: one that names another queue ends the thread that handles it, one with an
    ``eta`` is held in memory, and one whose options are no mapping stops the consumer again and again.
    """
    return (
        message.queue_name == message.actor_name == queue
        and isinstance(message.kwargs, dict)
        and isinstance(message.message_id, str)
        and isinstance(message.options, dict)
        and message.options.keys() == options
    )


def rung_for(messages: "Iterable[Message[Any] | MessageProxy]") -> list[str]:
    """Collect what some messages ring for; one that is no ring of ours rings for nothing."""
    return [
        each
        for message in messages
        for ids in message.args[:1]
        if isinstance(ids, list | tuple)
        for each in ids
        if isinstance(each, str)
    ]
