"""When tiers open, which state the escalation has, who is alerted, and when the next decision is."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery import page_rules, tier_rules
from notifyflow.core.delivery.escalation import (
    AlertOperations,
    Decided,
    DecisionContext,
    LoggedMove,
    OpenTier,
    StartRound,
    StopPages,
)
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.intervals import GRACE, Outage, PausedInterval
from notifyflow.core.delivery.model import (
    DeferralReason,
    Ended,
    EscalationState,
    Evidence,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
)
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Failed, Policy, Tier, Unacknowledged
from notifyflow.core.delivery.series_carried import Series
from tests.facts import NOW, attempt, context, escalation, incident, minutes, page, seconds

QUEUED, SENDING, SENT = NotificationState.QUEUED, NotificationState.SENDING, NotificationState.SENT
DELIVERED, FAILED = NotificationState.DELIVERED, NotificationState.FAILED
ACTIVE, REACHED, EXHAUSTED = EscalationState.ACTIVE, EscalationState.REACHED, EscalationState.EXHAUSTED
CRITICAL, INFO = Severity.CRITICAL, Severity.INFO
HOUR = timedelta(hours=1)


def decide(of: DecisionContext, *, event: escalations.Cause = "recorded", now: datetime = NOW) -> Decided:
    return escalations.decide(of, event=event, now=now)


def opened(decided: Decided) -> list[tuple[int, tuple[str, ...]]]:
    return [(effect.number, effect.channels) for effect in decided.effects if isinstance(effect, OpenTier)]


def alerts(decided: Decided) -> list[AlertOperations]:
    return [effect for effect in decided.effects if isinstance(effect, AlertOperations)]


def failed(channel: str, **given: object) -> NotificationFacts:
    return page(channel, FAILED, **given)


def start(addresses: str, **given: object) -> Decided:
    return escalations.start(context(addresses=addresses, tier=0, **given), now=NOW)


def test_an_escalation_starts_with_its_first_tier() -> None:
    decided = start("email slack sms voice")
    assert opened(decided) == [(1, ("email", "slack"))]
    assert (decided.after.state, decided.after.tier, decided.steps) == (ACTIVE, 1, ())
    assert decided.after.next_decision_at == NOW + timedelta(hours=24)


def test_tiers_without_an_address_are_passed_at_the_start() -> None:
    assert (opened(start("sms")), start("sms").after.tier) == ([(2, ("sms",))], 2)
    assert (opened(start("voice")), start("voice").after.tier) == ([(3, ("voice",))], 3)


def test_nobody_reachable_is_exhausted_from_the_start_and_a_critical_failure() -> None:
    decided = start("pigeon")
    assert (decided.after.state, decided.after.tier, decided.after.next_decision_at) == (EXHAUSTED, 0, None)
    assert decided.after.critical_at == NOW
    assert decided.after.reason
    assert decided.effects == (AlertOperations(reason="unreachable", is_paging=True),)


def test_info_with_a_phone_only_is_exhausted_from_the_start_and_alerts_nobody() -> None:
    decided = start("sms voice", severity=INFO)
    assert (decided.after.state, decided.effects, decided.after.critical_at) == (EXHAUSTED, (), None)


def test_a_round_of_operations_is_told_once_a_page_of_it_is_accepted_or_somebody_acknowledges() -> None:
    operations = incident(is_operations=True)
    untold = decide(context(failed("email"), about=operations)).after
    assert untold.reported_at is None
    told = decide(context(failed("email"), page("slack", SENT), about=operations)).after
    assert told.reported_at == NOW
    assert (
        decide(replace(context(page("slack", SENT)), escalation=told, incident=operations), now=NOW + HOUR).after.reported_at
        == NOW
    )
    assert escalations.acknowledge(context(page("slack"), about=operations), now=NOW).after.reported_at == NOW
    assert escalations.close(context(page("slack"), about=operations), event="resolved", now=NOW).after.reported_at is None
    assert decide(context(page("slack", SENT))).after.reported_at is None, "it is another incident"


def test_one_of_two_primaries_opens_nothing() -> None:
    decided = decide(context(failed("email"), page("slack", SENT)))
    assert (opened(decided), decided.after.state) == ([], REACHED)


def test_two_failed_primaries_open_sms_and_the_machine_says_why() -> None:
    decided = decide(context(failed("email"), failed("slack"), page("teams", SENT)))
    assert opened(decided) == [(2, ("sms",))]
    assert decided.steps == (
        LoggedMove(event="tier_opened", source="ACTIVE", target="ACTIVE", detail={"tier": "2", "why": "failed"}),
    )
    assert (decided.after.tier, decided.after.state) == (2, ACTIVE)


def test_the_only_primary_is_enough_when_there_is_no_other() -> None:
    assert opened(decide(context(failed("email"), addresses="email sms"))) == [(2, ("sms",))]


def test_a_failed_sms_opens_the_call() -> None:
    of = context(failed("email"), failed("slack"), failed("sms", tier=2), tier=2)
    assert opened(decide(of)) == [(3, ("voice",))]


def test_a_tier_without_an_address_is_passed_at_once() -> None:
    decided = decide(context(failed("email"), failed("slack"), addresses="email slack voice"))
    assert opened(decided) == [(3, ("voice",))]
    assert [step.detail for step in decided.steps] == [{"tier": "2", "why": "failed"}, {"tier": "3", "why": "no_address"}]


def test_a_tier_that_just_opened_has_not_failed() -> None:
    assert decide(context(failed("email"), failed("slack"))).after.tier == 2


def test_a_tier_whose_address_came_later_is_not_passed() -> None:
    assert opened(decide(context(failed("email"), tier=2, addresses="email sms voice"))) == []


def test_info_never_leaves_the_primary_tier() -> None:
    decided = decide(context(failed("email"), failed("slack"), severity=INFO))
    assert (decided.after.state, decided.effects, decided.after.critical_at) == (EXHAUSTED, (), None)


SHUT = Tier(name="b", channels=("sms",), rules=(Failed(at_least=1),), shut_for=(Severity.ERROR,))
BEHIND = Tier(name="c", channels=("voice",), rules=(Failed(at_least=1),))
LADDER = replace(DEFAULT, tiers=(DEFAULT.tiers[0], SHUT, BEHIND))


def test_a_shut_tier_is_passed_at_once_when_its_own_rule_is_met() -> None:
    decided = decide(context(failed("email"), policy=LADDER))
    assert opened(decided) == [(3, ("voice",))]
    assert [step.detail for step in decided.steps] == [{"tier": "2", "why": "failed"}, {"tier": "3", "why": "shut"}]
    assert (decided.after.state, decided.after.tier) == (ACTIVE, 3)


def test_a_shut_tier_opens_by_its_own_rules_only() -> None:
    slow = replace(SHUT, rules=(Unacknowledged(after=minutes(5)),))
    of = context(failed("email"), policy=replace(LADDER, tiers=(DEFAULT.tiers[0], slow, BEHIND)))
    waiting = decide(of)
    assert (opened(waiting), waiting.after.state, waiting.after.next_decision_at) == ([], ACTIVE, NOW + minutes(5))
    assert opened(decide(of, event="timer_due", now=NOW + minutes(5))) == [(3, ("voice",))]


def test_a_shut_tier_at_the_end_of_the_ladder_is_no_reason_to_wait() -> None:
    policy = replace(LADDER, tiers=(DEFAULT.tiers[0], replace(SHUT, rules=(Unacknowledged(after=minutes(5)),))))
    assert decide(context(failed("email"), policy=policy)).after.state is EXHAUSTED


def test_an_address_that_comes_later_is_not_paged_in_a_tier_that_was_shut() -> None:
    of = context(failed("email"), failed("voice", tier=3), policy=LADDER, tier=3, addresses="email sms voice")
    assert opened(decide(of, event="address_added")) == []


def test_a_status_update_counts_for_nothing() -> None:
    update = replace(failed("slack"), kind=Kind.STATUS_UPDATE, tier=None)
    assert opened(decide(context(failed("email"), page("teams", SENT), update))) == []
    assert decide(context(page("email", SENT), replace(page("slack"), kind=Kind.STATUS_UPDATE, tier=None))).after.state is REACHED


def test_a_failure_opens_a_tier_only_while_the_incident_is_open() -> None:
    acknowledged = incident(state=IncidentState.ACKNOWLEDGED)
    assert opened(decide(context(failed("email"), failed("slack"), about=acknowledged))) == []


def test_an_old_failure_wakes_nobody() -> None:
    of = context(failed("email"), failed("slack"))
    assert opened(decide(of, now=NOW + HOUR - seconds(1))) == [(2, ("sms",))]
    late = decide(of, now=NOW + HOUR)
    assert (opened(late), late.after.state) == ([], EXHAUSTED)
    assert alerts(late) == [AlertOperations(reason="exhausted", is_paging=False)]


def test_a_delayed_page_still_escalates_with_those_that_failed_before() -> None:
    delayed = failed("slack", attempts=(attempt(1, Result.PERMANENT_FAILURE, started_at=NOW + 3 * HOUR),))
    assert opened(decide(context(failed("email"), delayed), now=NOW + 3 * HOUR)) == [(2, ("sms",))]


@pytest.mark.parametrize(("later", "tiers"), [(HOUR - seconds(1), [(2, ("sms",))]), (HOUR, [])])
def test_an_attempt_under_way_makes_no_old_failure_a_new_one(later: timedelta, tiers: list[tuple[int, tuple[str, ...]]]) -> None:
    calls = [attempt(number, Result.TEMPORARY_FAILURE) for number in (1, 2)]
    running = attempt(3, started_at=NOW + later)
    pages = [page(channel, SENDING, *calls, running) for channel in ("email", "slack")]
    assert opened(decide(context(*pages, severity=CRITICAL), now=NOW + later)) == tiers


def test_a_row_that_we_ended_is_as_young_as_its_end() -> None:
    ended = page(state=FAILED, attempts=(), ended=Ended.NO_PROVIDER, ended_at=NOW + 3 * HOUR)
    of = context(replace(ended, attempts=()), addresses="email sms")
    assert opened(decide(of, now=NOW + 3 * HOUR)) == [(2, ("sms",))]
    assert opened(decide(of, now=NOW + 4 * HOUR)) == []


def test_an_expired_round_opens_no_tier() -> None:
    at = NOW + timedelta(hours=24)
    decided = decide(context(expired("email", at), expired("slack", at)), event="timer_due", now=at)
    assert (opened(decided), decided.after.state) == ([], EXHAUSTED)
    assert alerts(decided) == [AlertOperations(reason="exhausted", is_paging=True)]


def test_what_a_pause_of_its_channel_deferred_expires_later_by_as_long() -> None:
    paused = page("email", paused_since=NOW + HOUR, paused_until=NOW + 6 * HOUR)
    assert decide(context(paused, addresses="email")).after.next_decision_at == NOW + timedelta(hours=29)
    overlapping = replace(
        context(paused, addresses="email"), paused_intervals=(PausedInterval(began_at=NOW, ended_at=NOW + 2 * HOUR),)
    )
    assert decide(overlapping).after.next_decision_at == NOW + timedelta(hours=30)


def expired(channel: str, at: datetime) -> NotificationFacts:
    return replace(page(channel), state=FAILED, ended=Ended.EXPIRED, ended_at=at)


CALL = page("voice", SENT, attempt(1, Result.ACCEPTED, evidence=Evidence.CARRIER), tier=3)
CHANNELS_FAILED = AlertOperations(reason="critical_channels_failed", is_paging=True)


@pytest.mark.parametrize("email", [failed("email"), expired("email", NOW + timedelta(hours=24))])
@pytest.mark.parametrize("other", [CALL, page("slack", SENT, attempt(1, Result.ACCEPTED)), page("slack", SENDING)])
def test_a_text_that_expires_beside_mail_that_failed_pages_operations(email: NotificationFacts, other: NotificationFacts) -> None:
    at = NOW + timedelta(hours=24)
    decided = decide(context(email, expired("sms", at), other, tier=3), event="timer_due", now=at)
    assert alerts(decided) == [CHANNELS_FAILED]


def test_a_page_that_expires_alone_beside_one_that_arrived_is_no_critical_failure() -> None:
    at = NOW + timedelta(hours=24)
    of = context(page("email", SENT, attempt(1, Result.ACCEPTED)), expired("sms", at), tier=2)
    assert alerts(decide(of, event="timer_due", now=at)) == []


def test_mail_that_bounces_long_after_the_text_expired_is_only_linked() -> None:
    at = NOW + timedelta(hours=24)
    of = context(failed("email"), expired("sms", at), CALL, tier=3, state=REACHED)
    late = decide(of, event="received", now=at + HOUR)
    assert alerts(late) == [replace(CHANNELS_FAILED, is_paging=False)]


def test_a_failure_that_was_only_linked_pages_operations_once_a_page_fails_anew() -> None:
    of = context(failed("email"), failed("sms", tier=2), CALL, tier=3, state=REACHED)
    linked = decide(of, event="received", now=NOW + 3 * HOUR)
    assert alerts(linked) == [replace(CHANNELS_FAILED, is_paging=False)]
    assert (linked.after.critical_at, linked.after.alerted_at) == (NOW + 3 * HOUR, None)
    later = NOW + 4 * HOUR
    still = replace(of, escalation=linked.after)
    assert decide(still, event="received", now=later).effects == ()
    call = page("voice", FAILED, attempt(1, Result.TEMPORARY_FAILURE, started_at=later), tier=3)
    paged = decide(replace(still, notifications=(*still.notifications[:2], call)), event="received", now=later)
    assert alerts(paged) == [AlertOperations(reason="exhausted", is_paging=True)]
    assert (paged.after.critical_at, paged.after.alerted_at) == (NOW + 3 * HOUR, later)
    again = replace(of, escalation=paged.after, notifications=(*of.notifications[:2], call))
    assert decide(again, event="received", now=later).effects == ()


def test_a_late_bounce_after_one_that_was_only_linked_pages_nobody() -> None:
    of = context(failed("email"), failed("sms", tier=2), failed("voice", tier=3), tier=3, state=REACHED)
    linked = replace(of, escalation=replace(of.escalation, critical_at=NOW + 2 * HOUR))
    assert alerts(decide(linked, event="received", now=NOW + 3 * HOUR)) == []


@pytest.mark.parametrize(("due", "state"), [({}, REACHED), ({"receipt_due_at": NOW}, EXHAUSTED)])
def test_what_expires_beside_a_critical_page_pages_operations(due: dict[str, datetime], state: EscalationState) -> None:
    at = NOW + timedelta(hours=72)
    sent = page("push", SENT, attempt(1, Result.ACCEPTED, evidence=Evidence.ACCEPTED, **due))
    rows = (expired(name, at) for name in ("email", "sms", "voice"))
    of = context(sent, *rows, tier=3, addresses="push email sms voice", severity=CRITICAL)
    decided = decide(of, event="timer_due", now=at)
    assert (decided.after.state, alerts(decided)) == (state, [CHANNELS_FAILED])


def refused(number: int, **given: object) -> tuple[object, ...]:
    return tuple(attempt(each, Result.TEMPORARY_FAILURE, **given) for each in range(1, number + 1))


SUSPECTS = {
    "its 2nd attempt failed": page("email", QUEUED, *refused(2)),
    "its 3rd attempt is running": page("email", SENDING, *refused(2), attempt(3)),
    "its receipt is overdue": page("email", SENT, attempt(1, Result.ACCEPTED, receipt_due_at=NOW)),
    "it refused us": page("email", QUEUED, *refused(1, is_our_fault=True)),
    "it refused what a message of several said": page("email", QUEUED, *refused(1, half="a1")),
    "it has been deferred for 30 s": page("email", QUEUED, deferred_since=NOW - seconds(30)),
}
UNSUSPECTED = {
    "its 1st attempt failed": page("email", QUEUED, *refused(1)),
    "one of its two attempts was accepted": page(
        "email", QUEUED, attempt(1, Result.ACCEPTED), attempt(2, Result.TEMPORARY_FAILURE)
    ),
    "its receipt is not yet overdue": page("email", SENT, attempt(1, Result.ACCEPTED, receipt_due_at=NOW + seconds(1))),
    "no receipt is awaited": page("email", SENT),
    "it arrived": page("email", DELIVERED),
    "it has been deferred for 29 s": page("email", QUEUED, deferred_since=NOW - seconds(29)),
    "it waits": page("email", QUEUED),
}


@pytest.mark.parametrize("why", SUSPECTS)
def test_a_suspected_page_counts_as_failed_when_critical(why: str) -> None:
    assert opened(decide(context(SUSPECTS[why], severity=CRITICAL, addresses="email sms"))) == [(2, ("sms",))]


@pytest.mark.parametrize("why", UNSUSPECTED)
def test_a_page_without_suspicion_does_not(why: str) -> None:
    assert opened(decide(context(UNSUSPECTED[why], severity=CRITICAL, addresses="email sms"))) == []


@pytest.mark.parametrize("why", SUSPECTS)
def test_suspicion_can_be_switched_off(why: str) -> None:
    policy = replace(DEFAULT, is_suspicion_on=False)
    assert opened(decide(context(SUSPECTS[why], severity=CRITICAL, policy=policy, addresses="email sms"))) == []


@pytest.mark.parametrize("why", SUSPECTS)
def test_what_is_not_critical_is_suspected_if_we_or_its_message_were_refused_only(why: str) -> None:
    expected = [(2, ("sms",))] if "it refused" in why else []
    assert opened(decide(context(SUSPECTS[why], addresses="email sms"))) == expected


def test_what_is_not_critical_is_suspected_after_being_deferred_for_its_whole_window() -> None:
    deferred = context(page("email", deferred_since=NOW), addresses="email sms")
    assert decide(deferred).after.next_decision_at == NOW + minutes(10)
    assert opened(decide(deferred, event="timer_due", now=NOW + minutes(10) - seconds(1))) == []
    assert opened(decide(deferred, event="timer_due", now=NOW + minutes(10))) == [(2, ("sms",))]


def test_what_a_provider_defers_that_refuses_us_is_suspected_at_once() -> None:
    deferred = context(page("email", deferred_since=NOW, deferred_by=DeferralReason.SUSPENSION), addresses="email sms")
    assert opened(decide(deferred)) == [(2, ("sms",))]


def test_nobody_acknowledging_opens_the_tiers_of_insistent_by_time_whatever_was_delivered() -> None:
    of = context(page("email", DELIVERED), policy=INSISTENT)
    first = decide(of)
    assert (first.after.state, first.after.next_decision_at, opened(first)) == (ACTIVE, NOW + minutes(5), [])
    assert opened(decide(of, event="timer_due", now=NOW + minutes(5) - seconds(1))) == []
    at_five = decide(of, event="timer_due", now=NOW + minutes(5))
    assert opened(at_five) == [(2, ("sms",))]
    assert at_five.after.next_decision_at == NOW + minutes(10)
    assert at_five.steps[0].detail["why"] == "unacknowledged"
    assert opened(decide(of, event="timer_due", now=NOW + minutes(10))) == [(2, ("sms",)), (3, ("voice",))]


def test_a_timer_that_leads_to_no_address_is_not_waited_for() -> None:
    decided = decide(context(page("email", DELIVERED), policy=INSISTENT, addresses="email"))
    assert (decided.after.state, decided.after.next_decision_at) == (REACHED, None)


@pytest.mark.parametrize(
    "given",
    [{"severity": INFO}, {"about": incident(state=IncidentState.ACKNOWLEDGED)}],
    ids=["shut by severity", "incident not open"],
)
def test_a_tier_that_is_kept_shut_is_no_reason_to_wait(given: dict[str, object]) -> None:
    decided = decide(context(page("email", DELIVERED), policy=INSISTENT, **given))
    assert (decided.after.state, decided.after.next_decision_at) == (REACHED, None)


def test_a_timer_beyond_freshness_is_no_reason_to_wait() -> None:
    decided = decide(context(page("email", DELIVERED), policy=replace(INSISTENT, fresh_for=minutes(5))))
    assert (decided.after.state, decided.after.next_decision_at) == (REACHED, None)


def after(minute: float, *, began: float, of: DecisionContext) -> Decided:
    """Decide so many minutes after NOW, when nobody has swept since the minute it began."""
    now = NOW + minutes(minute)
    return decide(replace(of, outages=(Outage(began_at=NOW + minutes(began), ended_at=now),)), event="timer_due", now=now)


def test_an_outage_does_not_count_as_time_in_which_nobody_acknowledged() -> None:
    of = context(page("email", DELIVERED), policy=INSISTENT)
    decided = after(63, began=3, of=of)
    assert (opened(decided), decided.after.next_decision_at) == ([], NOW + minutes(65))
    ended = replace(of, outages=(Outage(began_at=NOW + minutes(3), ended_at=NOW + minutes(63)),))
    assert opened(decide(ended, event="timer_due", now=NOW + minutes(65))) == [(2, ("sms",))]


def test_an_outage_does_not_count_as_time_in_which_a_receipt_could_have_come() -> None:
    awaited = page("email", SENT, attempt(1, Result.ACCEPTED, receipt_due_at=NOW + minutes(5)))
    decided = after(63, began=3, of=context(awaited, addresses="email sms", severity=CRITICAL))
    assert (opened(decided), decided.after.state) == ([], ACTIVE)
    assert decided.after.next_decision_at == NOW + minutes(63) + GRACE, "a quarter of an hour of it counts at most"
    polled = replace(context(awaited, addresses="email sms", severity=CRITICAL), polled=frozenset({"p"}))
    assert after(63, began=3, of=polled).after.next_decision_at == NOW + minutes(64)
    late = after(63, began=6, of=context(awaited, addresses="email sms", severity=CRITICAL))
    assert opened(late) == [(2, ("sms",))]


def test_an_outage_does_not_count_as_time_in_which_a_provider_deferred_us() -> None:
    deferred = context(page("email", deferred_since=NOW), addresses="email sms", severity=CRITICAL)
    assert opened(after(63, began=0.25, of=deferred)) == []
    assert after(63, began=0.25, of=deferred).after.next_decision_at == NOW + minutes(63) + GRACE
    normal = context(page("email", deferred_since=NOW), addresses="email sms")
    window = normal.escalation.policy.retries.schedule("email", normal.escalation.severity).window
    assert after(63, began=0.25, of=normal).after.next_decision_at == NOW + minutes(62.75) + window


def test_a_provider_owes_a_receipt_from_when_it_is_overdue() -> None:
    awaited = page("email", SENT, attempt(1, Result.ACCEPTED, receipt_due_at=NOW + minutes(5)))
    of = context(awaited, page("slack", SENT), addresses="email sms", severity=CRITICAL)
    assert page_rules.overdue_receipts(of, NOW + minutes(4)) == frozenset()
    assert page_rules.overdue_receipts(of, NOW + minutes(5)) == {("email", "p")}
    assert opened(decide(context(awaited, addresses="email sms", severity=CRITICAL), now=NOW + minutes(5))) == [(2, ("sms",))]


@pytest.mark.parametrize(
    ("accepted", "reached", "sent_to", "is_broken"),
    [(4, 3, 3, False), (5, 3, 9, True), (5, 2, 3, False), (5, 2, 2, True), (5, 1, 1, True), (5, 1, 2, False), (0, 0, 0, False)],
)
def test_a_callback_path_seems_broken_after_five_attempts_to_three_people_or_to_all(
    accepted: int, reached: int, sent_to: int, *, is_broken: bool
) -> None:
    assert tier_rules.seems_broken(tier_rules.UnreportedSends(accepted=accepted, reached=reached, sent_to=sent_to)) is is_broken


@pytest.mark.parametrize(
    ("pages", "state"),
    [
        ((page("email", QUEUED),), ACTIVE),
        ((page("email", SENDING, attempt()),), ACTIVE),
        ((page("email", SENT), page("slack", QUEUED)), ACTIVE),
        ((page("email", SENT, attempt(1, Result.ACCEPTED, receipt_due_at=NOW + seconds(60))),), ACTIVE),
        ((page("email", SENT),), REACHED),
        ((page("email", DELIVERED), failed("slack")), REACHED),
        ((failed("email"), failed("slack")), EXHAUSTED),
    ],
)
def test_a_state_is_named_after_its_pages(pages: tuple[NotificationFacts, ...], state: EscalationState) -> None:
    assert decide(context(*pages, addresses="email slack")).after.state is state


def test_a_receipt_is_awaited_for_thirty_minutes() -> None:
    of = context(page("email", SENT, attempt(1, Result.ACCEPTED, receipt_due_at=NOW + minutes(5))), addresses="email")
    assert decide(of).after.next_decision_at == NOW + minutes(5)
    waiting = decide(of, event="timer_due", now=NOW + minutes(5))
    assert (waiting.after.state, waiting.after.next_decision_at) == (ACTIVE, NOW + minutes(30))
    unconfirmed = decide(of, event="timer_due", now=NOW + minutes(30))
    assert (unconfirmed.after.state, unconfirmed.after.next_decision_at) == (REACHED, None)


def test_operations_is_told_when_the_round_expires_before_its_silent_pages_are_given_up() -> None:
    policy = replace(DEFAULT, is_suspicion_on=False, fresh_for_critical=minutes(10))
    silent = page("email", SENT, attempt(1, Result.ACCEPTED, receipt_due_at=NOW + minutes(5)))
    of = context(silent, addresses="email sms", policy=policy, severity=CRITICAL)
    waiting = decide(of, event="timer_due", now=NOW + minutes(5))
    assert (alerts(waiting), waiting.after.next_decision_at) == ([], NOW + minutes(10))
    assert [each.reason for each in alerts(decide(of, event="timer_due", now=NOW + minutes(10)))] == ["unproven"]


def test_a_move_without_an_opening_is_one_step() -> None:
    decided = decide(context(failed("email"), state=REACHED, addresses="email"), event="received")
    assert decided.steps == (LoggedMove(event="received", source="REACHED", target="EXHAUSTED", detail={}),)


def test_a_decision_that_changes_nothing_has_no_step() -> None:
    decided = decide(context(page("email", SENT), state=REACHED, addresses="email"))
    assert (decided.steps, decided.effects) == ((), ())


@pytest.mark.parametrize("source", [ACTIVE, REACHED, EXHAUSTED])
@pytest.mark.parametrize(
    ("pages", "target"), [((page(),), ACTIVE), ((page("email", SENT),), REACHED), ((failed("email"),), EXHAUSTED)]
)
@pytest.mark.parametrize("event", ["recorded", "received", "timer_due", "address_added"])
def test_every_move_among_the_three_live_states_is_legal(
    source: EscalationState, pages: tuple[NotificationFacts, ...], target: EscalationState, event: escalations.Cause
) -> None:
    assert decide(context(*pages, state=source, addresses="email"), event=event).after.state is target


def test_a_bounce_may_open_a_tier_of_one_who_was_reached() -> None:
    decided = decide(context(failed("email"), state=REACHED, addresses="email sms"), event="received")
    assert [(step.source, step.target) for step in decided.steps] == [("REACHED", "ACTIVE")]


def test_a_queued_page_is_decided_when_its_round_expires() -> None:
    assert decide(context(page())).after.next_decision_at == NOW + timedelta(hours=24)
    assert decide(context(page(), severity=CRITICAL)).after.next_decision_at == NOW + timedelta(hours=72)
    overdue = decide(context(page()), now=NOW + timedelta(hours=25))
    assert overdue.after.next_decision_at == NOW + timedelta(hours=24)


def test_another_address_gets_the_row_that_its_opened_tier_lacks() -> None:
    decided = decide(context(page("email", SENT), state=REACHED, addresses="email slack sms"), event="address_added")
    assert (opened(decided), decided.after.state) == ([(1, ("slack",))], ACTIVE)
    assert decide(context(page("email", SENT), state=REACHED, addresses="email slack")).effects == ()


def test_another_address_of_a_tier_that_is_not_open_waits_for_it() -> None:
    assert decide(context(page("email", SENT), addresses="email sms"), event="address_added").effects == ()


def test_another_address_comes_too_late_for_a_stale_round() -> None:
    of = context(page("email", SENT), addresses="email slack")
    assert decide(of, event="address_added", now=NOW + timedelta(hours=24)).effects == ()


def test_email_and_sms_failed_is_a_critical_failure_once() -> None:
    of = context(failed("email"), failed("slack"), failed("sms", tier=2), page("voice", QUEUED, tier=3), tier=3)
    decided = decide(of)
    assert alerts(decided) == [AlertOperations(reason="critical_channels_failed", is_paging=True)]
    assert decided.after.critical_at == NOW
    again = decide(replace(of, escalation=decided.after), now=NOW + seconds(1))
    assert (alerts(again), again.after.critical_at) == ([], NOW)


def test_a_suspicion_is_not_enough_for_a_critical_failure() -> None:
    suspected = page("email", QUEUED, *refused(2))
    assert alerts(decide(context(suspected, failed("sms", tier=2), page("voice", SENT, tier=3), tier=3, severity=CRITICAL))) == []


def test_a_pressed_key_is_no_critical_failure() -> None:
    picked_up = page("voice", DELIVERED, attempt(1, Result.DELIVERED, evidence=Evidence.HUMAN), tier=3)
    assert alerts(decide(context(failed("email"), failed("sms", tier=2), picked_up, tier=3))) == []


def test_a_policy_without_critical_channels_knows_exhaustion_only() -> None:
    policy = replace(DEFAULT, critical_channels=())
    assert (
        alerts(decide(context(failed("email"), failed("sms", tier=2), page("voice", SENT, tier=3), tier=3, policy=policy))) == []
    )
    assert [each.reason for each in alerts(decide(context(failed("email"), addresses="email", policy=policy)))] == ["exhausted"]


def test_an_operations_incident_never_alerts_itself() -> None:
    decided = decide(context(failed("email"), addresses="email", about=incident(is_operations=True)))
    assert (decided.after.state, decided.after.critical_at, decided.effects) == (EXHAUSTED, NOW, ())


def test_info_is_never_a_critical_failure() -> None:
    assert decide(context(failed("email"), addresses="email", severity=INFO)).effects == ()


CALLED = "email sms voice"
PHONE_FAILED = page("voice", FAILED, tier=3)
UNPROVEN = AlertOperations(reason="unproven", is_paging=True)


def awaited(channel: str, tier: int = 1, **given: Any) -> NotificationFacts:
    """Make a page that was sent and whose receipt is overdue a minute after NOW."""
    due = given or {"receipt_due_at": NOW + minutes(1)}
    return page(channel, SENT, attempt(1, Result.ACCEPTED, evidence=Evidence.ACCEPTED, **due), tier=tier)


SILENT = (awaited("email"), failed("sms", tier=2), PHONE_FAILED)


@pytest.mark.parametrize("is_suspicion_on", [True, False])
def test_operations_is_paged_as_soon_as_nothing_is_left_to_try_and_nothing_arrived(*, is_suspicion_on: bool) -> None:
    policy = replace(DEFAULT, is_suspicion_on=is_suspicion_on)
    of = context(*SILENT, tier=3, addresses=CALLED, severity=CRITICAL, policy=policy)
    assert alerts(decide(of, event="timer_due", now=NOW + seconds(59))) == []
    unproven = decide(of, event="timer_due", now=NOW + minutes(1))
    assert (unproven.after.state, alerts(unproven)) == (ACTIVE, [UNPROVEN])
    over = decide(replace(of, escalation=unproven.after), event="timer_due", now=NOW + minutes(30))
    assert (over.after.state, alerts(over)) == (EXHAUSTED, [])
    arrived = (page("email", DELIVERED), *SILENT[1:])
    late = decide(replace(of, escalation=over.after, notifications=arrived), event="received", now=NOW + minutes(40))
    assert late.after.state is REACHED


@pytest.mark.parametrize(
    "left",
    [
        {"tier": 2, "addresses": CALLED},
        {"tier": 2, "addresses": CALLED, "policy": replace(DEFAULT, is_suspicion_on=False)},
    ],
    ids=["a tier opens", "a tier is left, and does not open"],
)
def test_a_round_with_a_tier_that_is_left_is_not_unproven(left: dict[str, Any]) -> None:
    of = context(awaited("email"), awaited("sms", tier=2), severity=CRITICAL, **left)
    assert alerts(decide(of, event="timer_due", now=NOW + minutes(2))) == []


@pytest.mark.parametrize("busy", [page("sms", QUEUED, *refused(2), tier=2), page("sms", SENDING, attempt(), tier=2)])
def test_a_round_with_an_attempt_to_come_is_not_unproven(busy: NotificationFacts) -> None:
    of = context(awaited("email"), busy, PHONE_FAILED, tier=3, addresses=CALLED, severity=CRITICAL)
    assert alerts(decide(of, event="timer_due", now=NOW + minutes(2))) == []


def test_operations_is_paged_for_a_tier_that_never_opened_once_nothing_is_awaited() -> None:
    policy = replace(DEFAULT, is_suspicion_on=False)
    of = context(awaited("email"), addresses=CALLED, severity=CRITICAL, policy=policy)
    over = decide(of, event="timer_due", now=NOW + minutes(30))
    assert (over.after.state, alerts(over)) == (EXHAUSTED, [UNPROVEN])


def test_pages_that_failed_long_before_the_last_timer_are_told_to_operations() -> None:
    tiers = (DEFAULT.tiers[0], replace(DEFAULT.tiers[1], rules=(Unacknowledged(after=minutes(120)),)))
    of = context(failed("email"), addresses="email", severity=CRITICAL, policy=replace(DEFAULT, tiers=tiers))
    over = decide(of, event="timer_due", now=NOW + minutes(121))
    assert (over.after.state, alerts(over)) == (EXHAUSTED, [UNPROVEN])


def test_a_late_bounce_that_leaves_only_what_is_unproven_pages_nobody() -> None:
    of = context(awaited("email"), failed("sms", tier=2), tier=2, addresses=CALLED, severity=CRITICAL, state=REACHED)
    late = decide(of, event="received", now=NOW + minutes(61))
    assert (late.after.state, alerts(late)) == (EXHAUSTED, [replace(UNPROVEN, is_paging=False)])


def test_a_round_that_goes_back_to_waiting_and_is_unproven_pages_operations_at_once() -> None:
    of = context(awaited("email"), tier=3, addresses="email", severity=CRITICAL, state=REACHED)
    bounced = decide(of, event="received", now=NOW + minutes(2))
    assert (bounced.after.state, alerts(bounced)) == (ACTIVE, [UNPROVEN])
    assert decide(replace(of, escalation=bounced.after), event="timer_due", now=NOW + minutes(2)).effects == ()


@pytest.mark.parametrize(
    "arrived",
    [
        page("slack", SENT, attempt(1, Result.ACCEPTED, evidence=Evidence.ACCEPTED)),
        page("slack", DELIVERED, attempt(1, Result.DELIVERED, evidence=Evidence.CARRIER)),
        page("voice", FAILED, attempt(1, Result.TEMPORARY_FAILURE, evidence=Evidence.HUMAN), tier=3),
    ],
    ids=["no receipt can come", "delivered", "a key was pressed"],
)
def test_one_page_that_arrived_is_enough(arrived: NotificationFacts) -> None:
    of = context(awaited("email"), failed("sms", tier=2), arrived, tier=3, addresses=f"{CALLED} slack", severity=CRITICAL)
    over = decide(of, event="timer_due", now=NOW + minutes(30))
    assert (over.after.state, alerts(over)) == (REACHED, [])


@pytest.mark.parametrize(
    "rang",
    [
        awaited("voice", tier=3),
        page("voice", FAILED, attempt(1, Result.TEMPORARY_FAILURE, evidence=Evidence.CARRIER), tier=3),
    ],
    ids=["a call was accepted", "nobody answered the call"],
)
def test_a_call_arrives_only_by_a_pressed_key(rang: NotificationFacts) -> None:
    of = context(awaited("email"), failed("sms", tier=2), rang, tier=3, addresses=CALLED, severity=CRITICAL)
    over = decide(of, event="timer_due", now=NOW + minutes(30))
    assert (over.after.state, alerts(over)) == (EXHAUSTED, [UNPROVEN])


def test_a_call_of_which_no_receipt_can_come_is_awaited_until_it_is_overdue() -> None:
    call = awaited("voice", tier=3, unproven_at=NOW + minutes(1))
    of = context(failed("email"), failed("sms", tier=2), call, tier=3, addresses=CALLED, severity=CRITICAL)
    waiting = decide(of, event="recorded", now=NOW + seconds(30))
    assert (waiting.after.state, waiting.after.next_decision_at) == (ACTIVE, NOW + minutes(1))
    over = decide(replace(of, escalation=waiting.after), event="timer_due", now=NOW + minutes(1))
    assert over.after.state is EXHAUSTED
    assert page_rules.overdue_receipts(of, NOW + minutes(2)) == frozenset()


@pytest.mark.parametrize(("severity", "reasons"), [(Severity.ERROR, ["unconfirmed"]), (Severity.WARNING, [])])
def test_below_critical_a_round_of_which_nothing_arrived_is_reached_and_linked_if_an_error(
    severity: Severity, reasons: list[str]
) -> None:
    of = context(awaited("email"), failed("sms", tier=2), tier=2, addresses="email sms", severity=severity)
    assert alerts(decide(of, event="timer_due", now=NOW + minutes(29))) == []
    over = decide(of, event="timer_due", now=NOW + minutes(30))
    assert over.after.state is REACHED
    assert alerts(over) == [AlertOperations(reason=each, is_paging=False) for each in reasons]


def readdressed(minute: float, *, was_lost: bool = True, of: DecisionContext | None = None, **given: Any) -> Decided:
    """Change the address of somebody so many minutes after NOW, when a changed address had started the round."""
    facts = {"state": EXHAUSTED, "readdressed_at": NOW, "addresses": "email", "severity": CRITICAL}
    this = of or context(failed("email"), **facts | given)
    return escalations.change_address(this, was_lost=was_lost, now=NOW + minutes(minute))


def starts(decided: Decided) -> list[StartRound]:
    return [effect for effect in decided.effects if isinstance(effect, StartRound)]


READDRESSED = StartRound(repetition=1, is_readdressed=True)


def test_a_changed_address_starts_a_round_unless_one_is_young() -> None:
    assert starts(readdressed(1, readdressed_at=None)) == [READDRESSED]
    young = readdressed(14)
    assert (starts(young), young.after.readdress_at, young.after.next_round_at) == ([], NOW + minutes(15), NOW + minutes(15))
    assert starts(readdressed(15)) == [READDRESSED]
    assert starts(readdressed(15, was_lost=False)) == []
    assert readdressed(15, state=EscalationState.ACKNOWLEDGED).effects == ()


def test_the_round_of_a_changed_address_is_due_when_the_last_one_is_old_enough() -> None:
    of = context(failed("email"), state=EXHAUSTED, readdressed_at=NOW, addresses="email", severity=CRITICAL)
    waiting = replace(of, escalation=readdressed(5, of=of).after)
    early = decide(waiting, event="round_due", now=NOW + minutes(14))
    assert (starts(early), early.after.next_round_at) == ([], NOW + minutes(15))
    assert starts(decide(waiting, event="round_due", now=NOW + minutes(15))) == [READDRESSED]
    arrived = replace(waiting, notifications=(page("email", DELIVERED),))
    over = decide(arrived, event="round_due", now=NOW + minutes(15))
    assert (starts(over), over.after.readdress_at, over.after.next_round_at) == ([], None, None)
    paused = replace(
        waiting, paused_intervals=(PausedInterval(began_at=NOW + minutes(6), ended_at=NOW + minutes(16), is_for_critical=True),)
    )
    later = decide(paused, event="round_due", now=NOW + minutes(16))
    assert (starts(later), later.after.next_round_at) == ([], NOW + minutes(25))


def test_the_rounds_of_the_policy_go_on_beside_that_of_a_changed_address() -> None:
    timer = {"policy": INSISTENT, "next_round_at": NOW + minutes(30), "started_at": NOW + minutes(15)}
    of = context(failed("email"), state=EXHAUSTED, readdressed_at=NOW + minutes(10), addresses="email", **timer)
    waiting = readdressed(16, of=of).after
    assert (waiting.readdress_at, waiting.next_round_at) == (NOW + minutes(25), NOW + minutes(25))
    reached = replace(of, escalation=waiting, notifications=(page("email", DELIVERED),))
    assert decide(reached, event="round_due", now=NOW + minutes(25)).after.next_round_at == NOW + minutes(30)


def test_an_end_stops_the_round_of_a_changed_address() -> None:
    waiting = context(failed("email"), state=EXHAUSTED, readdress_at=NOW, readdressed_at=NOW, addresses="email")
    assert escalations.acknowledge(waiting, now=NOW).after.readdress_at is None


def round_due(minute: float, *, repetition: int = 1, of: DecisionContext | None = None, **given: object) -> Decided:
    """Let the timer of a recipient's rounds, as it was set at the start, run out so many minutes after it."""
    timer = {"next_round_at": NOW + minutes(15), "repetition": repetition, "policy": INSISTENT}
    this = of or context(page("email", DELIVERED), **{"addresses": "email", **timer, **given})
    return decide(this, event="round_due", now=NOW + minutes(minute))


