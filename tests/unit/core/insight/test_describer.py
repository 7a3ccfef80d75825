"""What the page of an incident says of each recipient, tier, notification and attempt."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from notifyflow.core.delivery.facts import AttemptFacts, Transition
from notifyflow.core.delivery.model import (
    AttemptState,
    Contact,
    Ended,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
)
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.core.delivery.series_carried import Series
from notifyflow.core.insight.describer import Describer, NotificationView, RoundView, head
from notifyflow.core.insight.next_events import NextEvent, NextEventKind, NextEvents
from notifyflow.core.insight.times import Times
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus, Note
from tests.statuses import AT, EVENT, FACTS, OPEN, RESOLVED, attempt, escalation, notification

N = NotificationState


def brief(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def describe(status: IncidentStatus) -> Describer:
    codes = {("sms", "30006"): "a landline"}
    nothing = NextEvents(escalations={}, now=AT)
    return Describer(status, nothing, brief=brief, explain=lambda channel, code: codes.get((channel, code), ""))


def the_round(one: EscalationStatus, *transitions: Transition, **facts: Any) -> RoundView:
    status = replace(OPEN, facts=replace(FACTS, **facts), escalations=(one,), transitions=transitions)
    (recipient,) = describe(status).recipients(most=1)
    return recipient.rounds[0]


def the_page(*attempts: AttemptFacts, state: N = N.FAILED, notes: Sequence[Note] = (), **facts: Any) -> NotificationView:
    row = replace(notification("sms", state, *attempts), tier=1, **facts)
    status = replace(OPEN, escalations=(escalation("ada", row),), notes=tuple(notes))
    return describe(status).recipients(most=1)[0].rounds[0].tiers[0].notifications[0]


def line(event: str, **detail: str) -> Transition:
    return Transition(
        machine="escalation", row_id="e-ada", version=2, event=event, source="ACTIVE", target="X", at=AT, detail=detail
    )


@pytest.mark.parametrize(
    ("event", "detail", "expected"),
    [
        ("acknowledged", {"by": "ada", "via": "sms"}, "nothing more: Ada acknowledged it by text at 02:14:03"),
        ("acknowledged", {}, "nothing more: somebody acknowledged it at 02:14:03"),
        ("resolved", {"by": "grace", "via": "pager"}, "nothing more: grace resolved it through pager at 02:14:03"),
        ("replaced", {}, "nothing more: a newer round replaced this one at 02:14:03"),
    ],
)
def test_a_round_that_a_person_or_a_newer_round_has_ended_says_so(event: str, detail: dict[str, str], expected: str) -> None:
    assert the_round(escalation("ada"), line("started"), line(event, **detail)).coming == (expected,)


def test_the_summary_says_what_went_out_what_failed_and_since_when_that_is_critical() -> None:
    pages = [
        notification("email", N.SENT, attempt(1, Result.ACCEPTED)),
        notification("sms", N.FAILED, attempt(1, Result.PERMANENT_FAILURE)),
        notification("voice", N.DELIVERED, attempt(1, Result.DELIVERED)),
    ]
    one = escalation("ada", *pages, replace(notification("slack", N.FAILED), kind=Kind.STATUS_UPDATE, tier=None))
    critical = replace(one, facts=replace(one.facts, critical_at=AT), critical_reason="unanswered")
    assert the_round(one).summary == "mail and call went out; text failed"
    assert the_round(critical).summary.endswith("; since 02:14:03 a critical failure: nobody acknowledged the last round")
    assert the_round(escalation("ada")).summary == "it has no pages"
    assert the_round(escalation("ada", notification("sms", N.QUEUED))).summary == "nothing has been sent yet"
    assert the_round(escalation("ada", notification("sms", N.CANCELLED))).summary == "nothing was sent"
    bounced = replace(attempt(1, Result.PERMANENT_FAILURE), evidence=Evidence.ACCEPTED)
    assert the_round(escalation("ada", notification("email", N.FAILED, bounced))).summary == "mail went out; mail failed"
    unreachable = replace(one, facts=replace(one.facts, reason="there is no address"), notifications=())
    assert the_round(unreachable).summary == "there is no address"
    assert [each.facts.channel for each in the_round(one).updates] == ["slack"]


def test_a_tier_says_why_it_is_open_or_when_it_opens_or_why_it_does_not() -> None:
    one = escalation("ada", notification("email", N.SENT), replace(notification("sms", N.SENT), tier=2))
    one = replace(
        one,
        facts=replace(one.facts, policy=INSISTENT, tier=2),
        contact=Contact(recipient_id="ada", name="Ada", addresses={"email": "a", "sms": "b", "voice": "c"}),
    )

    def standings(each: EscalationStatus, *lines: Transition, **facts: Any) -> list[str]:
        return [tier.status_text for tier in the_round(each, *lines, **facts).tiers]

    opened = line("tier_opened", tier="2", why="unacknowledged")
    first, second, third = standings(one, opened)
    assert (first, second) == ("opened at 02:14:03", "opened at 02:14:03 since nobody acknowledged in time")
    assert third == "opens if one fails or nobody acknowledges within 10 m of the start"
    info = replace(one, facts=replace(one.facts, severity=Severity.INFO), notifications=one.notifications[:1])
    assert standings(info)[1:] == ["not used for INFO"] * 2
    assert standings(replace(one, contact=replace(one.contact, addresses={"sms": "b"})))[2] == "no address"
    assert standings(one, state=IncidentState.ACKNOWLEDGED)[2] == "was not needed"
    assert standings(replace(one, facts=replace(one.facts, tier=3)))[2] == "no page"


def test_a_notification_says_why_it_is_in_its_state() -> None:
    carried = replace(attempt(1, Result.ACCEPTED), evidence=Evidence.CARRIER)
    assert the_page(carried, state=N.SENT).because == "confirmed by the carrier"
    assert the_page(attempt(1, Result.ACCEPTED), state=N.SENT).because == ""
    counted = replace(carried, sent_with="a0", position=9, is_named=False)
    assert the_page(counted, state=N.SENT).because == "confirmed by the carrier, counted in one text with others"
    assert the_page(attempt(1, None), state=N.SENDING).because == "being sent over slack"
    assert the_page(attempt(1, Result.PERMANENT_FAILURE, code="30006")).because == "a landline (30006)"
    assert the_page(attempt(1, Result.PERMANENT_FAILURE, code="77")).because == "77"
    assert the_page(attempt(1, Result.PERMANENT_FAILURE, "no such number")).because == "no such number"
    late = the_page(attempt(1, Result.TEMPORARY_FAILURE, "busy", "503"), ended=Ended.EXPIRED, reason="it came too late")
    assert late.because == "it came too late; the last attempt: busy (503)"
    assert the_page(reason="a cap was reached").because == "a cap was reached"
    assert the_page(state=N.CANCELLED).because == "was not sent"
    assert the_page(state=N.QUEUED).because == ""
    assert the_page(state=N.QUEUED).address == "no address"


def test_an_attempt_says_all_that_is_known_of_it() -> None:
    doubted = replace(attempt(1, Result.TEMPORARY_FAILURE, "busy", "503"), is_doubted=True, is_our_fault=True, retry_after_s=30.0)
    note = Note(attempt_id="a1", code="30034", reason="a complaint", received_at=AT)
    (view,) = the_page(doubted, notes=[note, replace(note, attempt_id="other")]).attempts
    assert (view.look.word, view.details) == (
        "failed for now",
        (
            "busy (503)",
            "was in doubt",
            "the provider refuses us, not the recipient",
            "the provider asked to wait 30 s",
            "noted at 02:14:03: a complaint (30034)",
            "took 0.3 s",
        ),
    )
    awaited = replace(attempt(1, Result.ACCEPTED), evidence=Evidence.ACCEPTED, receipt_due_at=AT)
    (view,) = the_page(awaited, state=N.SENT).attempts
    assert view.details[:2] == ("accepted by the provider", "a receipt is due by 02:14:03")
    running, unsent = attempt(2, None), replace(attempt(1, None), state=AttemptState.NOT_SENT)
    assert [each.look.word for each in the_page(unsent, running, state=N.SENDING).attempts] == ["not sent", "running"]
    halved = replace(unsent, half="a7", code="21617", reason="our text is too long")
    views = the_page(unsent, halved, running, state=N.SENDING).attempts
    assert [view.details for view in views[:2]] == [
        (),
        ("its message was refused for its content, with others: our text is too long (21617)",),
    ]


def test_the_newest_round_comes_first_and_only_so_many_recipients_are_described() -> None:
    second = escalation("ada", state=EscalationState.ACTIVE)
    second = replace(second, facts=replace(second.facts, id="e-ada-2", round=2))
    described = describe(replace(OPEN, escalations=(escalation("ada"), second, escalation("ben"))))
    assert described.count == 2
    (ada,) = described.recipients(most=1)
    assert [each.facts.round for each in ada.rounds] == [2, 1]


def test_what_comes_next_is_said_of_the_round_and_of_the_notification_that_it_is_about() -> None:
    waiting = notification("slack", N.QUEUED)
    coming = NextEvent(
        what=NextEventKind.ATTEMPT, at=AT + timedelta(seconds=9), channels=("slack",), attempt=1, notification_id=waiting.id
    )
    expiry = replace(coming, what=NextEventKind.EXPIRY, notification_id="another")
    status = replace(OPEN, escalations=(escalation("ada", waiting, notification("sms", N.SENT)),))
    nights = NextEvents(escalations={"e-ada": (coming, expiry)}, now=AT)
    (ada,) = Describer(status, nights, brief=brief, explain=lambda channel, code: "").recipients(most=1)
    assert ada.rounds[0].coming[0] == "Slack message in 9 s"
    assert [each.coming for each in ada.rounds[0].notifications] == [("Slack message in 9 s",), ()]
    (unread,) = Describer(status, None, brief=brief, explain=lambda channel, code: "").recipients(most=1)
    assert unread.rounds[0].coming == ()


def test_a_page_that_is_held_up_or_too_old_says_so() -> None:
    one = escalation("ada", notification("email", N.FAILED))
    one = replace(one, contact=replace(one.contact, addresses={"email": "a", "sms": "b"}))
    held_up = replace(one, facts=replace(one.facts, held_up_at=AT))
    assert the_round(held_up).remarks == ("every way left was held up at 02:14:03",)
    status = replace(OPEN, escalations=(one,))
    late = NextEvents(escalations={}, now=AT, too_late=frozenset({"e-ada"}))
    described = Describer(status, late, brief=brief, explain=lambda channel, code: "").round(one)
    assert described.tiers[1].status_text == "opens no more: the pages before it are too old"


def test_an_event_for_another_system_has_its_subscriber_and_no_address() -> None:
    row = replace(notification("webhook", N.SENT), kind=Kind.INCIDENT_EVENT, tier=None, incident_event=EVENT)
    (event,) = describe(replace(OPEN, incident_events=(row,))).incident_events
    assert (event.name, event.address, event.coming) == ("status (opened)", "", ())


def test_above_the_recipients_stands_how_it_began_and_ended() -> None:
    series = Series(first_id="another", severity=Severity.CRITICAL, openings=(AT,), open_for=timedelta(minutes=40))
    facts = replace(RESOLVED.facts, namespace="shop", series=series, times_seen=3, last_seen_at=AT)
    ended = replace(line("resolved", by="ben", via="cli"), row_id=facts.id)
    told = dict(head(replace(RESOLVED, facts=facts, transitions=(ended,)), Times(UTC, AT, AT)))
    assert told["Came again"] == "2 times, last at 02:14:03"
    assert told["Series"].startswith("goes on where the one before stood")
    assert told["Resolved"] == "by Ben on the command line at 02:14:03"
    assert (told["Namespace"], told["Source"]) == ("shop", "grafana")
    nobody = replace(facts, resolved_by="", acknowledged_at=AT, acknowledged_by="ada", acknowledged_via="sms")
    told = dict(head(replace(RESOLVED, facts=nobody), Times(UTC, AT, AT)))
    assert (told["Acknowledged"], told["Resolved"]) == ("by Ada by text at 02:14:03", "by notifyflow at 02:14:03")


def test_an_incident_that_came_once_and_goes_on_has_its_begin_its_key_and_its_policy() -> None:
    told = dict(head(OPEN, Times(UTC, AT, AT)))
    assert list(told) == ["Opened", "Key", "Policy", "Source"]


def test_a_result_without_an_end_has_no_duration() -> None:
    (view,) = the_page(replace(attempt(1, Result.DELIVERED), ended_at=None), state=N.DELIVERED).attempts
    assert view.details == ()


def test_wished_pages_of_no_tier_stand_before_the_tiers() -> None:
    wished = the_round(escalation("ada", notification("sms", N.SENT, tier=0), notification("email", N.SENT))).tiers[0]
    assert (wished.name, wished.status_text) == ("as wished", "sent from 02:14:03 on; no tier waits for them")
    assert [each.name for each in wished.notifications] == ["text (as wished)"]
