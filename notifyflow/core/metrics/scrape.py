"""The values of a scrape: the cumulative metrics, and reads of the moment; frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from notifyflow.core.limits.provider_health import Circuit
from notifyflow.core.metrics.families import MetricValues


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatFigures:
    """The values of a watched job.

    Attributes:
        succeeded_at: When it last succeeded; None if it never has.
        is_well: Whether it is not missed, failed or unknown.
        misses: How often it was missed or has failed.
    """

    succeeded_at: datetime | None
    is_well: bool
    misses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """The values of a scrape.

    Attributes:
        now: When it was read.
        totals: The counts since the first start.
        rolled_up_at: Up to when it is complete; None if nothing was counted yet.
        swept_at: When the last noted sweep was; None before the first.
        oldest_due_at: When the oldest notification became due that is not sent yet; None if nothing is due.
        oldest_unacknowledged_at: When the oldest OPEN incident that is CRITICAL was opened; None if there is none.
        oldest_untold_at: When the oldest failure happened for which operations is to be paged and no page was accepted, or None.
        storms: How many addresses are in a storm, by channel; a channel without one may be left out.
        postponed: How many notifications wait for others or for a call to end, by channel; a channel without one may be left out.
        silences: How many silences are in force, and how many unresolved incidents they hold.
        operations: How many recipients operations has in the settings of this process.
        calendars_read_at: Schedule to when its calendar could be read last; None if never.
        circuits: The circuit of each provider that was ever used, by channel and name.
        unreachable: How many people on the routes of the directory cannot be reached.
        gaps: Schedule to how many times within 30 days nobody is on duty; 0 for one that may have gaps.
        unreachable_on_duty: How many people who are on duty within 30 days cannot be reached.
        job_states: How many watched jobs are in each state.
        heartbeats: The values of the watched jobs that have series of their own, by name.
        replica_swept_at: The newest sweep that the replica has shown to this process; None if it has shown none.
        list_reads: How many lists this process has read from each source; empty without a replica.
    """

    now: datetime
    totals: MetricValues
    rolled_up_at: datetime | None
    swept_at: datetime | None
    oldest_due_at: datetime | None
    oldest_unacknowledged_at: datetime | None
    oldest_untold_at: datetime | None
    storms: Mapping[str, int]
    postponed: Mapping[str, int]
    silences: tuple[int, int]
    operations: int
    calendars_read_at: Mapping[str, datetime | None]
    circuits: Mapping[tuple[str, str], Circuit]
    unreachable: int
    gaps: Mapping[str, int]
    unreachable_on_duty: int
    job_states: Mapping[str, int]
    heartbeats: Mapping[str, HeartbeatFigures]
    replica_swept_at: datetime | None
    list_reads: Mapping[str, int]
