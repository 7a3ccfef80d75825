"""How a notification went, in a line."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import AttemptState, DeferralReason, Evidence, NotificationState, Result
from notifyflow.core.insight.attempt_words import AttemptWords, look
from notifyflow.core.insight.views import Note
from tests.statuses import AT, attempt, notification


def brief(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def line(row: NotificationFacts, *notes: Note, is_reached: bool = False, others: int = 0) -> str:
    counts = {each.id: others for each in row.attempts if others}
    words = AttemptWords(
        brief=brief, explain=lambda channel, code: f"{channel} says so" if code == "7" else "", notes=notes, others=counts
    )
    return words.line(row, is_reached=is_reached)


def sent(*attempts: AttemptFacts) -> NotificationFacts:
    return notification("sms", NotificationState.SENT, *attempts)


@pytest.mark.parametrize(("number", "end"), [(1, "tried again"), (5, "given up")])
def test_a_running_attempt_says_how_long_its_worker_has(number: int, end: str) -> None:
    attempts = [attempt(each, Result.TEMPORARY_FAILURE, "busy") for each in range(1, number)]
    running = notification("sms", NotificationState.SENDING, *attempts, attempt(number, None))
    assert line(running).endswith(f"running, its worker has until 02:15:0{3 + number}, then it is {end}")
    assert line(replace(running, is_stopped=True)).endswith("then it is given up")


@pytest.mark.parametrize(
    ("result", "reason", "code", "shown"),
    [
        (None, "", "", "slack, attempt 1 of 5, running, its worker has until 02:15:04, then it is tried again"),
        (Result.ACCEPTED, "", "", "slack, accepted"),
        (Result.DELIVERED, "", "", "slack, delivered"),
        (Result.IN_DOUBT, "", "", "slack, attempt 1 of 5, in doubt"),
        (Result.IN_DOUBT, "no answer", "", "slack, attempt 1 of 5, in doubt: no answer"),
        (Result.TEMPORARY_FAILURE, "busy", "503", "slack, attempt 1 of 5, busy (503)"),
        (Result.PERMANENT_FAILURE, "", "404", "slack, attempt 1 of 5, 404"),
        (Result.PERMANENT_FAILURE, "", "7", "slack, attempt 1 of 5, sms says so (7)"),
        (Result.PERMANENT_FAILURE, "", "", "slack, attempt 1 of 5, failed for good"),
    ],
)
def test_a_result_is_described_in_few_words(result: Result | None, reason: str, code: str, shown: str) -> None:
    assert line(sent(attempt(1, result, reason, code))) == shown


def test_a_second_attempt_says_that_it_follows_a_doubt() -> None:
    row = sent(attempt(1, Result.IN_DOUBT), attempt(2, Result.ACCEPTED))
    assert line(row) == "slack, attempt 2 of 5, tried again after a doubt, accepted"


@pytest.mark.parametrize(
    ("deferred_by", "shown"),
    [
        (None, "next attempt at 02:15:03"),
        (DeferralReason.PAUSE, "paused until 02:15:03"),
        (DeferralReason.CIRCUIT, "deferred by an open circuit until 02:15:03"),
        (DeferralReason.SILENCE, "deferred by a silence until 02:15:03 at the latest"),
    ],
)
def test_what_is_queued_says_what_it_waits_for(deferred_by: DeferralReason | None, shown: str) -> None:
    failed = attempt(1, Result.TEMPORARY_FAILURE, "busy")
    waiting = replace(notification("slack", NotificationState.QUEUED, failed), due_at=AT + timedelta(minutes=1))
    assert line(replace(waiting, deferred_by=deferred_by)) == f"slack, attempt 1 of 5, busy, {shown}"


@pytest.mark.parametrize(
    ("channel", "result", "is_named", "others", "shown"),
    [
        ("sms", Result.ACCEPTED, True, 36, "accepted, told in one text with 36 others"),
        ("sms", Result.ACCEPTED, False, 36, "accepted, counted in one text with 36 others"),
        ("sms", Result.DELIVERED, False, 1, "delivered, counted in one text with 1 other"),
        ("email", Result.ACCEPTED, True, 0, "accepted, told in one mail with others"),
        ("sms", Result.PERMANENT_FAILURE, True, 2, "attempt 1 of 5, no such number, in one text with 2 others"),
        ("voice", Result.ACCEPTED, True, 2, "accepted, in one call with 2 others"),
        ("voice", Result.DELIVERED, True, 2, "delivered, told in one call with 2 others"),
    ],
)
def test_a_message_about_several_says_whether_it_named_this_one(
    channel: str, result: Result, is_named: bool, others: int, shown: str
) -> None:
    reason = "no such number" if result is Result.PERMANENT_FAILURE else ""
    carried = replace(attempt(1, result, reason), sent_with="a0", position=7, is_named=is_named)
    assert line(notification(channel, NotificationState.SENT, carried), others=others) == f"slack, {shown}"


def test_what_waits_for_others_or_for_a_call_says_until_when_and_is_not_deferred() -> None:
    waiting = replace(notification("sms", NotificationState.QUEUED), due_at=AT, waits_until=AT)
    assert line(waiting) == "waits for others until 02:14:03 at the latest"
    assert line(replace(waiting, channel="voice")) == "waits for the next call until 02:14:03 at the latest"


def test_without_an_attempt_it_says_why_or_when_it_is_due() -> None:
    queued = replace(notification("slack", NotificationState.QUEUED), due_at=AT)
    assert line(queued) == "due at 02:14:03"
    assert line(notification("slack", NotificationState.CANCELLED)) == "was not sent"
    assert line(replace(notification("slack", NotificationState.FAILED), reason="a cap was reached")) == "a cap was reached"


def test_a_receipt_that_is_waited_for_no_more_is_missing() -> None:
    silent = sent(replace(attempt(1, Result.ACCEPTED), receipt_due_at=AT))
    assert line(silent) == "slack, accepted, waiting for a receipt"
    assert line(silent, is_reached=True) == "slack, accepted, unconfirmed"


@pytest.mark.parametrize(
    ("result", "evidence", "shown"),
    [
        (Result.ACCEPTED, Evidence.ACCEPTED, "accepted by the provider"),
        (Result.ACCEPTED, Evidence.CARRIER, "confirmed by the carrier"),
        (Result.DELIVERED, Evidence.DEVICE, "confirmed by the device"),
        (Result.DELIVERED, Evidence.HUMAN, "confirmed by a person"),
    ],
)
def test_who_vouches_for_it_is_shown(result: Result, evidence: Evidence, shown: str) -> None:
    assert line(sent(replace(attempt(1, result), evidence=evidence))) == f"slack, {shown}"


def test_what_a_provider_noted_of_it_is_said_once() -> None:
    note = Note(attempt_id="a1", code="Complaint", reason="the recipient called it spam", received_at=AT)
    row = sent(attempt(1, Result.ACCEPTED))
    assert line(row, note, note, replace(note, attempt_id="a9")) == (
        "slack, accepted, noted: the recipient called it spam (Complaint)"
    )


def test_a_message_of_several_whose_content_was_refused_is_no_attempt_of_the_policy() -> None:
    refused = replace(attempt(1, Result.TEMPORARY_FAILURE, "spam", "30007"), sent_with="a1", position=0, half="a1")
    queued = replace(notification("sms", NotificationState.QUEUED, refused), due_at=AT + timedelta(seconds=3))
    assert line(queued, others=3) == "slack, spam (30007), in one text with 3 others, next attempt at 02:14:06"
    words = AttemptWords(brief=brief, explain=lambda channel, code: "")
    remark = "its message was refused for its content, with others, which uses up no attempt"
    assert remark in words.attempt(queued, refused).details
    assert remark not in words.attempt(queued, replace(refused, result=Result.DELIVERED)).details
    assert line(sent(refused, attempt(2, Result.ACCEPTED))) == "slack, accepted"
    assert "attempt 1 of 5" in line(sent(refused, attempt(2, Result.TEMPORARY_FAILURE)))


def test_the_look_is_that_of_the_result_or_of_the_state_without_one() -> None:
    released = replace(attempt(1, None), state=AttemptState.NOT_SENT)
    assert [look(each).word for each in (attempt(1, None), released, attempt(1, Result.DELIVERED))] == [
        "running",
        "not sent",
        "delivered",
    ]
