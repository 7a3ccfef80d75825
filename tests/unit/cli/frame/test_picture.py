import io
import re
from dataclasses import replace
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from notifyflow.cli.frame.picture import picture
from notifyflow.core.delivery.facts import Transition
from notifyflow.core.delivery.model import (
    AttemptState,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
)
from notifyflow.core.insight.chain_steps import NextStep
from notifyflow.core.insight.next_events import NextEvent, NextEventKind, NextEventPremise, NextEvents, Wait
from notifyflow.core.insight.report_document import NextEventDocument
from notifyflow.core.insight.views import IncidentStatus, Note
from notifyflow.core.messages.looks import ESCALATIONS
from tests.chains import chain
from tests.statuses import ACKNOWLEDGED, AT, EVENT, INCIDENT, OPEN, RESOLVED, attempt, escalation, notification

BERLIN = ZoneInfo("Europe/Berlin")


def drawn(
    status: IncidentStatus,
    *,
    zone: tzinfo = BERLIN,
    has_attempts: bool = False,
    next_events: NextEvents | None = None,
    width: int = 180,
) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(picture(status, zone=zone, now=AT, has_attempts=has_attempts, next_events=next_events))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_incident_shows_every_recipient_channel_and_why():
    text = drawn(OPEN)
    for shown in (
        "CRITICAL",
        "orders db is down",
        "OPEN",
        "db-1",
        "Ada",
        "reached",
        "mail",
        "SENT",
        "Ben",
        "being paged · tier primary",
    ):
        assert shown in text
    assert "slack, attempt 1 of 5, no such channel (404)" in text


@pytest.mark.parametrize("width", [40, 60, 80, 120, 10_000])
def test_at_any_width_reasons_and_titles_are_whole(width: int) -> None:
    reason = "the mailbox does not exist, or it refuses mail from us since it is full"
    row = notification("email", NotificationState.FAILED, attempt(1, Result.PERMANENT_FAILURE, reason, "5.1.1"))
    title = "The orders database has lost its primary, and every write to it has failed since this morning"
    status = replace(OPEN, content=replace(INCIDENT, title=title), escalations=(escalation("ada", row),))
    text = drawn(status, width=width, has_attempts=True)
    assert max(map(len, text.splitlines())) <= width
    said = " ".join(line.strip("│ ") for line in text.splitlines())
    said = " ".join(said.split())
    assert title in said
    assert "CRITICAL" in said
    assert "OPEN" in said
    assert f"slack, attempt 1 of 5, {reason} (5.1.1)" in said
    assert ("╭" in text) is (64 < width < 10_000)


NEXT = NextEvents(
    now=AT,
    escalations={
        "e-ben": (
            NextEvent(
                what=NextEventKind.ATTEMPT,
                at=AT + timedelta(seconds=9),
                channels=("slack",),
                attempt=2,
                wait=Wait.CIRCUIT,
                provider="slack",
            ),
            NextEvent(
                what=NextEventKind.TIER,
                at=AT + timedelta(minutes=5),
                channels=("sms",),
                tier=2,
                premise=NextEventPremise.NOBODY_ACKNOWLEDGES,
            ),
        )
    },
)


def test_what_comes_next_is_shown_for_each_recipient():
    shown = drawn(OPEN, next_events=NEXT)
    assert "next: Slack message in 9 s (attempt 2: deferred by an open circuit)" in shown
    assert "text at 03:19:03 unless somebody acknowledges" in shown
    assert "next: nothing more: a page was sent" in shown
    assert "next:" not in drawn(OPEN)


def test_what_comes_next_is_one_document_an_event():
    first, second = NextEventDocument.all_of(OPEN, NEXT)
    assert (first.recipient, first.round, first.wait, first.text) == (
        "ben",
        1,
        Wait.CIRCUIT,
        "Slack message in 9 s (attempt 2: deferred by an open circuit)",
    )
    assert (second.tier, second.text) == (2, "text at 2026-11-25 02:19:03 UTC unless somebody acknowledges")


