"""The inbound log of an incident: the requests about it through integrations, and their effects; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import Via


class InboundEffect(StrEnum):
    """The effect of a request.

    It OPENED the incident; RAISED its severity, which pages everybody anew; ADDED recipients, who are paged; AMENDED its words or
    was MERGED, which page nobody; ACKNOWLEDGED or RESOLVED it; or was IGNORED.
    """

    OPENED = "opened"
    RAISED = "raised"
    ADDED = "added"
    AMENDED = "amended"
    MERGED = "merged"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    IGNORED = "ignored"


class InboundReason(StrEnum):
    """Why a request paged nobody: the incident had been ACKNOWLEDGED or RESOLVED, NO_ROUTE led to anybody, or all was PAUSED."""

    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    NO_ROUTE = "no_route"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundEntry:
    """Requests of one kind about one incident; nothing personal.

    Attributes:
        integration: The integration that they came through.
        api_key: The name of the API key that they came with.
        route: The directory's route that matched: ``routes[0]``, ``default``; empty if there is no directory.
        did: Their effect.
        why: Why they paged nobody, an ``InboundReason``; empty if ``did`` says it, or they paged somebody.
        left_out: The recipients of the route who cannot be paged, by id, as a list in words; empty if there are none.
        first_at: When the first one came.
        last_at: When the last one came.
        times: How many came.
    """

    incident_id: str
    integration: Via
    api_key: str
    route: str
    did: InboundEffect
    first_at: datetime
    last_at: datetime
    why: InboundReason | str = ""
    left_out: str = ""
    times: int = 1

    @property
    def kind(self) -> tuple[str, ...]:
        """The values that requests counted together have in common."""
        return self.incident_id, self.integration, self.api_key, self.route, self.did, self.why


def counted(entries: Iterable[InboundEntry]) -> tuple[InboundEntry, ...]:
    """Count requests of one kind together, in the order of the first of each kind."""
    found: dict[tuple[str, ...], InboundEntry] = {}
    for each in entries:
        before = found.get(each.kind)
        found[each.kind] = each if before is None else _after(before, each)
    return tuple(found.values())


def _after(before: InboundEntry, later: InboundEntry) -> InboundEntry:
    return replace(later, first_at=before.first_at, times=before.times + later.times)
