"""Charts: every line lies within its frame, longer is higher, and a gap is no line."""

import re
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Severity
from notifyflow.core.metrics.charts import DurationChart, Percentiles, Window
from notifyflow.web.metrics.chart_drawing import HEIGHT, LEFT, WIDTH, chart, spell
from tests.facts import NOW

NONE = Percentiles(count=0, p50_s=None, p95_s=None, p99_s=None)


def course(values: list[float | None], window: Window) -> DurationChart:
    return DurationChart(whole=NONE, p95_s=tuple(value for _, value in zip(window.periods(NOW), values, strict=False)))


@given(
    st.sampled_from(Window),
    st.lists(st.none() | st.floats(0, 200_000, allow_nan=False), min_size=2, max_size=60),
    st.sets(st.sampled_from(Severity)),
)
def test_every_line_lies_within_the_frame_and_longer_is_higher(
    window: Window, values: list[float | None], severities: set[Severity]
) -> None:
    drawn = chart("c", "C", "Means", {each: course(values, window) for each in severities}, window, NOW, UTC)
    assert len(drawn.lines) == len(drawn.rows) == len(severities)
    for line in drawn.lines:
        known = [value for value in values if value is not None]
        points = [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", line.path)]
        assert len(points) == len(known)
        assert all(LEFT <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
        heights = [y for _, (_, y) in sorted(zip(known, points, strict=True))]
        assert heights == sorted(heights, reverse=True) or len(set(known)) < len(known)
        places = {place for place, value in enumerate(values) if value is not None}
        assert line.path.count("M") == sum(place - 1 not in places for place in places)
        assert len(line.dots) == sum(places.isdisjoint({place - 1, place + 1}) for place in places)
        assert set(line.dots) <= set(points)
    assert [tick.place for tick in drawn.durations] == sorted((tick.place for tick in drawn.durations), reverse=True)
    assert len(drawn.durations) >= 2
    assert all(LEFT <= tick.place <= WIDTH for tick in drawn.times)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
@pytest.mark.parametrize("window", Window)
def test_the_time_has_some_labels_and_not_too_many(window: Window, zone: str) -> None:
    drawn = chart("c", "C", "Means", {}, window, NOW + timedelta(hours=9), ZoneInfo(zone))
    assert 3 <= len(drawn.times) <= 6
    assert drawn.lines == drawn.rows == ()


@pytest.mark.parametrize(
    ("seconds", "spelt"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.08, "80 ms"),
        (1, "1 s"),
        (2.46, "2.5 s"),
        (60, "1 m"),
        (720, "12 m"),
        (10_800, "3 h"),
        (9_000, "2.5 h"),
    ],
)
def test_a_duration_is_short(seconds: float | None, spelt: str) -> None:
    assert spell(seconds) == spelt
