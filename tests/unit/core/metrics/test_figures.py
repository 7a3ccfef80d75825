"""Figures add up, stay few, and have only the labels that they say."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Severity
from notifyflow.core.metrics import figures
from notifyflow.core.metrics.figures import FAMILIES, MOST_SERIES, Family, Key, Tallies, Tally, expected, grown, names_of

CARRIERS = [("email", "smtp"), ("email", "ses"), ("voice", "twilio"), ("webhook", "webhook")]
DURATIONS = st.lists(st.floats(0, 200_000))


def observed(family: Family, durations: Sequence[float], *labels: str) -> Tallies:
    tallies = Tallies()
    for each in durations:
        tallies.observe(family, each, *labels)
    return tallies


def test_a_count_grows_by_one() -> None:
    tallies = Tallies()
    for _ in range(3):
        tallies.count(figures.HUMAN_S, "ERROR")
    assert tallies.get((figures.HUMAN_S.name, ("ERROR",))) == Tally(count=3)
    assert tallies.get((figures.HUMAN_S.name, ("INFO",))) is None


@given(DURATIONS)
def test_a_duration_falls_into_the_first_bucket_that_is_not_too_small(durations: list[float]) -> None:
    family = figures.DELIVERED_S
    for (_, _), tally in observed(family, durations, "sms", "ERROR").items():
        assert tally.count == sum(tally.buckets) == len(durations)
        assert tally.sum_s == pytest.approx(sum(durations))
        for place, bound in enumerate(family.bounds_s):
            assert sum(tally.buckets[: place + 1]) == sum(each <= bound for each in durations)


def test_a_negative_duration_is_none() -> None:
    (_, tally), *_ = observed(figures.HUMAN_S, [-3.0], "ERROR").items()
    assert (tally.count, tally.sum_s, tally.buckets[0]) == (1, 0.0, 1)


def test_durations_and_counts_of_two_processes_add_up() -> None:
    key: Key = (figures.HUMAN_S.name, ("ERROR",))
    merged = observed(figures.HUMAN_S, [0.0], "ERROR")
    merged.merge(observed(figures.HUMAN_S, [1e9], "ERROR"))
    tally = merged.get(key)
    assert tally is not None
    assert (tally.count, tally.sum_s, tally.buckets[0], tally.buckets[-1]) == (2, 1e9, 1, 1)
    merged.add(key, Tally(count=3))
    assert merged.get(key) == Tally(count=5, sum_s=1e9, buckets=tally.buckets)


@given(DURATIONS, DURATIONS)
def test_what_was_counted_apart_adds_up(some: list[float], others: list[float]) -> None:
    key: Key = (figures.HUMAN_S.name, ("ERROR",))
    merged = observed(figures.HUMAN_S, some, "ERROR")
    merged.merge(observed(figures.HUMAN_S, others, "ERROR"))
    whole = observed(figures.HUMAN_S, [*some, *others], "ERROR").get(key) or Tally()
    found = merged.get(key) or Tally()
    assert (found.count, found.buckets) == (whole.count, whole.buckets)
    assert found.sum_s == pytest.approx(whole.sum_s)


def test_only_what_changes_is_returned_with_what_it_had() -> None:
    stored = Tallies(
        [((figures.CRITICAL.name, ("ERROR",)), Tally(count=5)), ((figures.CRITICAL.name, ("INFO",)), Tally(count=1))]
    )
    new = Tallies()
    new.count(figures.CRITICAL, "ERROR")
    new.count(figures.CRITICAL, "CRITICAL")
    assert dict(grown(stored, new).items()) == {
        (figures.CRITICAL.name, ("ERROR",)): Tally(count=6),
        (figures.CRITICAL.name, ("CRITICAL",)): Tally(count=1),
    }


def test_there_are_never_more_rows_than_allowed_and_nothing_is_lost() -> None:
    stored = Tallies()
    for number in range(4000):
        new = Tallies()
        for family in (figures.DOUBTS, figures.AWAITED, figures.DUPLICATES):
            new.count(family, f"channel {number}", f"provider {number}")
        for severity in Severity:
            new.count(figures.ATTEMPTS, f"channel {number}", f"provider {number}", severity, "accepted")
        changed = dict(grown(stored, new).items())
        stored = Tallies({**dict(stored.items()), **changed}.items())
    assert len(stored) <= MOST_SERIES
    assert sum(tally.count for _, tally in stored.items()) == 4000 * 7
    assert (stored.get((figures.DOUBTS.name, (figures.OTHER, figures.OTHER))) or Tally()).count > 3000


def test_what_a_scrape_shows_from_the_start_fits_in_with_every_label() -> None:
    keys = list(expected(CARRIERS, told=frozenset({"webhook"})))
    assert len(keys) == len(set(keys)) < MOST_SERIES / 3
    assert {name for name, _ in keys} == set(FAMILIES)
    assert all(len(labels) == len(FAMILIES[name].labels) for name, labels in keys)
    kinds = {(labels[0], labels[1]) for name, labels in keys if name == figures.NOTIFICATIONS.name}
    assert kinds == {(channel, kind) for channel in ("email", "voice") for kind in ("page", "status_update")} | {
        ("webhook", "incident_event")
    }
    assert not [labels for name, labels in keys if name == figures.ACCEPTED_S.name and "webhook" in labels]


def test_all_labels_of_closed_lists_fit_into_what_is_reserved() -> None:
    alone = list(expected([(figures.OTHER, figures.OTHER)], told=frozenset()))
    assert len(alone) + len(list(expected([(figures.OTHER, figures.OTHER)], told=frozenset({figures.OTHER})))) < 2 * 200
    assert len(alone) < 200


def test_a_label_has_its_name_in_all_and_in_the_charts() -> None:
    assert names_of(figures.ATTEMPTS.name) == ("channel", "provider", "severity", "outcome")
    assert names_of(figures.ATTEMPTS.name, is_charted=True) == ("channel", "provider", "outcome")
