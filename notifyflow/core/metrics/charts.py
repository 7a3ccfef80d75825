"""The charts of the page Health: durations as percentiles, and the outcomes of calls to each provider; pure.

Events are counted by the minute, and again by longer periods, so that a chart reads few rows however long it is.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import accumulate

from notifyflow.core.delivery.model import Severity
from notifyflow.core.metrics import families
from notifyflow.core.metrics.families import CallOutcome, Family, MetricValue, MetricValues

SPANS = (1, 15, 360)
"""The lengths of the periods in minutes."""
_START = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = MetricValues()


class Window(Enum):
    """The span of a chart, and the length of its periods in minutes."""

    HOUR = (timedelta(hours=1), 1)
    DAY = (timedelta(days=1), 15)
    MONTH = (timedelta(days=30), 360)

    @property
    def minutes(self) -> int:
        """The length of its periods in minutes."""
        return self.value[1]

    def periods(self, now: datetime) -> tuple[datetime, ...]:
        """Return when its periods begin, the present one last."""
        length, minutes = self.value
        last = beginning(now, minutes)
        count = length // timedelta(minutes=minutes)
        return tuple(last - timedelta(minutes=minutes) * back for back in reversed(range(count)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Some durations.

    Attributes:
        count: How many.
        p50_s: Half of them took this many seconds or less; None without any. Interpolated within a bucket.
        p95_s: 95 of 100 took this long or less.
        p99_s: 99 of 100 took this long or less.
    """

    count: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationChart:
    """Durations over a window.

    Attributes:
        whole: Those of the whole window.
        p95_s: For each period, the oldest first, the time within which 95 of 100 ended; None without any.
    """

    whole: Percentiles
    p95_s: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderChart:
    """The calls to one provider on one channel in a window.

    Attributes:
        outcomes: How many calls had each outcome.
        took: The durations of the calls.
    """

    channel: str
    provider: str
    outcomes: Mapping[CallOutcome, int]
    took: Percentiles

    @property
    def made(self) -> int:
        """How many calls were made."""
        return sum(count for outcome, count in self.outcomes.items() if outcome is not CallOutcome.NOT_SENT)

    @property
    def success(self) -> float | None:
        """The share of the calls that were accepted, from 0 to 1; None without any."""
        return self.outcomes.get(CallOutcome.ACCEPTED, 0) / self.made if self.made else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """The charts of one window.

    Attributes:
        rolled_up_at: Up to when it is complete; None if nothing was counted yet.
        accepted: From the creation of a page to its first acceptance, by severity; a severity without any is left out.
        delivered: From there to its first reported delivery.
        human: From the moment an incident pages to the first acknowledgement.
        providers: The providers that were called, by channel and name.
    """

    window: Window
    rolled_up_at: datetime | None
    accepted: Mapping[Severity, DurationChart]
    delivered: Mapping[Severity, DurationChart]
    human: Mapping[Severity, DurationChart]
    providers: tuple[ProviderChart, ...]


def beginning(at: datetime, minutes: int) -> datetime:
    """Return the beginning of an instant's period of ``minutes`` minutes."""
    return at - (at - _START) % timedelta(minutes=minutes)


def charts(
    window: Window,
    durations: Mapping[datetime, MetricValues],
    calls: Mapping[tuple[str, ...], int],
    *,
    rolled_up_at: datetime | None,
    now: datetime,
) -> Charts:
    """Return the charts of a window.

    Args:
        window: The window.
        durations: The durations in its periods, by their beginning.
        calls: The number of calls, by channel, provider and outcome.
        rolled_up_at: Up to when all of it is complete.
        now: The end of the window.
    """
    steps = [durations.get(at, _NOTHING) for at in window.periods(now)]
    return Charts(
        window=window,
        rolled_up_at=rolled_up_at,
        accepted=_by_severity(families.ACCEPTED_S, steps),
        delivered=_by_severity(families.DELIVERED_S, steps),
        human=_by_severity(families.HUMAN_S, steps),
        providers=tuple(
            _provider(channel, provider, calls, steps) for channel, provider in sorted({(each[0], each[1]) for each in calls})
        ),
    )


def percentiles(family: Family, value: MetricValue) -> Percentiles:
    """Return the percentiles of durations counted in buckets."""
    p50_s, p95_s, p99_s = (_quantile(family, value, share) for share in (0.5, 0.95, 0.99))
    return Percentiles(count=value.count, p50_s=p50_s, p95_s=p95_s, p99_s=p99_s)


def _quantile(family: Family, value: MetricValue, share: float) -> float | None:
    """Return the duration that a share of all does not exceed, interpolated within its bucket as Prometheus does.

    Above the last bound, that bound is returned; without any duration None.
    """
    if not value.count:
        return None
    bounds_s, up_to = family.bounds_s, tuple(accumulate(value.buckets))
    wanted = up_to[-1] * share
    bucket = bisect_left(up_to, wanted)
    if bucket >= len(bounds_s):
        return bounds_s[-1]
    before, lower_s = (up_to[bucket - 1], bounds_s[bucket - 1]) if bucket else (0, 0.0)
    return lower_s + (bounds_s[bucket] - lower_s) * (wanted - before) / (up_to[bucket] - before)


def _by_severity(family: Family, steps: Sequence[MetricValues]) -> Mapping[Severity, DurationChart]:
    courses = {severity: _course(family, (str(severity),), steps) for severity in Severity}
    return {severity: course for severity, course in courses.items() if course.whole.count}


def _course(family: Family, labels: tuple[str, ...], steps: Sequence[MetricValues]) -> DurationChart:
    values = [each.get((family.name, labels)) for each in steps]
    p95_s = tuple(None if each is None else _quantile(family, each, 0.95) for each in values)
    return DurationChart(whole=percentiles(family, _total(values)), p95_s=p95_s)


def _total(values: Iterable[MetricValue | None]) -> MetricValue:
    found = [each for each in values if each]
    buckets = list(map(sum, zip(*(each.buckets for each in found), strict=True)))
    return MetricValue(count=sum(each.count for each in found), sum_s=sum(each.sum_s for each in found), buckets=buckets)


def _provider(channel: str, provider: str, calls: Mapping[tuple[str, ...], int], steps: Sequence[MetricValues]) -> ProviderChart:
    outcomes = {outcome: calls.get((channel, provider, str(outcome)), 0) for outcome in CallOutcome}
    took = _total(each.get((families.REQUEST_S.name, (channel, provider))) for each in steps)
    return ProviderChart(
        channel=channel,
        provider=provider,
        outcomes={outcome: number for outcome, number in outcomes.items() if number},
        took=percentiles(families.REQUEST_S, took),
    )
