"""Operations was told only where a provider accepted a page that tells of the failure."""

from dataclasses import replace
from datetime import timedelta

from notifyflow.core.insight import told
from notifyflow.core.insight.views import IncidentStatus
from tests.statuses import AT, OPEN

MINUTE = timedelta(minutes=1)


def alerted(**fields: object) -> IncidentStatus:
    (ada, ben) = OPEN.escalations
    return replace(OPEN, escalations=(replace(ada, facts=replace(ada.facts, alerted_at=AT)), ben), **fields)  # type: ignore[arg-type]


def of_ada(status: IncidentStatus) -> str:
    return told.of_one(status, status.escalations[0].facts, brief=lambda at: f"{at:%H:%M}")


def test_it_was_told_when_the_first_page_after_the_failure_was_accepted() -> None:
    status = alerted(operations_told_at=(AT - MINUTE, AT + MINUTE, AT + 2 * MINUTE))
    assert of_ada(status) == "operations was told at 02:15"
    assert told.of_incident(status) == "operations was told"


def test_before_that_it_is_not_told_and_the_reason_is_said() -> None:
    for status in (alerted(), alerted(operations_told_at=(AT - MINUTE,))):
        assert of_ada(status) == told.of_incident(status) == "no page to operations was accepted so far"
    nobody = alerted(has_operations_recipients=False)
    assert of_ada(nobody) == told.of_incident(nobody) == "operations has no recipients (NOTIFYFLOW_OPS_RECIPIENTS)"


def test_a_page_that_was_held_up_is_told_as_well_but_in_a_chain_it_is_only_linked() -> None:
    (ada, ben) = OPEN.escalations
    held = replace(OPEN, escalations=(replace(ada, facts=replace(ada.facts, held_up_at=AT)), ben), operations_told_at=(AT,))
    assert told.of_incident(held) == "operations was told"
    chained = replace(held, facts=replace(held.facts, run_number=1))
    assert told.of_incident(chained) == "operations was not paged for it, only linked"


def test_a_failure_that_is_only_linked_tells_nobody() -> None:
    assert of_ada(OPEN) == ""
    assert told.of_incident(OPEN) == "operations was not paged for it, only linked"
