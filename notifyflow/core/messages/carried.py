"""What a message carried, and what a reply to it acknowledges; pure.

People acknowledge what they were told. A reply stands for exactly the pages that its message carried, never for what has come
since, and acknowledges an incident only up to the severity that the message showed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.delivery.model import IncidentState, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedPage:
    """A page that a message carried, and its incident as it is now.

    Attributes:
        incident_id: Its incident.
        recipient_id: Its recipient.
        shown: The severity that the message showed.
        is_named: Whether the message named the incident, and did not only count it.
        severity: The incident's severity now.
        state: The incident's state now.
        is_open: Whether the recipient can still acknowledge it.
        title: The incident's title; personal.
        at: When it happened.
        acknowledged_by: Who acknowledged it, by name; empty if nobody has, or where it is not read.
    """

    incident_id: str
    recipient_id: str
    shown: Severity
    is_named: bool = True
    severity: Severity
    state: IncidentState
    is_open: bool
    title: str
    at: datetime
    acknowledged_by: str = ""

    @property
    def has_risen(self) -> bool:
        """Whether the incident is more severe now than the message showed."""
        return self.severity.is_above(self.shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedMessage:
    """The message that a reply code stands for.

    Attributes:
        code: The reply code.
        pages: All pages that it carried, the most severe first.
    """

    code: str
    pages: Sequence[CarriedPage]

    @property
    def names_all(self) -> bool:
        """Whether it named all incidents that it carried."""
        return all(page.is_named for page in self.pages)

    @property
    def to_acknowledge(self) -> Sequence[CarriedPage]:
        """The pages whose incidents a reply with its code can still acknowledge."""
        return [page for page in self.pages if page.is_open and not page.has_risen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a reply means.

    Attributes:
        pages: The pages whose incidents it acknowledges.
        choices: If that is not clear, the messages that it may mean; nothing is acknowledged then.
    """

    pages: Sequence[CarriedPage] = ()
    choices: Sequence[CodedMessage] = ()


def meant_by_code(message: CodedMessage, *, is_all: bool) -> Meaning:
    """Return what the code of a message means.

    Args:
        message: The message.
        is_all: Whether the reply says that it means all that the message carried.
    """
    if is_all or message.names_all:
        return Meaning(pages=message.pages)
    if any(page.is_open for page in message.pages):
        return Meaning(choices=[message])
    return Meaning(pages=[page for page in message.pages if page.is_named])


def meant_by_word(messages: Sequence[CodedMessage]) -> Meaning:
    """Return what a reply without a code means: the only open message, if that named all that it carried.

    Messages about the same incidents with the same severities are one: people who share a number get one each.

    Args:
        messages: The messages to the number with an open incident.
    """
    subjects = {frozenset((page.incident_id, page.shown) for page in each.pages) for each in messages}
    if len(subjects) > 1 or not all(each.names_all for each in messages):
        return Meaning(choices=messages)
    return Meaning(pages=[page for each in messages for page in each.pages])
