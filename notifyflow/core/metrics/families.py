"""The metrics made from rows: counts and durations, their labels, and how they add up; pure.

The labels are closed lists or names of channels and providers, and nothing personal. Stored metrics are cumulative, as Prometheus
wants them; ``charts`` reads the same metrics minute by minute.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from notifyflow.core.delivery.model import EscalationState, Kind, NotificationState, Result, Severity

OTHER = "other"
"""The channel and provider of counts without a row of their own."""
NO_PROVIDER = "none"
"""The provider of a failure without a call."""
MOST_TOTALS = 2000
"""How many rows the cumulative metrics have at most."""
_RESERVED = 200
"""How many of them are kept for ``OTHER``: all labels of closed lists fit in."""


class CallOutcome(StrEnum):
    """How a call to a provider ended."""

    ACCEPTED = "accepted"
    TEMPORARY_FAILURE = "temporary_failure"
    PERMANENT_FAILURE = "permanent_failure"
    IN_DOUBT = "in_doubt"
    NOT_SENT = "not_sent"


class FailureReason(StrEnum):
    """Why a call failed, or a notification was ended without one."""

    REFUSED_US = "refused_us"
    THROTTLED = "throttled"
    TEMPORARY = "temporary"
    PERMANENT = "permanent"
    NO_ANSWER = "no_answer"
    EXPIRED = "expired"
    BEYOND_RETRY_WINDOW = "beyond_retry_window"
    NO_PROVIDER = "no_provider"
    CAPPED = "capped"
    OPTED_OUT = "opted_out"


class MessageSize(StrEnum):
    """How many notifications one message carries."""

    ONE = "1"
    FIVE = "2-5"
    TWENTY = "6-20"
    HUNDRED = "21-100"
    MORE = "over 100"


class IncidentChange(StrEnum):
    """What happened to an incident."""

    OPENED = "opened"
    REPEATED = "repeated"
    SEVERITY_RAISED = "severity_raised"
    PAGED_AGAIN = "paged_again"
    STEP_DUE = "step_due"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


_SIZES = ((1, MessageSize.ONE), (5, MessageSize.FIVE), (20, MessageSize.TWENTY), (100, MessageSize.HUNDRED))


def message_size(number: int) -> MessageSize:
    """Return the range of a number of notifications in one message."""
    return next((each for most, each in _SIZES if number <= most), MessageSize.MORE)


SETTLED = tuple(state for state in EscalationState if state is not EscalationState.ACTIVE)
ENTERED = tuple(state for state in NotificationState if state is not NotificationState.SENDING)
REPORTED = (Result.DELIVERED, Result.TEMPORARY_FAILURE, Result.PERMANENT_FAILURE, Result.ACCEPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A metric, which has a row for each combination of its labels.

    Attributes:
        name: Its name, without Prometheus's suffix.
        meaning: Its meaning, as a sentence.
        labels: The names of its labels, in their order.
        bounds_s: The upper bounds of its buckets in seconds; empty for a count.
    """

    name: str
    meaning: str
    labels: tuple[str, ...]
    bounds_s: tuple[float, ...] = ()


