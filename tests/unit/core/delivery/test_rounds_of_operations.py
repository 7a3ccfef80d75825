"""How pages of operations are grouped: when the next round may start, and how urgent it is."""

from dataclasses import replace

import pytest

from notifyflow.core.delivery.facts import EscalationFacts
from notifyflow.core.delivery.model import EscalationState, IncidentState, Severity
from notifyflow.core.delivery.rounds import OPERATIONS_EVERY, next_of_operations_at, severity_for_operations
from tests.facts import NOW, escalation, incident, minutes

FAILURES = escalation(severity=Severity.CRITICAL, started_at=NOW - minutes(5), state=EscalationState.ACTIVE)
NOTICES = replace(FAILURES, severity=Severity.WARNING, started_at=NOW - minutes(1))
SETTLED = replace(FAILURES, state=EscalationState.REACHED, next_round_at=None)


def test_the_first_round_starts_at_once() -> None:
    assert next_of_operations_at((), is_failure=True, now=NOW) == NOW


def test_a_notice_waits_for_every_round_and_a_failure_for_rounds_of_failures() -> None:
    assert next_of_operations_at((FAILURES, NOTICES), is_failure=False, now=NOW) == NOTICES.started_at + OPERATIONS_EVERY
    assert next_of_operations_at((FAILURES, NOTICES), is_failure=True, now=NOW) == FAILURES.started_at + OPERATIONS_EVERY
    assert next_of_operations_at((NOTICES,), is_failure=True, now=NOW) == NOW


def test_what_waited_when_the_last_incident_was_resolved_keeps_its_time() -> None:
    planned_at = NOW + minutes(9)
    assert next_of_operations_at((), is_failure=True, now=NOW, planned_at=planned_at) == planned_at
    assert (
        next_of_operations_at((NOTICES,), is_failure=False, now=NOW, planned_at=planned_at)
        == NOTICES.started_at + OPERATIONS_EVERY
    )


@pytest.mark.parametrize(
    ("current", "severity"),
    [
        (FAILURES, Severity.CRITICAL),
        (replace(SETTLED, next_round_at=NOW), Severity.CRITICAL),
        (SETTLED, Severity.WARNING),
        (NOTICES, Severity.WARNING),
    ],
)
def test_a_round_of_notices_does_not_replace_one_of_failures_that_runs(current: EscalationFacts, severity: Severity) -> None:
    assert severity_for_operations(incident(), (current,), has_new_failures=False) is severity
    assert (
        severity_for_operations(incident(state=IncidentState.ACKNOWLEDGED), (current,), has_new_failures=False)
        is Severity.WARNING
    )


def test_new_failures_are_critical() -> None:
    assert severity_for_operations(incident(), (), has_new_failures=True) is Severity.CRITICAL
