"""The simple view as SVG: every state, the moves that were made lit, and nothing that a strict page forbids."""

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.machines import NOTIFICATION
from notifyflow.core.diagrams.diagram import TABLES
from notifyflow.core.diagrams.diagram_svg import STYLE, picture, svg
from notifyflow.core.diagrams.layout import LAYOUTS, PALETTE
from notifyflow.core.state_machine import MachineTable

PAGE = Path(__file__).parents[4] / "notifyflow" / "web" / "templates" / "colours.css"
LATE = [("QUEUED", "SENDING"), ("SENDING", "FAILED"), ("FAILED", "DELIVERED"), ("DELIVERED", "FAILED")]


def classed(drawn: str, *classes: str) -> list[ElementTree.Element]:
    """Return the elements with all these classes."""
    return [each for each in ElementTree.fromstring(drawn).iter() if {*classes} <= {*each.get("class", "").split()}]


def words(element: ElementTree.Element) -> str:
    """Return the text of an element."""
    return "".join(element.itertext()).strip()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_it_shows_every_state_in_its_colour_and_every_word(table: MachineTable) -> None:
    drawn, layout = svg(table), LAYOUTS[table.name]
    assert {words(each): each.get("class") for each in classed(drawn, "state")} == {
        str(state): f"state {colour}" for state, colour in layout.colours.items()
    }
    simple = [line for line in layout.edges if line.is_simple]
    assert sorted(words(each) for each in classed(drawn, "words")) == sorted(line.words for line in simple)
    assert len(classed(drawn, "move")) == len(simple)
    assert not classed(drawn, "lit")


def test_the_moves_that_were_made_are_lit_and_their_states_with_them() -> None:
    drawn = svg(NOTIFICATION, [("QUEUED", "SENDING"), ("SENDING", "SENT"), ("SENT", "SENT")], at="SENT")
    assert len(classed(drawn, "move", "taken")) == 2
    assert [words(each) for each in classed(drawn, "state", "passed")] == ["QUEUED", "SENDING", "SENT"]
    assert [words(each) for each in classed(drawn, "now")] == ["SENT"]
    assert "<title>Notification: QUEUED, SENDING, SENT</title>" in drawn


def test_a_row_that_has_not_moved_is_lit_where_it_is() -> None:
    drawn = svg(NOTIFICATION, at="QUEUED")
    assert [words(each) for each in classed(drawn, "passed", "now")] == ["QUEUED"]
    assert classed(drawn, "lit")
    assert not classed(drawn, "taken")


def test_a_correction_is_drawn_only_if_it_was_made() -> None:
    assert not classed(svg(NOTIFICATION), "late")
    drawn = svg(NOTIFICATION, LATE, at="FAILED")
    assert len(classed(drawn, "move", "late", "taken")) == 2
    assert len(classed(drawn, "move", "taken")) == 4


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_any_move_of_a_machine_can_be_lit_and_ends_at_its_states(table: MachineTable) -> None:
    for source, target in {(a, b) for event in table.events for a, to in event.moves.items() for b in to if a != b}:
        (move,) = classed(svg(table, [(source, target)]), "move", "taken")
        tip = move.find("{*}path[@class='tip']")
        assert tip is not None
        corners = [float(each) for each in re.findall(r"-?[\d.]+", tip.get("d", ""))]
        (box,) = [each.find("{*}rect") for each in classed(svg(table), "state") if words(each) == target]
        assert box is not None
        left, top, width, height = (float(box.get(name, "")) for name in ("x", "y", "width", "height"))
        assert left <= corners[2] <= left + width
        assert top <= corners[3] <= top + height


@given(st.lists(st.sampled_from(sorted(NOTIFICATION.states)), max_size=8))
def test_any_way_is_drawn_within_the_picture_and_without_styles(way: list[str]) -> None:
    drawn = svg(NOTIFICATION, [*pairwise(way)], at=way[-1] if way else None)
    root = ElementTree.fromstring(drawn)
    assert not re.search(r"style|script|\bon\w+=|\bid=|url\(", drawn)
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        x, y = ([*map(float, numbers)] for numbers in zip(*re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.get("d", "")), strict=True))
        assert 0 <= min(x) <= max(x) <= float(root.get("width", ""))
        assert 0 <= min(y) <= max(y) <= float(root.get("height", ""))


def test_a_picture_that_stands_alone_has_the_colours_of_the_pages() -> None:
    page = dict(re.findall(r"--(\w+): (#\w+);", PAGE.read_text(encoding="utf-8").partition("@media")[0]))
    assert {name: page[name] for name in PALETTE} == PALETTE
    assert all(f"--{name}: {colour};" in picture(TABLES) for name, colour in PALETTE.items())
    assert set(re.findall(r"var\(--(\w+)\)", STYLE)) <= {*PALETTE, "colour"}


def test_several_machines_stand_one_below_the_other() -> None:
    together = picture(TABLES)
    assert [words(each) for each in classed(together, "head")] == ["Notification", "Escalation", "Incident", "Step"]
    assert not classed(picture(TABLES[:1]), "head")
    height = float(ElementTree.fromstring(together).get("height", ""))
    assert height > sum(float(ElementTree.fromstring(svg(table)).get("height", "")) for table in TABLES)
