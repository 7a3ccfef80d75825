"""Draws the simple view of a machine as SVG, with the moves that a row has made lit; pure, and without Graphviz.

The places are fixed: the usual way from left to right, retries above it, failures and stops below. The SVG has classes and no
styles: ``STYLE`` colours it, by the variables of the page that it stands on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from xml.sax.saxutils import escape

from notifyflow.core.diagrams.layout import LAYOUTS, PALETTE, Edge, EdgeKind, Layout
from notifyflow.core.state_machine import MachineTable

STYLE = """\
.lifecycle { font: 600 13px system-ui, sans-serif; text-anchor: middle; }
.lifecycle .state { --colour: var(--ink); }
.lifecycle .waiting { --colour: var(--warning); }
.lifecycle .good { --colour: var(--good); }
.lifecycle .bad { --colour: var(--critical); }
.lifecycle .quiet { --colour: var(--soft); }
.lifecycle rect { fill: var(--sheet); stroke: var(--colour); stroke-width: 2; }
.lifecycle .state text { fill: var(--colour); }
.lifecycle .line { fill: none; stroke: var(--soft); stroke-width: 1.5; }
.lifecycle .usual .line { stroke: var(--ink); stroke-width: 2.5; }
.lifecycle .late .line { stroke-dasharray: 4 3; }
.lifecycle .tip { fill: var(--soft); }
.lifecycle .usual .tip { fill: var(--ink); }
.lifecycle .words { fill: var(--soft); font-weight: 400; font-size: 12px; text-anchor: start; }
.lifecycle .words { stroke: var(--sheet); stroke-width: 4px; stroke-linejoin: round; paint-order: stroke; }
.lifecycle .words.middle { text-anchor: middle; }
.lifecycle.lit .state:not(.passed) { --colour: var(--line); }
.lifecycle.lit .state:not(.passed) text { fill: var(--soft); font-weight: 400; }
.lifecycle.lit .move:not(.taken) .line { stroke: var(--line); stroke-width: 1.5; }
.lifecycle.lit .move:not(.taken) .tip { fill: var(--line); }
.lifecycle.lit .taken .line { stroke: var(--ink); stroke-width: 3; }
.lifecycle.lit .late.taken .line { stroke-width: 2; }
.lifecycle.lit .taken .tip { fill: var(--ink); }
.lifecycle.lit .words.taken { fill: var(--ink); }
.lifecycle .now rect { fill: var(--colour); }
.lifecycle .now text { fill: var(--sheet); }
"""
"""The rules of a style sheet; the variables are those of ``web/templates/colours.css``."""
_WIDTH, _HEIGHT, _GAP, _MARGIN = 140, 40, 100, 16
_TOP, _DROP = 64, 72
_STEP = 22
_PORT = 20
_RADIUS = 6
_TIP = 9
_HEAD = 26
_TAKEN = " taken"

Point = tuple[float, float]


def svg(table: MachineTable, taken: Sequence[tuple[str, str]] = (), *, at: str | None = None) -> str:
    """Return the simple view of a machine as an SVG element.

    Args:
        table: The machine.
        taken: The moves that a row has made, as pairs of states, in order; they are lit, and the others pale. A move that the
            simple view leaves out is drawn if it was made.
        at: The state in which the row is.
    """
    place = _Positions(LAYOUTS[table.name])
    moves = [(str(source), str(target)) for source, target in taken if source != target]
    states = [str(at)] if at and not moves else [moves[0][0], *(target for _, target in moves)] if moves else []
    text = f"{table.name.capitalize()}: {', '.join(states or table.states)}"
    classes = "lifecycle lit" if states else "lifecycle"
    edges = list(_edges(place.layout, moves))
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="{classes}" role="img" viewBox="0 0 {place.width:g} {place.height:g}"'
            f' width="{place.width:g}" height="{place.height:g}">',
            f"<title>{escape(text)}</title>",
            *chain.from_iterable(_move(place, edge, is_taken=is_taken) for edge, is_taken in edges),
            *(_words(place, edge, is_taken=is_taken) for edge, is_taken in edges if edge.words),
            *chain.from_iterable(_state(place, state, set(states), at) for state in table.states),
            "</svg>",
        )
    )


def picture(tables: Iterable[MachineTable]) -> str:
    """Return the simple views of machines as one picture that stands alone, one below the other."""
    drawn = list(tables)
    places = [_Positions(LAYOUTS[table.name]) for table in drawn]
    head = _HEAD if len(drawn) > 1 else 0
    width = max(place.width for place in places)
    height = sum(place.height + head for place in places)
    palette = " ".join(f"--{name}: {colour};" for name, colour in PALETTE.items())
    names = ", ".join(table.name for table in drawn)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}">',
        f"<title>The usual way of each {escape(names)}</title>" if head else "",
        f"<style>\nsvg {{ {palette} }}\n.head {{ font: 600 15px system-ui, sans-serif; fill: var(--ink); }}\n{STYLE}</style>",
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="{PALETTE["sheet"]}"/>',
    ]
    y = 0.0
    for table, place in zip(drawn, places, strict=True):
        lines += (
            [f'<text class="head" x="{_MARGIN}" y="{y + head - 4:g}">{escape(table.name.capitalize())}</text>'] if head else []
        )
        lines += [f'<g transform="translate(0 {y + head:g})">', svg(table), "</g>"]
        y += head + place.height
    return "\n".join([*filter(None, lines), "</svg>"]) + "\n"


@dataclass(frozen=True, slots=True)
class _Positions:
    """The positions of states and edges."""

    layout: Layout

    @property
    def width(self) -> float:
        return 2 * _MARGIN + len(self.layout.main_path) * (_WIDTH + _GAP) - _GAP

    @property
    def height(self) -> float:
        return _TOP + _HEIGHT + (_DROP + _HEIGHT if self.layout.sides else 0) + _MARGIN

    def columns(self, state: str) -> tuple[int, int]:
        """Return the first and the last column of a state."""
        main_path = self.layout.main_path
        return self.layout.sides.get(state) or (main_path.index(state), main_path.index(state))

    def box(self, state: str) -> tuple[float, float, float]:
        """Return the left edge, the top and the width of a state's box."""
        first, last = self.columns(state)
        left = _MARGIN + first * (_WIDTH + _GAP)
        top = _TOP if state in self.layout.main_path else _TOP + _HEIGHT + _DROP
        return left, top, (last - first) * (_WIDTH + _GAP) + _WIDTH

    def middle(self, column: int) -> float:
        """Return the middle of a column."""
        return _MARGIN + column * (_WIDTH + _GAP) + _WIDTH / 2

    def route(self, edge: Edge) -> list[Point]:
        """Return the corners of a move's line."""
        source, target = self.columns(edge.source)[0], self.columns(edge.target)[0]
        is_below = [state in self.layout.sides for state in (edge.source, edge.target)]
        if not any(is_below):
            return self._along(source, target)
        if all(is_below):
            return self._beside(edge)
        if is_below == [False, True]:
            return self._down(source, edge.target)
        return [*reversed(self._down(target, edge.source, shift=-_PORT / 2))]

    def _along(self, source: int, target: int) -> list[Point]:
        """Return the corners of a line between two places of the main path: straight to the next one, or above it."""
        level = _TOP + _HEIGHT / 2
        if target == source + 1:
            return [(self.middle(source) + _WIDTH / 2, level), (self.middle(target) - _WIDTH / 2, level)]
        rail = _TOP - _STEP * (1 if target <= source else 2)
        start, end = (-_PORT, _PORT) if target <= source else (-2 * _PORT, 2 * _PORT)
        if target == source:
            start, end = end, start
        left, right = self.middle(source) + start, self.middle(target) + end
        return [(left, _TOP), (left, rail), (right, rail), (right, _TOP)]

    def _beside(self, edge: Edge) -> list[Point]:
        """Return the ends of a line between two states below the main path, which stand side by side."""
        (left, top, width), (to_left, _, to_width) = self.box(edge.source), self.box(edge.target)
        level = top + _HEIGHT / 2
        return [(left, level), (to_left + to_width, level)] if to_left < left else [(left + width, level), (to_left, level)]

    def _down(self, column: int, side: str, *, shift: float = 0.0) -> list[Point]:
        """Return the corners of a line from a place of the main path to a state below it."""
        left, top, width = self.box(side)
        first, last = self.columns(side)
        start, bottom = self.middle(column) + shift, _TOP + _HEIGHT
        if first <= column <= last:
            return [(start, bottom), (start, top)]
        if column > max(end for _, end in self.layout.sides.values()):
            level = top + _HEIGHT / 2 + shift
            return [(start, bottom), (start, level), (left + width, level)]
        is_right = column < first
        start, end = start + (3 * _PORT if is_right else -3 * _PORT), left + _PORT if is_right else left + width - _PORT
        rail = bottom + _DROP / 2 + shift
        return [(start, bottom), (start, rail), (end, rail), (end, top)]


