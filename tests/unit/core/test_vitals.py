"""Quantiles of spans, against counting."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.vitals import quantile


@given(st.lists(st.timedeltas(timedelta(), timedelta(hours=1)), min_size=1, max_size=30), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_a_span_that_its_share_does_not_exceed(spans: list[timedelta], share: float) -> None:
    found = quantile(sorted(spans), share)
    assert found in spans
    assert sum(each <= found for each in spans) >= share * len(spans)
