"""Draws charts as SVG."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH = 720
_FONT = "font-family='system-ui, sans-serif' font-size='13'"
_COLOURS = ("#1f6feb", "#d1570b", "#2da44e", "#8250df", "#57606a")
_INK, _GRID = "#24292f", "#d8dee4"
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 150, 58, 48
_LINE_HEIGHT = 320
_BAR, _GAP, _NAMES = 22, 10, 320

Points = Sequence[tuple[float, float]]


def bars(title: str, unit: str, values: Mapping[str, float], *, ours: str) -> str:
    """Return horizontal bars, one for each name; ours has a colour of its own."""
    height = _TOP + len(values) * (_BAR + _GAP) + 10
    scale = (WIDTH - _NAMES - 125) / max(values.values())
    parts = []
    for number, (name, value) in enumerate(values.items()):
        y = _TOP + number * (_BAR + _GAP)
        colour = _COLOURS[0] if name.startswith(ours) else _COLOURS[4]
        parts += [
            _text(_NAMES - 10, y + 16, name, anchor="end"),
            f"<rect x='{_NAMES}' y='{y}' width='{value * scale:.1f}' height='{_BAR}' rx='3' fill='{colour}'/>",
            _text(_NAMES + value * scale + 8, y + 16, f"{_short(value)} {unit}"),
        ]
    return _svg(title, height, parts)


def lines(title: str, across: str, up: str, values: Mapping[str, Points], *, is_log: bool = False) -> str:
    """Return lines over a common axis; ``is_log`` makes both axes logarithmic."""
    xs = sorted({x for points in values.values() for x, _ in points})
    top = max(y for points in values.values() for _, y in points)
    ticks = _decades(values) if is_log else _round_steps(top)
    width, height = WIDTH - _LEFT - _RIGHT, _LINE_HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        share_x = _share(x, xs[0], xs[-1], is_log=is_log)
        share_y = _share(y, ticks[0], ticks[-1], is_log=is_log)
        return _LEFT + width * share_x, _TOP + height * (1 - share_y)

    parts = [_text(_LEFT + width / 2, _LINE_HEIGHT - 8, across, anchor="middle"), _text(12, _TOP - 12, up)]
    for tick in ticks:
        _, y = place(xs[0], tick)
        parts += [
            f"<line x1='{_LEFT}' y1='{y:.1f}' x2='{_LEFT + width}' y2='{y:.1f}' stroke='{_GRID}'/>",
            _text(_LEFT - 8, y + 4, _short(tick), anchor="end"),
        ]
    parts += [_text(place(x, ticks[0])[0], _TOP + height + 18, _short(x), anchor="middle") for x in xs]
    for (name, points), colour in zip(values.items(), _COLOURS, strict=False):
        placed = [place(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2.5'/>")
        parts += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='{colour}'/>" for x, y in placed]
        parts.append(_text(placed[-1][0] + 10, placed[-1][1] + 4, name, colour=colour))
    return _svg(title, _LINE_HEIGHT, parts)


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    size = f"width='{WIDTH}' height='{height:g}' viewBox='0 0 {WIDTH} {height:g}'"
    head = f"<svg xmlns='http://www.w3.org/2000/svg' {size} role='img' {_FONT}>\n<title>{escape(title)}</title>"
    back = f"<rect width='{WIDTH}' height='{height:g}' rx='6' fill='white'/>"
    name = f"<text x='12' y='20' fill='{_INK}' font-weight='600'>{escape(title)}</text>"
    return "\n".join((head, back, name, *parts, "</svg>")) + "\n"


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = _INK) -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' fill='{colour}' text-anchor='{anchor}'>{escape(text)}</text>"


def _share(value: float, low: float, high: float, *, is_log: bool) -> float:
    if is_log:
        value, low, high = math.log10(value), math.log10(low), math.log10(high)
    return (value - low) / (high - low)


def _round_steps(top: float) -> list[float]:
    """Return four to ten round numbers from 0 to the top or more."""
    size = 10 ** math.floor(math.log10(top))
    step = next(size * each for each in (0.2, 0.5, 1, 2) if top / (size * each) <= 6)
    return [step * number for number in range(math.ceil(top / step) + 1)]


def _decades(values: Mapping[str, Points]) -> list[float]:
    ys = [y for points in values.values() for _, y in points]
    return [10.0**power for power in range(math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys))) + 1)]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