def _edges(layout: Layout, taken: Sequence[tuple[str, str]]) -> Iterator[tuple[Edge, bool]]:
    """Yield the edges to draw, and whether each move was made: the simple view's edges, then other moves that were made."""
    simple = [edge for edge in layout.edges if edge.is_simple]
    made = [layout.edge(*pair) for pair in dict.fromkeys(taken)]
    yield from ((edge, False) for edge in sorted(simple, key=lambda edge: edge.kind is EdgeKind.USUAL) if edge not in made)
    yield from ((edge, True) for edge in made)


def _move(place: _Positions, edge: Edge, *, is_taken: bool) -> Iterator[str]:
    points = place.route(edge)
    yield f'<g class="move {edge.kind}{_TAKEN * is_taken}">'
    yield f'<path class="line" d="{_rounded(points)}"/>'
    yield f'<path class="tip" d="{_tip(*points[-2:])}"/>'
    yield "</g>"


def _words(place: _Positions, edge: Edge, *, is_taken: bool) -> str:
    """Write the words of a line beside it, if it only goes down, or else above its longest horizontal part."""
    points = place.route(edge)
    (x, y), (to_x, _) = max(pairwise(points), key=lambda part: abs(part[1][0] - part[0][0]))
    if x == to_x:
        return f'<text class="words{_TAKEN * is_taken}" x="{x + 8:g}" y="{y + 22:g}">{escape(edge.words)}</text>'
    return f'<text class="words middle{_TAKEN * is_taken}" x="{(x + to_x) / 2:g}" y="{y - 6:g}">{escape(edge.words)}</text>'


