"""The diagrams show the machines as they run, and those in the docs are not stale; run as a module, it draws them anew."""

import re
import sys
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given

from notifyflow.core.delivery.machines import ESCALATION, INCIDENT, NOTIFICATION, STEP
from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Failed, Policy, Tier, Unacknowledged
from notifyflow.core.diagrams import diagram, tier_picture
from notifyflow.core.diagrams.diagram_svg import picture
from notifyflow.core.diagrams.layout import LAYOUTS, EdgeKind, StateColour, View
from notifyflow.core.state_machine import MachineTable
from tests.strategies import policies

FOLDER = Path(__file__).parents[4] / "docs" / "diagrams"
TABLES = (NOTIFICATION, ESCALATION, INCIDENT, STEP)
DRAWINGS = (*diagram.drawings(), diagram.unroll(INSISTENT))


def files() -> dict[str, str]:
    """Make the text of every file in docs/diagrams that is drawn from here."""
    texts = {f"{drawing.name}.mmd": diagram.mermaid([drawing]) for drawing in DRAWINGS}
    texts |= {f"{drawing.name}.dot": diagram.dot([drawing]) for drawing in DRAWINGS}
    texts |= {f"{table.name}_simple.svg": picture([table]) for table in TABLES}
    texts |= {f"{table.name}_simple.mmd": diagram.mermaid([diagram.draw_simple(table)]) for table in TABLES}
    texts["overview.svg"] = tier_picture.svg(tier_picture.of_policy(DEFAULT))
    return texts | {f"{table.name}.rst": diagram.rst([table]) for table in TABLES}


@pytest.mark.parametrize("name", files())
def test_a_diagram_in_the_docs_is_not_stale(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == files()[name], f"{name} is stale: run scripts/diagrams"


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda drawing: drawing.name)
def test_a_picture_in_the_docs_says_what_the_machine_does(drawing: diagram.Drawing) -> None:
    picture = (FOLDER / f"{drawing.name}.svg").read_text(encoding="utf-8")
    labels = [label for arrow in drawing.arrows for label in arrow.labels]
    written = re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    assert sorted(written) == sorted([drawing.title, *drawing.states.values(), *labels]), "run scripts/diagrams"


def test_nothing_else_is_in_the_folder() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*files(), *(f"{drawing.name}.svg" for drawing in DRAWINGS)}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_move_to_another_state_is_an_arrow_and_no_other_is(table: MachineTable) -> None:
    drawn = {(arrow.source, arrow.target, label) for arrow in diagram.draw(table).arrows for label in arrow.labels}
    moves = {(source, target, event.name) for event in table.events for source, to in event.moves.items() for target in to}
    assert {each for each in moves if each[0] != each[1]} <= drawn <= moves


def test_opening_a_tier_is_seen_as_a_loop() -> None:
    assert '    ACTIVE -->|"tier_opened"| ACTIVE\n' in diagram.mermaid([diagram.draw(ESCALATION)])


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_texts_name_every_state_and_event(table: MachineTable) -> None:
    drawing = diagram.draw(table)
    for text in (diagram.mermaid([drawing]), diagram.dot([drawing]), diagram.rst([table])):
        assert all(state in text for state in table.states)
    assert all(event.name in diagram.rst([table]) and event.meaning in diagram.rst([table]) for event in table.events)


@pytest.mark.parametrize("view", View)
def test_all_machines_are_drawn_side_by_side_by_default(view: View) -> None:
    drawn = diagram.drawings(view)
    for drawing in drawn:
        assert f'subgraph {drawing.name} ["{drawing.title}"]' in diagram.mermaid(drawn)
        assert f"subgraph cluster_{drawing.name} {{" in diagram.dot(drawn)
    assert diagram.mermaid(drawn).count("flowchart") == 1
    assert diagram.dot(drawn).count("digraph") == 1
    assert all(f"States of the {table.name} machine" in diagram.rst(view=view) for table in TABLES)


def test_the_full_view_is_the_default() -> None:
    drawn = diagram.drawings(View.FULL)
    assert (diagram.mermaid(drawn), diagram.dot(drawn)) == (diagram.mermaid(), diagram.dot())
    assert diagram.rst(view=View.FULL) == diagram.rst()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_simple_view_shows_every_state_and_only_moves_of_the_table(table: MachineTable) -> None:
    drawing, full = diagram.draw_simple(table), diagram.draw(table)
    assert drawing.states == full.states
    assert set(drawing.colours) == set(drawing.states)
    moves = {(source, target) for event in table.events for source, to in event.moves.items() for target in to}
    arrows = [(arrow.source, arrow.target) for arrow in drawing.arrows]
    assert set(arrows) <= moves
    assert len(arrows) == len(set(arrows)) < 10
    assert {state for arrow in arrows for state in arrow} == set(drawing.states)
    assert all(arrow.labels[0] in diagram.rst([table], View.SIMPLE) for arrow in drawing.arrows)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_the_usual_way_is_a_straight_line_and_no_line_is_drawn_that_no_event_makes(table: MachineTable) -> None:
    layout = LAYOUTS[table.name]
    usual = [(edge.source, edge.target) for edge in layout.edges if edge.kind is EdgeKind.USUAL]
    assert usual == [*pairwise(layout.main_path)]
    assert {*layout.main_path, *layout.sides} == set(table.states)
    moves = {(source, target) for event in table.events for source, to in event.moves.items() for target in to}
    assert {(edge.source, edge.target) for edge in layout.edges} <= moves


