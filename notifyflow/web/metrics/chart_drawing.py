"""Draws durations over time for the page Health: the places of lines, dots and ticks, which a template writes as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from notifyflow.core import text
from notifyflow.core.delivery.model import Severity
from notifyflow.core.metrics.charts import DurationChart, Percentiles, Window

WIDTH, HEIGHT = 380, 170
LEFT, RIGHT, _TOP, _BOTTOM = 50, 10, 10, 22
_TICKS_S = (0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36000.0, 108000.0)
_LABELLED: Mapping[Window, int] = {Window.HOUR: 15, Window.DAY: 360, Window.MONTH: 7 * 1440}
"""How many minutes the labels of the time are apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark on an axis: its label, and its place in pixels."""

    label: str
    place: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartLine:
    """The durations of one severity: lines through neighbouring periods, and a dot for each period without a neighbour."""

    tone: str
    path: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRow:
    """The durations of one severity over the whole window, in words."""

    severity: str
    tone: str
    count: str
    p50: str
    p95: str
    p99: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart, and the table that says the same.

    Attributes:
        id: A name of its own on the page.
        meaning: The title in a sentence.
        lines: A line for each severity.
        durations: The ticks of the vertical axis, which is logarithmic.
        times: The ticks of the horizontal axis.
        rows: The table.
    """

    id: str
    title: str
    meaning: str
    lines: tuple[ChartLine, ...]
    durations: tuple[Tick, ...]
    times: tuple[Tick, ...]
    rows: tuple[ChartRow, ...]


def chart(
    id_: str, title: str, meaning: str, courses: Mapping[Severity, DurationChart], window: Window, now: datetime, zone: tzinfo
) -> Chart:
    """Return the chart of the 95th percentile by severity, with times in a zone; without durations it has no lines."""
    periods = window.periods(now)
    values = [value for course in courses.values() for value in course.p95_s if value is not None]
    ticks = _ticks(values)
    return Chart(
        id=id_,
        title=title,
        meaning=meaning,
        lines=tuple(_line(severity, course.p95_s, ticks) for severity, course in courses.items()),
        durations=tuple(Tick(label=spell(each), place=_y(each, ticks)) for each in ticks),
        times=tuple(_times(periods, window, zone)),
        rows=tuple(_row(severity, course.whole) for severity, course in courses.items()),
    )


def spell(seconds: float | None) -> str:
    """Return a duration in a few characters: ``80 ms``, ``2.5 s``, ``12 m``, ``3 h``."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    return f"{seconds / 60:.0f} m" if seconds < 3600 else f"{seconds / 3600:.1f} h".replace(".0 h", " h")


def _ticks(values: Sequence[float]) -> Sequence[float]:
    """Return the ticks around all values: from the last that is below them to the first that is above."""
    low = max((at for at, tick in enumerate(_TICKS_S[:-1]) if tick <= min(values, default=0.1)), default=0)
    high = min((at for at, tick in enumerate(_TICKS_S) if tick >= max(values, default=10.0)), default=len(_TICKS_S) - 1)
    return _TICKS_S[low : max(high, low + 1) + 1]


def _line(severity: Severity, values: Sequence[float | None], ticks: Sequence[float]) -> ChartLine:
    path, dots = [], []
    for at, value in enumerate(values):
        if value is None:
            continue
        x, y = _x(at, len(values)), _y(value, ticks)
        is_after = at > 0 and values[at - 1] is not None
        is_before = at + 1 < len(values) and values[at + 1] is not None
        path.append(f"{'L' if is_after else 'M'}{x:g} {y:g}")
        if not (is_after or is_before):
            dots.append((x, y))
    return ChartLine(tone=severity.lower(), path=" ".join(path), dots=tuple(dots))


def _times(periods: Sequence[datetime], window: Window, zone: tzinfo) -> Iterator[Tick]:
    apart = _LABELLED[window]
    for at, begun in enumerate(periods):
        here = begun.astimezone(zone)
        if window is Window.MONTH:
            is_labelled, label = at % (apart // window.minutes) == 0, f"{here.day} {text.MONTHS[here.month - 1][:3]}"
        else:
            is_labelled, label = (60 * here.hour + here.minute) % apart < window.minutes, f"{here:%H:%M}"
        if is_labelled:
            yield Tick(label=label, place=_x(at, len(periods)))


def _row(severity: Severity, whole: Percentiles) -> ChartRow:
    return ChartRow(
        severity=severity.value,
        tone=severity.lower(),
        count=f"{whole.count:,}",
        p50=spell(whole.p50_s),
        p95=spell(whole.p95_s),
        p99=spell(whole.p99_s),
    )


def _x(at: int, count: int) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT) * at / max(1, count - 1), 1)


def _y(seconds: float, ticks: Sequence[float]) -> float:
    low, high = math.log(ticks[0]), math.log(ticks[-1])
    share = (math.log(min(max(seconds, ticks[0]), ticks[-1])) - low) / (high - low)
    return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share, 1)