def _state(place: _Positions, state: str, passed: set[str], at: str | None) -> Iterator[str]:
    left, top, width = place.box(state)
    classes = f"{' passed' if state in passed else ''}{' now' if state == at else ''}"
    yield f'<g class="state {place.layout.colours[state]}{classes}">'
    yield f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{_HEIGHT}" rx="8"/>'
    yield f'<text x="{left + width / 2:g}" y="{top + _HEIGHT / 2 + 5:g}">{escape(state)}</text>'
    yield "</g>"


def _rounded(points: Sequence[Point]) -> str:
    """Return the path through some corners, which are rounded; it ends where the tip begins."""
    ends = [*points[:-1], _short_of(points[-2], points[-1], _TIP - 2)]
    path = [f"M{ends[0][0]:g} {ends[0][1]:g}"]
    for before, corner, after in zip(ends, ends[1:], ends[2:], strict=False):
        (x, y), (to_x, to_y) = _short_of(before, corner, _RADIUS), _short_of(after, corner, _RADIUS)
        path.append(f"L{x:g} {y:g}Q{corner[0]:g} {corner[1]:g} {to_x:g} {to_y:g}")
    return " ".join([*path, f"L{ends[-1][0]:g} {ends[-1][1]:g}"])


def _short_of(start: Point, end: Point, distance: float) -> Point:
    """Return the point on a horizontal or vertical line that lies some way before its end."""
    (x, y), (to_x, to_y) = start, end
    return to_x - distance * _sign(to_x - x), to_y - distance * _sign(to_y - y)


def _tip(before: Point, end: Point) -> str:
    (x, y), (to_x, to_y) = _short_of(before, end, _TIP), end
    across = (_TIP / 2 * abs(_sign(to_y - y)), _TIP / 2 * abs(_sign(to_x - x)))
    return f"M{x - across[0]:g} {y - across[1]:g} {to_x:g} {to_y:g} {x + across[0]:g} {y + across[1]:g}z"


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)