def test_the_timer_of_rounds_is_set_at_the_start_where_the_policy_has_rounds_for_the_severity() -> None:
    assert start("email", policy=INSISTENT).after.next_round_at == NOW + minutes(15)
    assert start("pigeon", policy=INSISTENT).after.next_round_at == NOW + minutes(15)
    assert start("email", policy=INSISTENT, severity=INFO).after.next_round_at is None
    assert start("email").after.next_round_at is None


@pytest.mark.parametrize("state", [ACTIVE, REACHED, EXHAUSTED])
@pytest.mark.parametrize("repetition", [1, 2])
def test_a_round_is_followed_by_the_next_and_opens_no_tier_any_more(state: EscalationState, repetition: int) -> None:
    decided = round_due(15, repetition=repetition, state=state, addresses="email sms")
    assert decided.effects == (StartRound(repetition=repetition + 1),)
    assert decided.after.next_round_at is None
    assert [(step.event, step.detail) for step in decided.steps] == [("round_due", {"repetition": str(repetition)})]


@pytest.mark.parametrize("state", [ACTIVE, REACHED, EXHAUSTED])
def test_whoever_lets_the_last_round_pass_is_a_critical_failure_reached_or_not(state: EscalationState) -> None:
    decided = round_due(15, repetition=3, state=state)
    assert alerts(decided) == [AlertOperations(reason="unanswered", is_paging=True)]
    assert (decided.after.critical_at, decided.after.next_round_at) == (NOW + minutes(15), None)
    again = replace(context(page("email", DELIVERED), addresses="email"), escalation=decided.after)
    assert round_due(60, of=again).effects == ()