INCIDENTS = Family(name="notifyflow_incident_events", meaning="What happened to incidents.", labels=("event", "severity"))
NOTIFICATIONS = Family(
    name="notifyflow_notifications",
    meaning="Notifications that came into a state; one that is queued again is not counted again as queued.",
    labels=("channel", "kind", "severity", "state"),
)
ESCALATIONS = Family(
    name="notifyflow_escalations", meaning="Escalations that came into a settled state.", labels=("severity", "state")
)
ATTEMPTS = Family(
    name="notifyflow_attempts",
    meaning="Calls to providers, by how they ended; one that carries several notifications counts for each.",
    labels=("channel", "provider", "severity", "outcome"),
)
FAILURES = Family(
    name="notifyflow_failures",
    meaning="Calls that failed, failures that providers reported later, and notifications that were ended without a call.",
    labels=("channel", "provider", "reason"),
)
MESSAGES = Family(
    name="notifyflow_messages",
    meaning="Messages that a provider accepted, by how many notifications each carried.",
    labels=("channel", "provider", "carried"),
)
DOUBTS = Family(name="notifyflow_doubts", meaning="Calls without a definite answer.", labels=("channel", "provider"))
DUPLICATES = Family(
    name="notifyflow_possible_duplicates",
    meaning="Accepted calls that repeated one in doubt: the message may have arrived twice.",
    labels=("channel", "provider"),
)
AWAITED = Family(
    name="notifyflow_receipts_awaited",
    meaning="Accepted calls for which the provider should send a receipt.",
    labels=("channel", "provider"),
)
RECEIPTS = Family(
    name="notifyflow_receipts",
    meaning="Receipts of providers that changed a notification.",
    labels=("channel", "provider", "result"),
)
CRITICAL = Family(
    name="notifyflow_critical_failures",
    meaning="Recipients who could not be reached, of which operations was told.",
    labels=("severity",),
)
ACCEPTED_S = Family(
    name="notifyflow_accepted_seconds",
    meaning="From the creation of a page to its first acceptance by a provider.",
    labels=("channel", "severity"),
    bounds_s=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
DELIVERED_S = Family(
    name="notifyflow_delivered_seconds",
    meaning="From the creation of a page to its first reported delivery.",
    labels=("channel", "severity"),
    bounds_s=(1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600, 10800, 36000, 108000),
)
HUMAN_S = Family(
    name="notifyflow_human_seconds",
    meaning="From the moment an incident pages, or pages again, to the first acknowledgement.",
    labels=("severity",),
    bounds_s=(10, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 10800, 36000, 108000),
)
REQUEST_S = Family(
    name="notifyflow_provider_request_seconds",
    meaning="How long calls to providers took.",
    labels=("channel", "provider"),
    bounds_s=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        INCIDENTS,
        NOTIFICATIONS,
        ESCALATIONS,
        ATTEMPTS,
        FAILURES,
        MESSAGES,
        DOUBTS,
        DUPLICATES,
        AWAITED,
        RECEIPTS,
        CRITICAL,
        ACCEPTED_S,
        DELIVERED_S,
        HUMAN_S,
        REQUEST_S,
    )
}

CHARTED: Mapping[str, tuple[str, ...]] = {
    ACCEPTED_S.name: ("severity",),
    DELIVERED_S.name: ("severity",),
    HUMAN_S.name: ("severity",),
    REQUEST_S.name: ("channel", "provider"),
    ATTEMPTS.name: ("channel", "provider", "outcome"),
}
"""The families of the charts, with their labels."""

Key = tuple[str, tuple[str, ...]]
"""The name of a family, and the values of its labels in their order."""


@dataclass(slots=True)
class MetricValue:
    """The counts of one row of a metric.

    Attributes:
        count: The number of events.
        sum_s: The sum of all durations in seconds; 0 for a count.
        buckets: How many durations fell into each bucket, the last one without a bound; empty for a count.
    """

    count: int = 0
    sum_s: float = 0.0
    buckets: list[int] = field(default_factory=list)

    def __add__(self, other: "MetricValue") -> "MetricValue":
        if self.buckets and other.buckets:
            buckets = [mine + its for mine, its in zip(self.buckets, other.buckets, strict=True)]
        else:
            buckets = list(self.buckets or other.buckets)
        return MetricValue(count=self.count + other.count, sum_s=self.sum_s + other.sum_s, buckets=buckets)


