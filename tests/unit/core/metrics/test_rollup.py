"""Each line of the log is counted as what it says, with the labels of its rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from notifyflow.core.delivery.facts import Transition
from notifyflow.core.delivery.machines import NOTIFICATION
from notifyflow.core.delivery.model import Ended, Kind, Severity
from notifyflow.core.metrics import families
from notifyflow.core.metrics.families import CallOutcome, FailureReason
from notifyflow.core.metrics.rollup import ENDED_CALLS, REPORTS, Call, LoggedLines, Rollup, Sent, roll_up
from tests.facts import NOW, minutes, seconds

CARRIER = ("sms", "twilio")


def line(
    event: str, source: str, target: str, *, version: int = 2, after_s: float = 3.0, machine: str = "notification"
) -> Transition:
    detail = {"attempt": "a"} if event in ENDED_CALLS or event in REPORTS else {}
    at = NOW + seconds(after_s)
    return Transition(
        machine=machine, row_id="r", version=version, event=event, source=source, target=target, at=at, detail=detail
    )


def rolled_up(
    *lines: Transition, sent: Mapping[str, Any] | None = None, call: Mapping[str, Any] | None = None, **given: Any
) -> Rollup:
    row = {"channel": "sms", "kind": Kind.PAGE, "severity": Severity.ERROR, "created_at": NOW} | dict(sent or {})
    made = {"provider": "twilio", "took_s": 0.2, "is_our_fault": False, "retry_after_s": None, "receipt_due_at": None}
    known: dict[str, Any] = {
        "lines": lines,
        "notifications": {"r": Sent(**row)},
        "calls": {"a": Call(**(made | dict(call or {})))},
        "escalations": {"r": Severity.ERROR},
        "incidents": {"r": Severity.ERROR},
        "histories": {},
    }
    return roll_up(LoggedLines(**(known | given)))


def counts(of: Rollup) -> dict[tuple[str, ...], int]:
    """What was counted, by the name without its prefix and the labels."""
    return {(name.removeprefix("notifyflow_"), *labels): value.count for (name, labels), value in of.total.items()}


def test_a_notification_is_counted_when_it_is_queued_and_in_each_later_state_but_not_when_it_is_queued_again() -> None:
    found = counts(
        rolled_up(
            line("queued", "", "QUEUED", version=1),
            line("refused", "SENDING", "QUEUED"),
            line("accepted", "SENDING", "SENT"),
            line("acknowledged", "SENT", "SENT"),
            line("permanent_failure_reported", "DELIVERED", "SENDING"),
        )
    )
    states = {key[-1]: count for key, count in found.items() if key[0] == "notifications"}
    assert states == {"QUEUED": 1, "SENT": 1}
    assert found["notifications", "sms", "page", "ERROR", "SENT"] == 1


@pytest.mark.parametrize(("event", "outcome"), ENDED_CALLS.items())
def test_the_end_of_a_call_is_counted_once(event: str, outcome: CallOutcome) -> None:
    found = counts(rolled_up(line(event, "SENDING", "QUEUED")))
    assert found["attempts", *CARRIER, "ERROR", outcome] == 1
    is_failure = outcome not in (CallOutcome.ACCEPTED, CallOutcome.NOT_SENT)
    assert sum(count for key, count in found.items() if key[0] == "failures") == is_failure
    assert found.get(("doubts", *CARRIER), 0) == (outcome is CallOutcome.IN_DOUBT)
    assert found.get(("provider_request_seconds", *CARRIER), 0) == (outcome is not CallOutcome.NOT_SENT)


def test_every_event_of_the_table_that_ends_a_call_or_reports_on_one_is_known() -> None:
    events = {event.name for event in NOTIFICATION.events}
    assert ENDED_CALLS.keys() <= events
    assert {name for name in events if name.endswith("_reported")} == REPORTS.keys()


def test_a_call_whose_end_nobody_saw_has_no_duration() -> None:
    assert ("provider_request_seconds", *CARRIER) not in counts(
        rolled_up(line("lease_expired", "SENDING", "QUEUED"), call={"took_s": None})
    )


@pytest.mark.parametrize(
    ("event", "call", "reason"),
    [
        ("refused", {}, FailureReason.TEMPORARY),
        ("refused", {"retry_after_s": 3.0}, FailureReason.THROTTLED),
        ("refused", {"is_our_fault": True, "retry_after_s": 3.0}, FailureReason.REFUSED_US),
        ("refused_for_good", {}, FailureReason.PERMANENT),
        ("doubted", {"is_our_fault": True}, FailureReason.NO_ANSWER),
        ("permanent_failure_reported", {}, FailureReason.PERMANENT),
        ("temporary_failure_reported", {}, FailureReason.TEMPORARY),
        ("permanent_failure_reported", {"is_our_fault": True}, FailureReason.REFUSED_US),
    ],
)
def test_a_failure_is_counted_by_its_reason(event: str, call: Mapping[str, Any], reason: FailureReason) -> None:
    found = counts(rolled_up(line(event, "SENT", "FAILED"), call=call))
    assert {key: count for key, count in found.items() if key[0] == "failures"} == {("failures", *CARRIER, reason): 1}


@pytest.mark.parametrize("ended", Ended)
def test_a_notification_that_is_ended_without_a_call_is_a_failure_of_no_provider(ended: Ended) -> None:
    found = counts(rolled_up(line(ended, "QUEUED", "FAILED")))
    assert found["failures", "sms", families.NO_PROVIDER, FailureReason(ended)] == 1


def test_an_acceptance_awaits_a_receipt_and_may_be_a_duplicate() -> None:
    plain = counts(rolled_up(line("accepted", "SENDING", "SENT")))
    assert not {key for key in plain if key[0] in ("receipts_awaited", "possible_duplicates")}
    found = counts(rolled_up(line("accepted", "SENDING", "SENT"), call={"receipt_due_at": NOW, "is_repeat": True}))
    assert (found["receipts_awaited", *CARRIER], found["possible_duplicates", *CARRIER]) == (1, 1)


@pytest.mark.parametrize(
    ("number", "carried"),
    [(1, "1"), (2, "2-5"), (5, "2-5"), (6, "6-20"), (20, "6-20"), (21, "21-100"), (100, "21-100"), (101, "over 100")],
)
def test_an_accepted_message_is_counted_once_by_how_many_it_carried(number: int, carried: str) -> None:
    def messages(event: str, number: int) -> dict[tuple[str, ...], int]:
        found = counts(rolled_up(line(event, "SENDING", "SENT"), call={"carried": number}))
        assert found["attempts", *CARRIER, "ERROR", ENDED_CALLS[event]] == 1
        return {key: count for key, count in found.items() if key[0] == "messages"}

    assert messages("accepted", number) == {("messages", *CARRIER, carried): 1}
    assert messages("accepted", 0) == messages("refused", number) == {}


def test_the_charts_show_calls_and_not_what_they_carried() -> None:
    def charted(number: int) -> int:
        minutes = rolled_up(line("accepted", "SENDING", "SENT"), call={"carried": number}).minutes.values()
        return sum(value.count for each in minutes for (name, _), value in each.items() if name == families.ATTEMPTS.name)

    assert (charted(1), charted(37), charted(0)) == (1, 1, 0)


@pytest.mark.parametrize(("event", "result"), REPORTS.items())
def test_a_receipt_is_counted_by_its_result(event: str, result: str) -> None:
    assert counts(rolled_up(line(event, "SENT", "SENT")))["receipts", *CARRIER, result] == 1


def test_a_page_is_timed_to_its_first_acceptance_and_its_first_delivery() -> None:
    lines = [
        line("accepted", "SENDING", "SENT", version=3, after_s=3),
        line("accepted", "SENDING", "SENT", version=5, after_s=60),
        line("delivery_reported", "SENT", "DELIVERED", version=6, after_s=70),
        line("delivery_reported", "FAILED", "DELIVERED", version=8, after_s=900),
    ]
    total = rolled_up(*lines, sent={"reached": 3, "delivered": 6}).total
    accepted, delivered = (total.get((family.name, ("sms", "ERROR"))) for family in (families.ACCEPTED_S, families.DELIVERED_S))
    assert accepted is not None
    assert delivered is not None
    assert (accepted.count, accepted.sum_s, delivered.count, delivered.sum_s) == (1, 3.0, 1, 70.0)


def test_only_pages_are_timed() -> None:
    found = counts(rolled_up(line("accepted", "SENDING", "SENT"), sent={"reached": 2, "kind": Kind.STATUS_UPDATE}))
    assert ("accepted_seconds", "sms", "ERROR") not in found


def test_an_escalation_is_counted_when_it_settles() -> None:
    found = rolled_up(
        line("recorded", "ACTIVE", "REACHED", machine="escalation"),
        line("recorded", "REACHED", "REACHED", machine="escalation"),
        line("tier_opened", "REACHED", "ACTIVE", machine="escalation"),
    )
    assert counts(found) == {("escalations", "ERROR", "REACHED"): 1}


def test_what_happens_to_an_incident_is_counted_by_severity() -> None:
    lines = history(("opened", 0), ("repeated", 1), ("resolved", 2))
    assert counts(rolled_up(*lines)) == {("incident_events", event, "ERROR"): 1 for event in ("opened", "repeated", "resolved")}


def history(*events: tuple[str, float]) -> Sequence[Transition]:
    return [
        line(event, "OPEN", "OPEN", version=version, after_s=after_s, machine="incident")
        for version, (event, after_s) in enumerate(events, 1)
    ]


@pytest.mark.parametrize(
    ("events", "waited_s"),
    [
        ([("opened", 0), ("acknowledged", 40)], 40.0),
        ([("opened", 0), ("repeated", 20), ("acknowledged", 40)], 40.0),
        ([("opened", 0), ("severity_raised", 30), ("acknowledged", 40)], 10.0),
        ([("opened", 0), ("acknowledged", 5), ("paged_again", 30), ("acknowledged", 50)], 20.0),
        ([("opened", 0), ("acknowledged", 30), ("acknowledged", 40)], None),
        ([("acknowledged", 40)], None),
    ],
)
def test_a_human_is_timed_from_the_last_time_that_the_incident_paged(
    events: Sequence[tuple[str, float]], waited_s: float | None
) -> None:
    lines = history(*events)
    found = rolled_up(lines[-1], histories={"r": lines})
    value = found.total.get((families.HUMAN_S.name, ("ERROR",)))
    assert (value.sum_s if value else None) == waited_s
    assert counts(found)["incident_events", "acknowledged", "ERROR"] == 1


def test_a_chain_that_goes_on_is_counted_with_its_incident_and_its_steps_are_not() -> None:
    due = line("step_due", "OPEN", "OPEN", machine="incident")
    found = counts(rolled_up(due, line("step_due", "WAITING", "STARTED", machine="step")))
    assert found == {("incident_events", "step_due", "ERROR"): 1}


def test_rows_that_were_deleted_are_passed_over() -> None:
    lines = (
        line("accepted", "SENDING", "SENT"),
        line("recorded", "ACTIVE", "REACHED", machine="escalation"),
        line("opened", "", "OPEN", machine="incident"),
    )
    assert counts(rolled_up(*lines, notifications={}, escalations={}, incidents={})) == {}
    assert counts(rolled_up(lines[0], calls={})) == {("notifications", "sms", "page", "ERROR", "SENT"): 1}


def test_critical_failures_are_counted_by_severity() -> None:
    assert counts(rolled_up(critical=[(Severity.CRITICAL, NOW), (Severity.CRITICAL, NOW)])) == {
        ("critical_failures", "CRITICAL"): 2
    }


def test_what_the_charts_show_is_counted_by_the_minute_under_fewer_labels() -> None:
    found = rolled_up(
        line("accepted", "SENDING", "SENT", after_s=3),
        line("refused", "SENDING", "QUEUED", version=3, after_s=65),
        sent={"reached": 2},
    )
    by_minute: dict[datetime, set[tuple[str, ...]]] = {
        at: {(name.removeprefix("notifyflow_"), *labels) for (name, labels), _ in values.items()}
        for at, values in found.minutes.items()
    }
    assert by_minute == {
        NOW: {("attempts", *CARRIER, "accepted"), ("provider_request_seconds", *CARRIER), ("accepted_seconds", "ERROR")},
        NOW + minutes(1): {("attempts", *CARRIER, "temporary_failure"), ("provider_request_seconds", *CARRIER)},
    }
