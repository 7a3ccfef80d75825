"""Writes metrics as Prometheus reads them. It is loaded with the first scrape: its library takes memory that few need."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from notifyflow.core.delivery.model import Severity
from notifyflow.core.limits.provider_health import Circuit
from notifyflow.core.metrics.families import FAMILIES, Family, Key, MetricValue
from notifyflow.core.metrics.scrape import Scrape

GAUGES = {
    "notifyflow_oldest_due_timestamp_seconds": (
        "When the oldest notification became due that is not sent yet; the time of the scrape if nothing is due.",
        (),
    ),
    "notifyflow_oldest_unacknowledged_timestamp_seconds": (
        "When the oldest incident was opened that is OPEN; the time of the scrape if there is none.",
        ("severity",),
    ),
    "notifyflow_operations_untold_timestamp_seconds": (
        "When the oldest failure happened that no accepted page to operations tells of; the time of the scrape if there is none.",
        (),
    ),
    "notifyflow_storms": ("Addresses that are in a storm: their messages wait for others, and leave together.", ("channel",)),
    "notifyflow_postponed_notifications": (
        "Notifications that wait for others in a storm, or for a call to the same number to end; 10,000 are counted at most.",
        ("channel",),
    ),
    "notifyflow_silences": ("How many silences are in force.", ()),
    "notifyflow_silenced_incidents": ("Unresolved incidents that a silence holds.", ()),
    "notifyflow_operations_recipients": ("How many recipients operations has.", ()),
    "notifyflow_calendar_read_timestamp_seconds": (
        "When the calendar of a schedule could be read last; 0 if it never could.",
        ("schedule",),
    ),
    "notifyflow_last_sweep_timestamp_seconds": ("When the last noted sweep was; 0 before the first.", ()),
    "notifyflow_counted_timestamp_seconds": ("Up to when everything is counted; 0 before the first time.", ()),
    "notifyflow_circuit": (
        "1 for the state of the circuit of a provider, 0 for the others; closed until it is first used.",
        ("channel", "provider", "state"),
    ),
    "notifyflow_unreachable_people": (
        "People on the directory's routes who have no address that a provider carries, or whose newest round did not reach them.",
        (),
    ),
    "notifyflow_oncall_gaps": ("How many times within 30 days nobody is on duty in a schedule.", ("schedule",)),
    "notifyflow_oncall_unreachable_people": (
        "People who are on duty in a schedule within 30 days and cannot be reached, if only for one severity.",
        (),
    ),
    "notifyflow_heartbeats": ("Watched jobs in each state.", ("state",)),
    "notifyflow_heartbeat_up": (
        "0 for a watched job that was missed, failed or is unknown, otherwise 1; for 1,000 jobs at most, the first by name.",
        ("heartbeat",),
    ),
    "notifyflow_heartbeat_success_timestamp_seconds": (
        "When a watched job last succeeded; 0 if it never has. For the same jobs.",
        ("heartbeat",),
    ),
    "notifyflow_replica_timestamp_seconds": (
        "When the newest sweep was that the replica has shown to this process; 0 if it has shown none. Absent without a replica.",
        (),
    ),
    "notifyflow_build_info": ("The version of notifyflow.", ("version",)),
}
"""The name of each gauge, with its meaning and its labels."""
LIST_READS = Family(
    name="notifyflow_list_reads",
    meaning="Lists that this process has read since its start, from the primary and from the replica. Absent without a replica.",
    labels=("source",),
)
"""The only metric that a process counts by itself: rows are written on the primary, which a list is to leave alone."""
MISSES = Family(
    name="notifyflow_heartbeat_misses",
    meaning="How often a watched job was missed or has failed since it was declared. For the same jobs.",
    labels=("heartbeat",),
)
"""It is read from the rows of the jobs, which count."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # a registry tells collectors apart by identity
class Exposition(Collector):
    """Shows the measured values of one scrape.

    Attributes:
        zeros: The metrics that are shown from the start, as 0.
        providers: Every channel with each of its providers.
    """

    scraped: Scrape
    zeros: Sequence[Key]
    providers: Sequence[tuple[str, str]]
    version: str

    def collect(self) -> Iterable[Metric]:
        """Yield the families of metrics."""
        return _families(self.scraped, self.zeros, self.providers, self.version)


def write(exposition: Exposition, accept: str) -> tuple[bytes, str]:
    """Return an exposition in the format that the client accepts, and the type of that."""
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exposition)
    return encode(registry), content_type