def line(machine: str, row_id: str, event: str, **detail: str) -> Transition:
    return Transition(machine=machine, row_id=row_id, version=2, event=event, source="", target="", at=AT, detail=detail)


def test_who_acknowledged_and_resolved_it_and_how_is_shown():
    assert "acknowledged by Ada with the link at 03:14:03" in drawn(ACKNOWLEDGED)
    assert "resolved by Ben at 03:14:03" in drawn(RESOLVED)
    ended = line("incident", RESOLVED.facts.id, "resolved", by="ben", via="cli")
    assert "resolved by Ben on the command line at" in drawn(replace(RESOLVED, transitions=(ended,)))


def test_what_is_quarantined_says_how_that_ends():
    assert "quarantined: nothing is sent until `notifyflow db adopt` releases or resolves it" in drawn(
        replace(OPEN, is_quarantined=True)
    )


def test_only_who_acknowledged_it_is_said_to_have_done_so():
    ada, ben = (escalation(who, state=EscalationState.ACKNOWLEDGED) for who in ("ada", "ben"))
    lines = tuple(line("escalation", each.facts.id, "acknowledged", by="ada", via="sms") for each in (ada, ben))
    text = drawn(replace(OPEN, escalations=(ada, ben), transitions=lines))
    assert text.count("next: nothing more: Ada acknowledged it by text at 03:14:03") == 2


def test_the_date_is_shown_once_with_its_zone_and_utc_and_again_where_it_is_another():
    text = drawn(ACKNOWLEDGED)
    assert "opened Wed 25 Nov 03:14:03 CET (02:14:03 UTC)" in text
    assert text.count("Wed 25 Nov") == 1
    late = replace(ACKNOWLEDGED, facts=replace(ACKNOWLEDGED.facts, acknowledged_at=AT + timedelta(days=1)))
    assert "acknowledged by Ada with the link at Thu 26 Nov 03:14:03" in drawn(late)
    assert "opened Wed 25 Nov 02:14:03 UTC ·" in drawn(ACKNOWLEDGED, zone=UTC)
    west = timezone(timedelta(hours=-3))
    assert "opened Tue 24 Nov 23:14:03 UTC-03:00 (Wed 25 Nov 02:14:03 UTC)" in drawn(ACKNOWLEDGED, zone=west)


def test_every_attempt_has_a_line_if_it_is_wanted():
    doubted = replace(attempt(2, Result.DELIVERED), is_doubted=True, evidence=Evidence.CARRIER, provider_ref="SM1")
    released = replace(attempt(3, None), state=AttemptState.NOT_SENT)
    refused = replace(attempt(1, Result.TEMPORARY_FAILURE, "busy", "503"), is_our_fault=True)
    row = notification("sms", NotificationState.DELIVERED, refused, doubted, released)
    status = replace(OPEN, escalations=(escalation("ada", row),))
    assert "attempt 1 " not in drawn(status)
    lines = [re.sub(" {2,}", " ", each) for each in drawn(status, has_attempts=True).splitlines() if "attempt" in each]
    assert [each.strip("│ ") for each in lines[1:]] == [
        "attempt 1 03:14:04 slack, failed for now, busy (503), the provider refuses us, not the recipient, took 0.3 s",
        "attempt 2 03:14:05 slack, delivered, confirmed by the carrier, was in doubt, took 0.3 s, id SM1",
        "attempt 3 03:14:06 slack, not sent",
    ]


