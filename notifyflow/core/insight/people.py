"""Whether people can be reached: proven ways, failed ways, and people who were never paged; pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Contact, EscalationState, NotificationState

ROUNDS = 20
"""How many of a person's newest rounds count."""
MOST_UNREACHED = 10
"""How many unreached people a page shows at most: the newest."""


class Reachability(StrEnum):
    """Whether a person can be reached, the worst first."""

    UNREACHABLE = "unreachable"
    UNPROVEN = "unproven"
    PROVEN = "proven"


@dataclass(frozen=True, slots=True, kw_only=True)
class WayRecord:
    """The record of one channel in a person's recent rounds.

    Attributes:
        last: The last page that was sent or failed, or None.
        proven: The last page with evidence other than our provider's interface, or None.
        refused: How many attempts were refused for good: bounces, unknown numbers.
    """

    last: NotificationFacts | None = None
    proven: NotificationFacts | None = None
    refused: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRecord:
    """The record of a person's recent rounds.

    Attributes:
        contact: The person's contact in their newest incident; personal.
        last_round: The state of the newest round.
        last_round_at: When it started.
        ways: By channel.
    """

    contact: Contact
    last_round: EscalationState
    last_round_at: datetime
    ways: Mapping[str, WayRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person in incidents or in the directory.

    Attributes:
        contact: The person with their current addresses: from the directory, or else from the newest incident; personal.
        record: The record of recent rounds; None if the person was never paged.
        opted_out_of: Our numbers to which they have sent STOP.
    """

    contact: Contact
    record: PersonRecord | None = None
    opted_out_of: frozenset[str] = frozenset()
    is_in_directory: bool = False

    def way(self, channel: str) -> WayRecord:
        """Return the record of a channel."""
        return self.record.ways.get(channel, _UNTRIED) if self.record else _UNTRIED


@dataclass(frozen=True, slots=True, kw_only=True)
class PeoplePage:
    """A page of the people, by id.

    Attributes:
        people: The people who were paged.
        unreached: The people whose newest round reached nobody, the newest first; on the first page only.
        never_paged: The people in the directory who were never paged, by id; on the first page only.
        never_paged_count: How many there are; only the first are in ``never_paged``.
        after: Where the next page begins: a round, since the last person may be hidden; None at the end.
    """

    people: tuple[Person, ...]
    unreached: tuple[Person, ...] = ()
    never_paged: tuple[Person, ...] = ()
    never_paged_count: int = 0
    after: str | None = None


_UNTRIED = WayRecord()


def reachability(person: Person, usable: Collection[str]) -> Reachability:
    """Return whether a person can be reached.

    Args:
        person: The person.
        usable: The channels on which they have an address, and a provider to which they have not sent STOP.
    """
    record = person.record
    has_failed = record is not None and record.last_round is EscalationState.EXHAUSTED
    if has_failed or all(is_failing(person.way(channel)) for channel in usable):
        return Reachability.UNREACHABLE
    is_proven = any(person.way(channel).proven is not None for channel in usable)
    return Reachability.PROVEN if is_proven else Reachability.UNPROVEN


def is_failing(way: WayRecord) -> bool:
    """Return whether the last page on a channel failed."""
    return way.last is not None and way.last.state is NotificationState.FAILED
