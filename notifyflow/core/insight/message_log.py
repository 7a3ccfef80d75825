"""The message log: notifications with their attempts, their recipient and their incident, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Evidence, NotificationState
from notifyflow.core.frozen import FrozenDict

SEARCHED = 10_000
"""How many notifications, rounds or incidents a page searches at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """A filter of the message log; all conditions must hold, and empty ones exclude nothing.

    Attributes:
        states: The notification is in one of these states.
        channels: It is on one of these channels.
        providers: One of its attempts was made with one of these providers.
        evidence: The evidence of that attempt is one of these.
        provider_ref: The provider's id of the message of one of its attempts.
        recipient_id: It is for this recipient.
        key: Its incident has this key.
        text: The code of an attempt, or a part of its reason or of the notification's, whether in capitals or not.
        since: It was queued at this instant or later.
        until: It was queued before this instant.
        namespaces: Its incident is in one of these namespaces; None for all.
    """

    states: frozenset[NotificationState] = frozenset()
    channels: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    evidence: frozenset[Evidence] = frozenset()
    provider_ref: str = ""
    recipient_id: str = ""
    key: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    namespaces: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMessage:
    """A notification as the message log shows it.

    Attributes:
        facts: The notification with its attempts.
        recipient_id: The recipient, or the subscriber of an incident event.
        name: The name of the recipient; personal.
        address: The address on its channel, as the incident has it now; personal, and empty if there is none any more.
        title: The title of its incident; personal.
        others: How many other pages the calls of its attempts carried, by the ids of the attempts; without lone calls.
    """

    facts: NotificationFacts
    recipient_id: str
    name: str
    address: str
    key: str
    title: str
    others: Mapping[str, int] = FrozenDict()


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePage:
    """A page of the message log, the newest first.

    Attributes:
        older: Where the next page begins; None at the end.
        searched_to: How far back the search went when it ended before the page was full, and before the log was over; None if
            it did not.
    """

    messages: tuple[LoggedMessage, ...]
    older: str | None
    searched_to: datetime | None = None
