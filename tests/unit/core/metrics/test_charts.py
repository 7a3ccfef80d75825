"""The charts show the percentiles of each period and of the whole window."""

from datetime import UTC, datetime, timedelta
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Severity
from notifyflow.core.metrics import families
from notifyflow.core.metrics.charts import SPANS, Window, beginning, charts, percentiles
from notifyflow.core.metrics.families import CallOutcome, MetricValue, MetricValues
from tests.facts import NOW, minutes


@pytest.mark.parametrize("window", Window)
def test_a_window_ends_with_the_present_period(window: Window) -> None:
    now = NOW + minutes(7)
    periods = window.periods(now)
    assert window.minutes in SPANS
    assert periods[-1] <= now < periods[-1] + minutes(window.minutes)
    assert periods[-1] - periods[0] == window.value[0] - minutes(window.minutes)
    assert len(periods) <= 120


@given(st.timedeltas(timedelta(0), timedelta(days=30_000)), st.sampled_from(SPANS))
def test_a_period_begins_on_a_multiple_of_its_length(since: timedelta, span: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + since
    begun = beginning(at, span)
    assert timedelta(0) <= at - begun < minutes(span)
    assert (begun - datetime(1970, 1, 1, tzinfo=UTC)) % minutes(span) == timedelta(0)


@given(st.lists(st.floats(0.001, 100_000), min_size=1))
def test_a_percentile_lies_in_the_bucket_of_the_duration_that_it_stands_for(durations: list[float]) -> None:
    values = MetricValues()
    for each in durations:
        values.observe(families.HUMAN_S, each, "ERROR")
    found = percentiles(families.HUMAN_S, values.get((families.HUMAN_S.name, ("ERROR",))) or MetricValue())
    bounds = (0.0, *families.HUMAN_S.bounds_s, 200_000.0)
    for share, percentile in ((0.5, found.p50_s), (0.95, found.p95_s), (0.99, found.p99_s)):
        actual = sorted(durations)[ceil(len(durations) * share) - 1]
        lower = max(each for each in bounds if each < actual)
        upper = min(each for each in bounds if each >= actual)
        assert percentile is not None
        assert lower <= percentile <= upper


def test_what_is_above_the_last_bound_is_said_to_be_there() -> None:
    values = MetricValues()
    values.observe(families.REQUEST_S, 500.0, "sms", "twilio")
    assert percentiles(families.REQUEST_S, values.get((families.REQUEST_S.name, ("sms", "twilio"))) or MetricValue()).p50_s == 30


def test_a_chart_without_anything_is_empty() -> None:
    found = charts(Window.DAY, {}, {}, rolled_up_at=None, now=NOW)
    assert (found.accepted, found.delivered, found.human, found.providers, found.rolled_up_at) == ({}, {}, {}, (), None)


def test_durations_are_shown_by_severity_for_each_period_and_in_all() -> None:
    early, late = MetricValues(), MetricValues()
    early.observe(families.ACCEPTED_S, 0.2, "CRITICAL")
    late.observe(families.ACCEPTED_S, 50.0, "CRITICAL")
    last = beginning(NOW, 15)
    found = charts(Window.DAY, {last - minutes(15): early, last: late}, {}, rolled_up_at=NOW, now=NOW)
    course = found.accepted[Severity.CRITICAL]
    assert list(found.accepted) == [Severity.CRITICAL]
    assert course.whole.count == 2
    assert course.whole.p99_s is not None
    assert 30 <= course.whole.p99_s <= 60
    assert len(course.p95_s) == len(Window.DAY.periods(NOW))
    assert set(course.p95_s[:-2]) == {None}
    assert course.p95_s[-2:] == (pytest.approx(0.1 + 0.95 * 0.15), pytest.approx(30 + 0.95 * 30))


def test_the_calls_to_a_provider_are_shown_with_their_share_of_success() -> None:
    values = MetricValues()
    values.observe(families.REQUEST_S, 0.3, "sms", "twilio")
    calls = {("sms", "twilio", "accepted"): 3, ("sms", "twilio", "in_doubt"): 1, ("sms", "twilio", "not_sent"): 1}
    calls["email", "smtp", "not_sent"] = 1
    email, sms = charts(Window.HOUR, {beginning(NOW, 1): values}, calls, rolled_up_at=NOW, now=NOW).providers
    assert (email.channel, email.provider, email.made, email.success) == ("email", "smtp", 0, None)
    assert sms.outcomes == {CallOutcome.ACCEPTED: 3, CallOutcome.IN_DOUBT: 1, CallOutcome.NOT_SENT: 1}
    assert (sms.made, sms.success) == (4, 0.75)
    assert sms.took.count == 1