def _families(scraped: Scrape, zeros: Iterable[Key], providers: Iterable[tuple[str, str]], version: str) -> Iterator[Metric]:
    rows: dict[str, dict[tuple[str, ...], MetricValue]] = {name: {} for name in FAMILIES}
    for name, labels in zeros:
        rows[name][labels] = MetricValue()
    for (name, labels), value in scraped.totals.items():
        if name in rows and len(labels) == len(FAMILIES[name].labels):  # newer code may count more
            rows[name][labels] = value
    for family in FAMILIES.values():
        yield _histogram(family, rows[family.name]) if family.bounds_s else _counter(family, rows[family.name])
    yield from _gauges(scraped, providers, version)
    yield _counter(MISSES, {(name,): MetricValue(count=each.misses) for name, each in scraped.heartbeats.items()})
    yield _counter(LIST_READS, {(source,): MetricValue(count=count) for source, count in scraped.list_reads.items()})


def _counter(family: Family, rows: dict[tuple[str, ...], MetricValue]) -> Metric:
    metric = CounterMetricFamily(family.name, family.meaning, labels=family.labels)
    for labels, value in sorted(rows.items()):
        metric.add_metric(labels, value.count)
    return metric


def _histogram(family: Family, rows: dict[tuple[str, ...], MetricValue]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.meaning, labels=family.labels)
    bounds = [*(str(float(bound)) for bound in family.bounds_s), "+Inf"]
    for labels, value in sorted(rows.items()):
        metric.add_metric(labels, list(zip(bounds, _cumulative(value, len(bounds)), strict=True)), value.sum_s)
    return metric


def _cumulative(value: MetricValue, count: int) -> list[float]:
    sums, total = [], 0.0
    for bucket in value.buckets or (0,) * count:
        total += bucket
        sums.append(total)
    return sums


def _gauges(scraped: Scrape, providers: Iterable[tuple[str, str]], version: str) -> Iterator[Metric]:
    values: dict[str, dict[tuple[str, ...], float]] = {
        "notifyflow_oldest_due_timestamp_seconds": {(): (scraped.oldest_due_at or scraped.now).timestamp()},
        "notifyflow_oldest_unacknowledged_timestamp_seconds": {
            (Severity.CRITICAL.value,): (scraped.oldest_unacknowledged_at or scraped.now).timestamp()
        },
        "notifyflow_operations_untold_timestamp_seconds": {(): (scraped.oldest_untold_at or scraped.now).timestamp()},
        "notifyflow_storms": _by_channel(scraped.storms, providers),
        "notifyflow_postponed_notifications": _by_channel(scraped.postponed, providers),
        "notifyflow_silences": {(): scraped.silences[0]},
        "notifyflow_silenced_incidents": {(): scraped.silences[1]},
        "notifyflow_operations_recipients": {(): scraped.operations},
        "notifyflow_calendar_read_timestamp_seconds": {
            (schedule,): _seconds(at) for schedule, at in scraped.calendars_read_at.items()
        },
        "notifyflow_last_sweep_timestamp_seconds": {(): _seconds(scraped.swept_at)},
        "notifyflow_counted_timestamp_seconds": {(): _seconds(scraped.rolled_up_at)},
        "notifyflow_circuit": _circuits(scraped, providers),
        "notifyflow_unreachable_people": {(): scraped.unreachable},
        "notifyflow_oncall_gaps": {(schedule,): count for schedule, count in scraped.gaps.items()},
        "notifyflow_oncall_unreachable_people": {(): scraped.unreachable_on_duty},
        "notifyflow_heartbeats": {(state,): count for state, count in scraped.job_states.items()},
        "notifyflow_heartbeat_up": {(name,): float(each.is_well) for name, each in scraped.heartbeats.items()},
        "notifyflow_heartbeat_success_timestamp_seconds": {
            (name,): _seconds(each.succeeded_at) for name, each in scraped.heartbeats.items()
        },
        "notifyflow_replica_timestamp_seconds": {(): _seconds(scraped.replica_swept_at)} if scraped.list_reads else {},
        "notifyflow_build_info": {(version,): 1},
    }
    for name, rows in values.items():
        meaning, labels = GAUGES[name]
        metric = GaugeMetricFamily(name, meaning, labels=labels)
        for each, value in sorted(rows.items()):
            metric.add_metric(each, value)
        yield metric


def _by_channel(counts: Mapping[str, int], providers: Iterable[tuple[str, str]]) -> dict[tuple[str, ...], float]:
    return {(channel,): counts.get(channel, 0) for channel in {*(channel for channel, _ in providers), *counts}}


def _circuits(scraped: Scrape, providers: Iterable[tuple[str, str]]) -> dict[tuple[str, ...], float]:
    states = {**dict.fromkeys(providers, Circuit.CLOSED), **scraped.circuits}
    return {(*carrier, each.value): float(each is state) for carrier, state in states.items() for each in Circuit}


def _seconds(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()