def test_a_round_is_not_due_before_its_time_nor_without_a_timer() -> None:
    early = round_due(14, state=REACHED)
    assert (early.effects, early.steps, early.after.next_round_at) == ((), (), NOW + minutes(15))
    assert round_due(15, next_round_at=None).effects == ()


def test_an_outage_puts_the_next_round_off() -> None:
    of = context(page("email", DELIVERED), addresses="email", policy=INSISTENT, next_round_at=NOW + minutes(15))
    of = replace(of, outages=(Outage(began_at=NOW + minutes(3), ended_at=NOW + minutes(63)),))
    assert round_due(63, of=of).after.next_round_at == NOW + minutes(75)
    assert decide(of, now=NOW + minutes(63)).after.next_round_at == NOW + minutes(75)
    assert round_due(75, of=of).effects == (StartRound(repetition=2),)


def test_an_end_stops_the_timer_of_rounds() -> None:
    of = context(page("email", DELIVERED), policy=INSISTENT, next_round_at=NOW + minutes(15))
    assert escalations.acknowledge(of, now=NOW).after.next_round_at is None
    assert escalations.close(of, event="replaced", now=NOW).after.next_round_at is None


@pytest.mark.parametrize("state", [ACTIVE, REACHED, EXHAUSTED])
def test_an_acknowledgement_ends_it_and_stops_its_pages(state: EscalationState) -> None:
    decided = escalations.acknowledge(context(page(), state=state, next_decision_at=NOW), now=NOW)
    assert (decided.after.state, decided.after.next_decision_at) == (EscalationState.ACKNOWLEDGED, None)
    assert decided.effects == (StopPages(event="acknowledged"),)
    assert [(step.event, step.source) for step in decided.steps] == [("acknowledged", state)]


