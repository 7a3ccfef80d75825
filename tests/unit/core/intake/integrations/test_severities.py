"""The severity with which a route is rehearsed: the highest that its alerts can have."""

import pytest

from notifyflow.core.delivery.model import Severity
from notifyflow.core.intake.integrations.inbound import most_severe


@pytest.mark.parametrize(
    ("patterns", "severity"),
    [
        (["critical", "page"], Severity.CRITICAL),
        (["info", "warning"], Severity.WARNING),
        (["Warning"], Severity.WARNING),
        (["warn*"], Severity.WARNING),
        (["inf*", "odd"], Severity.ERROR),
        (["*"], Severity.CRITICAL),
        (["sev*"], Severity.ERROR),
        ([], Severity.ERROR),
    ],
)
def test_a_route_has_the_highest_severity_that_its_patterns_allow(patterns: list[str], severity: Severity):
    assert most_severe(patterns) is severity