def test_corrections_are_dashed_and_the_usual_way_is_thick() -> None:
    drawing = diagram.draw(NOTIFICATION)
    late = {(arrow.source, arrow.target) for arrow in drawing.arrows if arrow.kind is EdgeKind.LATE}
    assert {("FAILED", "DELIVERED"), ("DELIVERED", "FAILED"), ("QUEUED", "DELIVERED")} <= late
    assert not late & {(edge.source, edge.target) for edge in LAYOUTS["notification"].edges}
    assert '    FAILED -.->|"delivery_reported"| DELIVERED\n' in diagram.mermaid([drawing])
    assert '    QUEUED ==>|"claimed"| SENDING\n' in diagram.mermaid([drawing])
    lines = {line for line in diagram.dot([drawing]).splitlines() if "style=dashed" in line}
    assert len(lines) == len(late)


def test_a_policy_is_unrolled_tier_by_tier() -> None:
    text = diagram.mermaid([diagram.unroll(INSISTENT)])
    assert 'ACTIVE_1["ACTIVE 1: email, slack, teams, push"]:::waiting' in text
    assert 'ACTIVE_1 ==>|"2 failed<br/>unacknowledged after 5 min<br/>never for INFO"| ACTIVE_2\n' in text
    assert 'ACTIVE_1 -->|"nothing pending"| REACHED\n' in text
    assert 'ACTIVE_3 ==>|"nothing pending"| REACHED\n' in text
    assert 'start_0((" ")) --> ACTIVE_1\n' in text


def test_the_simple_view_of_a_policy_says_the_same_in_every_format() -> None:
    picture = tier_picture.of_policy(INSISTENT)
    drawing, svg = tier_picture.drawing(picture), tier_picture.svg(picture)
    texts = [drawing.states["incident"], drawing.states["tier_1"], "if it fails or nobody acknowledges in 10 min"]
    for text in (*texts, "if nobody is reached", "operations is paged"):
        assert all(text in each for each in (diagram.mermaid([drawing]), diagram.dot([drawing]), svg))
    assert drawing.colours["person"] is StateColour.GOOD
    assert "shape=point" not in diagram.dot([drawing])


def test_a_shut_tier_is_drawn_as_passed_unless_nothing_behind_it_is_open() -> None:
    rules = (Failed(at_least=1),)
    tiers = (
        Tier(name="a", channels=("slack",)),
        Tier(name="b", channels=("sms",), rules=rules, shut_for=(Severity.CRITICAL, Severity.INFO)),
        Tier(name="c", channels=("voice",), rules=rules, shut_for=(Severity.INFO,)),
    )
    text = diagram.mermaid([diagram.unroll(Policy(name="ladder", tiers=tiers))])
    assert '|"1 failed<br/>passed at once for CRITICAL<br/>never for INFO"| ACTIVE_2\n' in text
    assert '|"1 failed<br/>never for INFO"| ACTIVE_3\n' in text


def test_a_span_is_written_in_minutes_or_seconds() -> None:
    tiers = (
        Tier(name="a", channels=("email",)),
        Tier(name="b", channels=("sms",), rules=(Unacknowledged(after=timedelta(seconds=90)),)),
    )
    assert '"unacknowledged after 90 s"' in diagram.mermaid([diagram.unroll(Policy(name="quick", tiers=tiers))])


def test_names_cannot_break_out_of_their_box() -> None:
    tier = Tier(name="b", channels=('say "hi"',), rules=(Failed(at_least=1),), shut_for=(Severity.INFO,))
    text = diagram.dot([diagram.unroll(replace(DEFAULT, name='my "own" one', tiers=(DEFAULT.tiers[0], tier)))])
    assert "cluster_policy_my__own__one" in text
    assert "say 'hi'" in text


@given(policies())
def test_any_policy_can_be_drawn(policy: Policy) -> None:
    drawing = diagram.unroll(policy)
    states = set(drawing.states)
    assert len([state for state in states if state.startswith("ACTIVE_")]) == len(policy.tiers)
    assert all({arrow.source, arrow.target} <= states for arrow in drawing.arrows)
    assert re.fullmatch(r"\w+", drawing.name, re.ASCII)
    simple = tier_picture.drawing(tier_picture.of_policy(policy))
    assert all({arrow.source, arrow.target} <= set(simple.states) for arrow in simple.arrows)
    assert all(diagram.dot([each]).count('"') % 2 == 0 for each in (drawing, simple))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"docs/diagrams/{name}\n")