@pytest.mark.parametrize("event", ["resolved", "replaced"])
@pytest.mark.parametrize(("state", "ends"), [(ACTIVE, EscalationState.CANCELLED), (REACHED, REACHED), (EXHAUSTED, EXHAUSTED)])
def test_a_close_cancels_what_is_active_and_leaves_the_rest_as_it_ended(
    state: EscalationState, ends: EscalationState, event: str
) -> None:
    decided = escalations.close(context(page(), state=state, next_decision_at=NOW), event=event, now=NOW)
    assert (decided.after.state, decided.after.is_current, decided.after.next_decision_at) == (ends, False, None)
    assert decided.effects == (StopPages(event=event),)
    assert len(decided.steps) == (state is not ends)


@pytest.mark.parametrize(
    "given",
    [{"state": EscalationState.ACKNOWLEDGED}, {"state": EscalationState.CANCELLED}, {"state": REACHED, "is_current": False}],
    ids=["acknowledged", "cancelled", "closed"],
)
def test_whatever_comes_after_the_end_is_late(given: dict[str, object]) -> None:
    of = context(failed("email"), failed("slack"), **given)
    for event in ("recorded", "received", "timer_due", "address_added", "round_due"):
        assert decide(of, event=event) == Decided(after=of.escalation)
    assert escalations.acknowledge(of, now=NOW) == Decided(after=of.escalation)