def test_a_critical_failure_a_second_round_and_a_reason_are_shown():
    (ada, _) = OPEN.escalations
    lost = replace(
        ada, facts=replace(ada.facts, state=EscalationState.EXHAUSTED, round=2, critical_at=AT, reason="no usable address")
    )
    lost_one = replace(OPEN, escalations=(lost,), operations_key="operations-1", facts=replace(OPEN.facts, times_seen=3))
    text = drawn(lost_one, width=240)
    assert "not reached · round 2 · no usable address · since 03:14:03 a critical failure" in text
    reached = replace(lost, facts=replace(lost.facts, state=EscalationState.REACHED, reason=""), critical_reason="unanswered")
    shown = drawn(replace(OPEN, escalations=(reached,)))
    assert "reached · round 2 · since 03:14:03 a critical failure: nobody acknowledged the last round" in shown
    assert "came again 2 times, last at 03:14:03" in text
    assert "operations was not paged for it, only linked (operations-1)" in text
    alerted = replace(OPEN, operations_key="operations-1", escalations=(replace(lost, facts=replace(lost.facts, alerted_at=AT)),))
    assert "no page to operations was accepted so far (operations-1)" in drawn(alerted)
    assert "operations was told (operations-1)" in drawn(replace(alerted, operations_told_at=(AT,)))
    assert "operations has no recipients (NOTIFYFLOW_OPS_RECIPIENTS)" in drawn(replace(alerted, has_operations_recipients=False))


@pytest.mark.parametrize("state", NotificationState)
def test_every_state_of_a_notification_can_be_drawn(state: NotificationState):
    assert state in drawn(replace(OPEN, escalations=(escalation("ada", notification("sms", state)),)))


@pytest.mark.parametrize("state", EscalationState)
def test_every_state_of_an_escalation_can_be_drawn(state: EscalationState):
    assert f"{ESCALATIONS[state].sign} Ada (ada)  {ESCALATIONS[state].word}" in drawn(
        replace(OPEN, escalations=(escalation("ada", state=state),))
    )


@pytest.mark.parametrize("state", IncidentState)
def test_every_state_of_an_incident_can_be_drawn(state: IncidentState):
    assert state in drawn(replace(OPEN, facts=replace(OPEN.facts, state=state)))


def test_a_status_update_is_marked_as_one():
    update = replace(notification("slack", NotificationState.SENT), kind=Kind.STATUS_UPDATE, tier=None)
    assert "Slack (status update)" in drawn(replace(OPEN, escalations=(escalation("ada", update),)))


def test_incident_events_are_shown_by_themselves():
    row = replace(
        notification("webhook", NotificationState.SENT, attempt(1, Result.ACCEPTED)), kind=Kind.INCIDENT_EVENT, tier=None
    )
    text = drawn(replace(OPEN, incident_events=(replace(row, incident_event=EVENT),)))
    assert "Other systems" in text
    assert "status (opened)" in text


def test_escape_sequences_reach_no_terminal():
    text = drawn(replace(OPEN, content=replace(INCIDENT, title="down\x1b]0;pwned\x07\x1b[2J [bold]x[/bold]")))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]x[/bold]" in text


def test_what_decides_nothing_is_shown_once_beside_what_it_is_about():
    sent = notification("email", NotificationState.SENT, attempt(1, Result.ACCEPTED))
    notes = [
        Note(attempt_id=id_, code="Complaint", reason="the recipient called it spam", received_at=AT)
        for id_ in ("a1", "a1", "a9")
    ]
    text = drawn(replace(OPEN, escalations=(escalation("ada", sent),), notes=tuple(notes)))
    assert text.count("noted: the recipient called it spam") == 1


def test_a_chain_is_shown_step_by_step():
    coming = NextStep(step=chain().steps[1], at=AT + timedelta(minutes=8), people={"ben": "Ben"})
    next_events = NextEvents(escalations={}, now=AT, step=coming)
    text = drawn(chain(), next_events=next_events)
    assert "│  Chain" in text
    assert "○ Ben (@secondary)  in 8 m, at 03:22:03" in text
    assert "○ operations is told  10 m later" in text
    over = drawn(chain(severity=Severity.INFO), next_events=replace(next_events, step=None))
    assert "INFO starts no later step." in over
