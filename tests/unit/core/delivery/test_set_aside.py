"""Rows set aside: who is told, how they count, and what stands in for what cannot be read."""

import pytest

from notifyflow.core.delivery import set_aside
from notifyflow.core.delivery.attempts import attempt_of
from notifyflow.core.delivery.model import NotificationState, Severity
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.insight.next_events import of_row
from notifyflow.core.messages import failures
from notifyflow.core.upkeep import audit
from notifyflow.core.upkeep.audit import Rule
from notifyflow.errors import StorageError
from tests.facts import NOW, context, minutes, page

ROW = SetAside(
    machine="notification",
    row_id="n",
    incident_id="i",
    escalation_id="e",
    severity="CRITICAL",
    relation="transition",
    code="23505",
    what="what is to be written collides with what is there",
    at=NOW,
    until=NOW + minutes(5),
    times=1,
    is_paging=True,
)


@pytest.mark.parametrize(
    ("machine", "severity", "is_operations", "is_paging"),
    [
        ("notification", "CRITICAL", False, True),
        ("notification", "LOUD", False, True),
        ("notification", "ERROR", False, False),
        ("notification", "INFO", False, False),
        ("escalation", "WARNING", False, True),
        ("escalation", "INFO", False, False),
        ("incident", "LOUD", False, True),
        ("incident", "CRITICAL", True, False),
    ],
)
def test_operations_is_paged_for_what_may_keep_somebody_from_being_paged(
    machine: str, severity: str, is_operations: bool, is_paging: bool
) -> None:
    assert set_aside.is_paging(machine, severity, is_operations=is_operations) is is_paging


@pytest.mark.parametrize(("times", "state"), [(0, "QUEUED"), (1, "QUEUED"), (2, "FAILED"), (3, "FAILED")])
def test_a_page_counts_as_failed_from_the_second_time_on(times: int, state: str) -> None:
    row = page(times_aside=times)
    decided = set_aside.as_decided(row, NOW)
    assert decided.state == state
    assert row.is_set_aside is (times > 0)
    assert decided.reason == (set_aside.REASON if state == "FAILED" else "")


def test_a_page_at_rest_counts_as_what_it_is() -> None:
    row = page(state=NotificationState.SENT, times_aside=5)
    assert set_aside.as_decided(row, NOW) is row


def test_what_cannot_be_read_is_taken_for_a_page_that_waits() -> None:
    values = {"id": "n", "incident_id": "i", "escalation_id": "e", "channel": "email", "tier": 1, "times_aside": 2, "x": 1}
    row = set_aside.placeholder(values)
    assert (row.channel, row.tier, row.state, row.severity) == ("email", 1, NotificationState.QUEUED, Severity.CRITICAL)
    assert row.is_set_aside
    assert not row.is_readable
    assert set_aside.as_decided(row, NOW).state is NotificationState.FAILED


def test_the_checker_names_a_row_that_is_set_aside() -> None:
    found = audit.aside(ROW)
    assert (found.rule, found.machine, found.row_id, found.incident_id) == (Rule.SET_ASIDE, "notification", "n", "i")
    assert found.what == "is set aside: what is to be written collides with what is there (23505)"


@pytest.mark.parametrize(("severity", "who", "said"), [("ERROR", "Ada", "Ada"), ("LOUD", "", "somebody")])
def test_operations_is_told_whom_a_damaged_row_may_keep_from_being_paged(severity: str, who: str, said: str) -> None:
    failure = failures.damage(
        escalation_id="e", incident_id="i", at=NOW, severity=severity, who=who, title="db is down", key="db-1", url=None
    )
    title = failures.headline([failure], [], failures.Uncounted(failures=1, paging=1))
    known = severity if severity == "ERROR" else "CRITICAL"
    assert title == f'A damaged row is set aside, and may keep {said} from being paged about "db is down" ({known})'
    assert "`notifyflow status --broken` names the row" in failures.body([failure], [])


def test_operations_is_told_of_a_job_that_nobody_watches() -> None:
    failure = failures.unwatched("backup", NOW)
    title = failures.headline([failure], [], failures.Uncounted(failures=1, paging=1))
    assert title == 'Nobody watches the heartbeat "backup": a damaged row is set aside (CRITICAL)'
    assert failures.body([failure], []).splitlines()[:2] == [
        f"{title}.",
        "`notifyflow status --broken` names the row. No incident is opened or resolved for it until that is mended.",
    ]
    assert failures.links([failure]) == {}
    assert set_aside.is_paging("watched_job", failure.severity, is_operations=False)


def test_an_attempt_that_a_row_does_not_have_is_a_damaged_row() -> None:
    with pytest.raises(StorageError, match="notification n-email has no attempt a9"):
        attempt_of(page(), "a9")


def test_nothing_comes_of_a_row_that_is_being_sent_by_no_attempt() -> None:
    row = page(state=NotificationState.SENDING)
    assert list(of_row(context(row), row, NOW)) == []
