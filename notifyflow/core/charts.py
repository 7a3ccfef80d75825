"""What the charts of the page Health show: durations as percentiles, and how the calls to each provider ended; pure.

What happened is counted by the minute, and again by longer periods, so that a chart reads few rows however long it is.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import accumulate

from notifyflow.core import figures
from notifyflow.core.figures import Family, Key, Outcome, Tallies, Tally
from notifyflow.core.model import Severity

SPANS = (1, 15, 360)
"""The periods in minutes by which is counted."""
_START = datetime(1970, 1, 1, tzinfo=UTC)
_NOTHING = Tallies()


class Window(Enum):
    """What a chart shows: how much time, and by which periods in minutes."""

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


_NONE = Percentiles(count=0, p50_s=None, p95_s=None, p99_s=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The durations of one period.

    Attributes:
        at: When the period began.
        durations: Those that ended in it.
    """

    at: datetime
    durations: Percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Durations over a window.

    Attributes:
        whole: Those of the whole window.
        points: Those of each period, the oldest first.
    """

    whole: Percentiles
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFigures:
    """The calls to one provider on one channel.

    Attributes:
        channel: The channel.
        provider: The provider.
        outcomes: How often they ended how, in the whole window.
        calls: For each period when it began, how many calls were made, and how many of them were accepted.
        took: How long they took.
    """

    channel: str
    provider: str
    outcomes: Mapping[Outcome, int]
    calls: tuple[tuple[datetime, int, int], ...]
    took: Course

    @property
    def made(self) -> int:
        """How many calls were made."""
        return sum(count for outcome, count in self.outcomes.items() if outcome is not Outcome.NOT_SENT)

    @property
    def success(self) -> float | None:
        """The share of the calls that were accepted, from 0 to 1; None without any."""
        return self.outcomes.get(Outcome.ACCEPTED, 0) / self.made if self.made else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """What the charts of one window show.

    Attributes:
        window: The window.
        folded_at: Up to when it is complete; None if nothing was counted yet.
        accepted: From the creation of a page to its first acceptance, by severity; only those that had any.
        delivered: From there to its first reported delivery.
        human: From the moment an incident pages to the first acknowledgement.
        providers: The providers that were called, by channel and name.
    """

    window: Window
    folded_at: datetime | None
    accepted: Mapping[Severity, Course]
    delivered: Mapping[Severity, Course]
    human: Mapping[Severity, Course]
    providers: tuple[ProviderFigures, ...]


def beginning(at: datetime, minutes: int) -> datetime:
    """Return when the period of some minutes began that an instant lies in."""
    return at - (at - _START) % timedelta(minutes=minutes)


def charts(window: Window, periods: Mapping[datetime, Tallies], *, folded_at: datetime | None, now: datetime) -> Charts:
    """Return what the charts of a window show, from what was counted in its periods."""
    steps = [(at, periods.get(at, _NOTHING)) for at in window.periods(now)]
    return Charts(
        window=window,
        folded_at=folded_at,
        accepted=_by_severity(figures.ACCEPTED_S, steps),
        delivered=_by_severity(figures.DELIVERED_S, steps),
        human=_by_severity(figures.HUMAN_S, steps),
        providers=tuple(_provider(carrier, steps) for carrier in _carriers(steps)),
    )


def percentiles(family: Family, tally: Tally) -> Percentiles:
    """Return the percentiles of what fell into buckets."""
    up_to = tuple(accumulate(tally.buckets))
    if not up_to or not up_to[-1]:
        return _NONE
    p50_s, p95_s, p99_s = (_quantile(family.bounds_s, up_to, up_to[-1] * share) for share in (0.5, 0.95, 0.99))
    return Percentiles(count=tally.count, p50_s=p50_s, p95_s=p95_s, p99_s=p99_s)


_Steps = Sequence[tuple[datetime, Tallies]]


def _quantile(bounds_s: Sequence[float], up_to: Sequence[int], wanted: float) -> float:
    """Return the duration that so many do not exceed, interpolated within its bucket as Prometheus does.

    ``up_to`` has for each bucket how many fell into it and those before. Above the last bound, that bound is returned.
    """
    bucket = bisect_left(up_to, wanted)
    if bucket >= len(bounds_s):
        return bounds_s[-1]
    before, lower_s = (up_to[bucket - 1], bounds_s[bucket - 1]) if bucket else (0, 0.0)
    return lower_s + (bounds_s[bucket] - lower_s) * (wanted - before) / (up_to[bucket] - before)


def _by_severity(family: Family, steps: _Steps) -> Mapping[Severity, Course]:
    courses = {severity: _course(family, (str(severity),), steps) for severity in Severity}
    return {severity: course for severity, course in courses.items() if course.whole.count}


def _course(family: Family, labels: tuple[str, ...], steps: _Steps) -> Course:
    key: Key = (family.name, labels)
    tallies = [(at, each.get(key) or Tally()) for at, each in steps]
    points = tuple(Point(at=at, durations=percentiles(family, tally)) for at, tally in tallies)
    return Course(whole=percentiles(family, _total(tally for _, tally in tallies)), points=points)


def _total(tallies: Iterable[Tally]) -> Tally:
    return sum((each for each in tallies if each.count), Tally())


def _carriers(steps: _Steps) -> list[tuple[str, str]]:
    name = figures.ATTEMPTS.name
    return sorted({(labels[0], labels[1]) for _, tallies in steps for (family, labels), _ in tallies.items() if family == name})


def _provider(carrier: tuple[str, str], steps: _Steps) -> ProviderFigures:
    keys = {outcome: (figures.ATTEMPTS.name, (*carrier, str(outcome))) for outcome in Outcome}
    counts = [(at, {outcome: tally.count for outcome, key in keys.items() if (tally := each.get(key))}) for at, each in steps]
    made = [(at, sum(found.values()) - found.get(Outcome.NOT_SENT, 0), found.get(Outcome.ACCEPTED, 0)) for at, found in counts]
    outcomes = {outcome: sum(found.get(outcome, 0) for _, found in counts) for outcome in Outcome}
    channel, provider = carrier
    return ProviderFigures(
        channel=channel,
        provider=provider,
        outcomes={outcome: number for outcome, number in outcomes.items() if number},
        calls=tuple(made),
        took=_course(figures.REQUEST_S, carrier, steps),
    )