def test_an_acknowledged_escalation_can_be_closed_by_a_newer_round() -> None:
    of = context(state=EscalationState.ACKNOWLEDGED)
    decided = escalations.close(of, event="replaced", now=NOW)
    assert decided == Decided(after=replace(of.escalation, is_current=False))


def test_a_policy_of_ones_own_is_followed() -> None:
    tiers = (
        Tier(name="first", channels=("pager",)),
        Tier(name="then", channels=("sms", "email"), rules=(Unacknowledged(after=minutes(2)), Failed(at_least=1))),
    )
    policy = Policy(name="own", tiers=tiers)
    facts = escalation(policy=policy)
    of = DecisionContext(
        escalation=facts, incident=incident(), notifications=(page("pager", SENT),), addresses=frozenset({"pager", "sms"})
    )
    assert decide(of).after.next_decision_at == NOW + minutes(2)
    assert opened(decide(of, event="timer_due", now=NOW + minutes(2))) == [(2, ("sms",))]


def test_the_last_round_alerts_operations_once_a_day_in_a_series() -> None:
    series = Series(first_id="first", severity=Severity.ERROR, openings=(NOW,), told_at={Severity.ERROR: NOW - HOUR})
    timer = {"next_round_at": NOW + minutes(15), "repetition": 3, "policy": INSISTENT, "addresses": "email"}
    told = context(page("email", DELIVERED), about=incident(series=series), **timer)
    decided = round_due(15, of=told)
    assert alerts(decided) == [AlertOperations(reason="unanswered", is_paging=False)]
    assert decided.after.critical_at == NOW + minutes(15), "it is linked all the same"
    worse = replace(told, escalation=replace(told.escalation, severity=CRITICAL))
    assert [each.is_paging for each in alerts(round_due(15, of=worse))] == [True]
