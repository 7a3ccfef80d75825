"""Metrics add up, stay few, and have only the labels that they say."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Severity
from notifyflow.core.metrics import families
from notifyflow.core.metrics.families import (
    FAMILIES,
    MOST_TOTALS,
    Family,
    Key,
    MetricValue,
    MetricValues,
    expected,
    grown,
    names_of,
)

CARRIERS = [("email", "smtp"), ("email", "ses"), ("voice", "twilio"), ("webhook", "webhook")]
DURATIONS = st.lists(st.floats(0, 200_000))


def observed(family: Family, durations: Sequence[float], *labels: str) -> MetricValues:
    values = MetricValues()
    for each in durations:
        values.observe(family, each, *labels)
    return values


def test_a_count_grows_by_one() -> None:
    values = MetricValues()
    for _ in range(3):
        values.count(families.HUMAN_S, "ERROR")
    assert values.get((families.HUMAN_S.name, ("ERROR",))) == MetricValue(count=3)
    assert values.get((families.HUMAN_S.name, ("INFO",))) is None


@given(DURATIONS)
def test_a_duration_falls_into_the_first_bucket_that_is_not_too_small(durations: list[float]) -> None:
    family = families.DELIVERED_S
    for (_, _), value in observed(family, durations, "sms", "ERROR").items():
        assert value.count == sum(value.buckets) == len(durations)
        assert value.sum_s == pytest.approx(sum(durations))
        for place, bound in enumerate(family.bounds_s):
            assert sum(value.buckets[: place + 1]) == sum(each <= bound for each in durations)


def test_a_negative_duration_is_none() -> None:
    (_, value), *_ = observed(families.HUMAN_S, [-3.0], "ERROR").items()
    assert (value.count, value.sum_s, value.buckets[0]) == (1, 0.0, 1)


def test_durations_and_counts_of_two_processes_add_up() -> None:
    key: Key = (families.HUMAN_S.name, ("ERROR",))
    merged = observed(families.HUMAN_S, [0.0], "ERROR")
    merged.merge(observed(families.HUMAN_S, [1e9], "ERROR"))
    value = merged.get(key)
    assert value is not None
    assert (value.count, value.sum_s, value.buckets[0], value.buckets[-1]) == (2, 1e9, 1, 1)
    merged.add(key, MetricValue(count=3))
    assert merged.get(key) == MetricValue(count=5, sum_s=1e9, buckets=value.buckets)


@given(DURATIONS, DURATIONS)
def test_what_was_counted_apart_adds_up(some: list[float], others: list[float]) -> None:
    key: Key = (families.HUMAN_S.name, ("ERROR",))
    merged = observed(families.HUMAN_S, some, "ERROR")
    merged.merge(observed(families.HUMAN_S, others, "ERROR"))
    whole = observed(families.HUMAN_S, [*some, *others], "ERROR").get(key) or MetricValue()
    found = merged.get(key) or MetricValue()
    assert (found.count, found.buckets) == (whole.count, whole.buckets)
    assert found.sum_s == pytest.approx(whole.sum_s)


def test_only_what_changes_is_returned_with_what_it_had() -> None:
    stored = MetricValues(
        [
            ((families.CRITICAL.name, ("ERROR",)), MetricValue(count=5)),
            ((families.CRITICAL.name, ("INFO",)), MetricValue(count=1)),
        ]
    )
    new = MetricValues()
    new.count(families.CRITICAL, "ERROR")
    new.count(families.CRITICAL, "CRITICAL")
    assert dict(grown(stored, new).items()) == {
        (families.CRITICAL.name, ("ERROR",)): MetricValue(count=6),
        (families.CRITICAL.name, ("CRITICAL",)): MetricValue(count=1),
    }


def test_there_are_never_more_rows_than_allowed_and_nothing_is_lost() -> None:
    stored = MetricValues()
    for number in range(4000):
        new = MetricValues()
        for family in (families.DOUBTS, families.AWAITED, families.DUPLICATES):
            new.count(family, f"channel {number}", f"provider {number}")
        for severity in Severity:
            new.count(families.ATTEMPTS, f"channel {number}", f"provider {number}", severity, "accepted")
        changed = dict(grown(stored, new).items())
        stored = MetricValues({**dict(stored.items()), **changed}.items())
    assert len(stored) <= MOST_TOTALS
    assert sum(value.count for _, value in stored.items()) == 4000 * 7
    assert (stored.get((families.DOUBTS.name, (families.OTHER, families.OTHER))) or MetricValue()).count > 3000


def test_what_a_scrape_shows_from_the_start_fits_in_with_every_label() -> None:
    keys = list(expected(CARRIERS, told=frozenset({"webhook"})))
    assert len(keys) == len(set(keys)) < MOST_TOTALS / 3
    assert {name for name, _ in keys} == set(FAMILIES)
    assert all(len(labels) == len(FAMILIES[name].labels) for name, labels in keys)
    kinds = {(labels[0], labels[1]) for name, labels in keys if name == families.NOTIFICATIONS.name}
    assert kinds == {(channel, kind) for channel in ("email", "voice") for kind in ("page", "status_update")} | {
        ("webhook", "incident_event")
    }
    assert not [labels for name, labels in keys if name == families.ACCEPTED_S.name and "webhook" in labels]


def test_all_labels_of_closed_lists_fit_into_what_is_reserved() -> None:
    alone = list(expected([(families.OTHER, families.OTHER)], told=frozenset()))
    assert len(alone) + len(list(expected([(families.OTHER, families.OTHER)], told=frozenset({families.OTHER})))) < 2 * 200
    assert len(alone) < 200


def test_a_label_has_its_name_in_all_and_in_the_charts() -> None:
    assert names_of(families.ATTEMPTS.name) == ("channel", "provider", "severity", "outcome")
    assert names_of(families.ATTEMPTS.name, is_charted=True) == ("channel", "provider", "outcome")
