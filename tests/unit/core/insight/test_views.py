"""What the status of an incident says of itself."""

from dataclasses import replace

from notifyflow.core.insight.left_out import LeftOut
from tests.statuses import OPEN


def test_a_damaged_row_belongs_to_its_escalation_if_that_is_shown_and_else_to_the_incident() -> None:
    (shown, *_) = OPEN.escalations
    left_out = LeftOut(table="notification", row_id="n", column="state", owner="notification", why="ValueError")
    of_shown, of_lost = (replace(left_out, escalation_id=each) for each in (shown.facts.id, "lost"))
    damaged = replace(OPEN, damaged=(left_out, of_shown, of_lost))
    assert damaged.damaged_itself == (left_out, of_lost)