class MetricValues:
    """Counts and durations that add up, by family and labels."""

    def __init__(self, values: Iterable[tuple[Key, MetricValue]] = ()) -> None:
        self._values: dict[Key, MetricValue] = dict(values)

    def count(self, family: Family, *labels: str) -> None:
        """Add one."""
        key = (family.name, labels)
        value = self._values.get(key)
        if value is None:
            self._values[key] = MetricValue(count=1)
        else:
            value.count += 1

    def observe(self, family: Family, seconds: float, *labels: str) -> None:
        """Add a duration; one that is negative, by clocks of different machines, counts as 0."""
        seconds = max(seconds, 0.0)
        key = (family.name, labels)
        value = self._values.get(key)
        if value is None:
            value = self._values[key] = MetricValue(buckets=[0] * (len(family.bounds_s) + 1))
        value.count += 1
        value.sum_s += seconds
        value.buckets[bisect_left(family.bounds_s, seconds)] += 1

    def add(self, key: Key, value: MetricValue) -> None:
        """Add a value from elsewhere."""
        before = self._values.get(key)
        self._values[key] = value if before is None else before + value

    def merge(self, other: "MetricValues") -> None:
        """Add all values of ``other``."""
        for key, value in other.items():
            self.add(key, value)

    def items(self) -> Iterator[tuple[Key, MetricValue]]:
        """Return the values by family and labels."""
        return iter(self._values.items())

    def get(self, key: Key) -> MetricValue | None:
        """Return the value of one row; None if nothing was counted in it."""
        return self._values.get(key)

    def __len__(self) -> int:
        return len(self._values)


def grown(stored: MetricValues, new: MetricValues) -> MetricValues:
    """Return the changed rows of the cumulative metrics, with new counts added.

    When there are almost ``MOST_TOTALS`` rows, a new channel or provider is counted as ``OTHER``.
    """
    changed = MetricValues()
    number = len(stored)
    for key, value in new.items():
        place = key if stored.get(key) or changed.get(key) or number < MOST_TOTALS - _RESERVED else _as_other(key)
        before = changed.get(place) or stored.get(place)
        number += before is None
        if changed.get(place) is None and before is not None:
            changed.add(place, before)
        changed.add(place, value)
    return changed


def _as_other(key: Key) -> Key:
    name, values = key
    labels = zip(FAMILIES[name].labels, values, strict=True)
    return name, tuple(OTHER if label in ("channel", "provider") else value for label, value in labels)


def expected(providers: Iterable[tuple[str, str]], *, told: frozenset[str]) -> Iterator[Key]:
    """Return the rows that a scrape shows from the start, when nothing is counted yet.

    Args:
        providers: Every channel with each of its providers.
        told: The channels that go to other systems, and not to people.
    """
    pairs = sorted(set(providers))
    channels = sorted({channel for channel, _ in pairs})
    yield from _each(INCIDENTS, IncidentChange, Severity)
    yield from _each(ESCALATIONS, Severity, SETTLED)
    yield from _each(CRITICAL, (each for each in Severity if each is not Severity.INFO))
    yield from _each(HUMAN_S, Severity)
    for channel in channels:
        kinds = (
            {Kind.INCIDENT_EVENT: Severity} if channel in told else {Kind.PAGE: Severity, Kind.STATUS_UPDATE: (Severity.INFO,)}
        )
        for kind, severities in kinds.items():
            yield from _each(NOTIFICATIONS, (channel,), (kind,), severities, ENTERED)
        for family in () if channel in told else (ACCEPTED_S, DELIVERED_S):
            yield from _each(family, (channel,), Severity)
    for channel, provider in pairs:
        yield from _each(ATTEMPTS, (channel,), (provider,), Severity, CallOutcome)
        yield from _each(FAILURES, (channel,), (provider,), CALL_FAILURES)
        yield from _each(RECEIPTS, (channel,), (provider,), REPORTED)
        yield from _each(MESSAGES, (channel,), (provider,), MessageSize)
        for family in (DOUBTS, DUPLICATES, AWAITED, REQUEST_S):
            yield family.name, (channel, provider)


CALL_FAILURES = (
    FailureReason.REFUSED_US,
    FailureReason.THROTTLED,
    FailureReason.TEMPORARY,
    FailureReason.PERMANENT,
    FailureReason.NO_ANSWER,
)


def _each(family: Family, *values: Iterable[str]) -> Iterator[Key]:
    """Return a row for each combination of values of the labels."""
    combinations: list[tuple[str, ...]] = [()]
    for some in values:
        known = [str(each) for each in some]
        combinations = [(*before, each) for before in combinations for each in known]
    return ((family.name, each) for each in combinations)


def names_of(family: str, *, is_charted: bool = False) -> tuple[str, ...]:
    """Return the names of a family's labels, in all or in the charts."""
    return CHARTED[family] if is_charted else FAMILIES[family].labels
