"""The state that an incident carries over from the one before it in a series, as values; ``series`` has the rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from notifyflow.core.delivery.model import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierPage:
    """The last page on one channel of a tier before an incident opened.

    Attributes:
        notification_id: The page; its row may still change.
        failures: Number of failed attempts of the pages before it, since the last one that arrived.
        waited: How long it, and the pages before it, had waited for a result when the incident opened; gaps do not count.
        paged_at: When a page before it was sent; None if none was.
    """

    notification_id: str
    tier: int
    channel: str
    failures: int = 0
    waited: timedelta = timedelta()
    paged_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The state that an escalation carries over from the same recipient's escalation in the incident before.

    Attributes:
        clock: How long its round had run.
        tier: The tier that was in force.
        is_first: Whether the opening pages the first tier at once; otherwise a later step of the chain had paged the recipient.
        pages: The last page on each channel of the opened tiers.
    """

    clock: timedelta
    tier: int
    is_first: bool = True
    pages: tuple[EarlierPage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The series of an incident, as it was when the incident opened, and whether a person has ended it since.

    Attributes:
        first_id: The first incident of the series.
        severity: The highest of the incidents before this one.
        openings: When incidents of the series opened within the last hour, this one included; the latest six.
        open_for: How long the incidents before this one were open, in all.
        told_at: Severity → when operations was last paged because nobody had acknowledged.
        flapping_at: When the flapping key was last linked to operations; None if never.
        is_flapping_told: Whether operations was paged then.
        has_reached: Whether a page of an incident before this one reached anybody.
        is_over: Whether a person has acknowledged or resolved one of its incidents.
        over_for: The recipients for whom it is over, since each has to acknowledge.
    """

    first_id: str
    severity: Severity
    openings: tuple[datetime, ...]
    open_for: timedelta = timedelta()
    told_at: Mapping[str, datetime] = field(default_factory=dict)
    flapping_at: datetime | None = None
    is_flapping_told: bool = False
    has_reached: bool = False
    is_over: bool = False
    over_for: tuple[str, ...] = ()
