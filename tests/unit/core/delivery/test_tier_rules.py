"""How the tiers of an earlier incident of a series go on, and when nothing that is left can reach the recipient."""

from dataclasses import replace
from typing import Any

import pytest

from notifyflow.core.delivery import tier_rules
from notifyflow.core.delivery.earlier_pages import Earlier
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import IncidentState, NotificationState, Result, Severity
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.policy import INSISTENT
from notifyflow.core.delivery.series_carried import Carried, EarlierPage
from tests.facts import NOW, attempt, context, incident, minutes, page

CRITICAL, ERROR = Severity.CRITICAL, Severity.ERROR
FAILED, DELIVERED, SENT, CANCELLED = (
    NotificationState.FAILED,
    NotificationState.DELIVERED,
    NotificationState.SENT,
    NotificationState.CANCELLED,
)


def before(channel: str, tier: int, state: NotificationState = CANCELLED, *, ago: float = 4) -> Earlier:
    """Make a page of the incident before, whose attempt was accepted, or refused for good, so many minutes ago."""
    result = Result.PERMANENT_FAILURE if state is FAILED else Result.ACCEPTED
    row = page(channel, state, attempt(1, result, started_at=NOW - minutes(ago)), id=f"old-{channel}", tier=tier)
    return Earlier(EarlierPage(notification_id=row.id, tier=tier, channel=channel), row)


def in_series(
    *pages: NotificationFacts, earlier: tuple[Earlier, ...] = (), clock: float = 6, is_first: bool = True, **fields: Any
) -> DecisionContext:
    """Make the context of a round that had opened its second tier before the incident, after so many minutes."""
    carried = Carried(clock=minutes(clock), tier=2, is_first=is_first, pages=tuple(each.page for each in earlier))
    given = {"policy": INSISTENT, "tier": 2, "carried": carried, "addresses": "email sms voice"} | fields
    return replace(context(*pages, **given), earlier=earlier)


def test_at_an_opening_the_first_tier_pages_again_at_once_and_later_ones_ten_minutes_after_their_last_page() -> None:
    of = in_series(earlier=(before("email", 1), before("sms", 2)))
    assert list(tier_rules.paging_again(of, NOW)) == [(1, ("email",))]
    assert list(tier_rules.paging_again(of, NOW + minutes(6))) == [(1, ("email",)), (2, ("sms",))]
    assert tier_rules.next_decision_at(of, NOW, is_opening=False) == NOW + minutes(4), "the timer of the call goes on"
    assert tier_rules.is_tier_timer_running(of, NOW)


def test_where_a_later_step_had_paged_them_the_first_tier_waits_too() -> None:
    of = in_series(earlier=(before("email", 1, ago=7), before("sms", 2)), is_first=False)
    assert list(tier_rules.paging_again(of, NOW)) == []
    assert list(tier_rules.paging_again(of, NOW + minutes(3))) == [(1, ("email",))]


def test_a_tier_pages_again_once_an_opening_and_only_while_the_incident_is_open() -> None:
    of = in_series(page("email"), earlier=(before("email", 1), before("sms", 2, ago=20)))
    assert list(tier_rules.paging_again(of, NOW)) == [(2, ("sms",))]
    assert list(tier_rules.paging_again(in_series(page("email"), page("sms", tier=2)), NOW)) == []
    assert list(tier_rules.paging_again(replace(of, incident=incident(state=IncidentState.RESOLVED)), NOW)) == []
    assert list(tier_rules.paging_again(context(), NOW)) == [], "it is no series"


def test_a_channel_that_had_no_page_before_is_paged_at_the_opening() -> None:
    assert list(tier_rules.paging_again(in_series(is_first=False), NOW)) == [(1, ("email",)), (2, ("sms",))]


def test_a_failure_before_the_opening_opens_the_next_tier_once_it_counts() -> None:
    failed = in_series(earlier=(before("sms", 2, FAILED),))
    assert tier_rules.reason_to_open(failed, NOW) == "failed"
    assert tier_rules.reason_to_open(in_series(earlier=(before("sms", 2, DELIVERED),)), NOW) is None


@pytest.mark.parametrize("severity", [CRITICAL, ERROR])
def test_a_receipt_that_was_awaited_before_counts_as_overdue_later_only_if_critical(severity: Severity) -> None:
    awaited = attempt(1, Result.ACCEPTED, started_at=NOW - minutes(11), receipt_due_at=NOW)
    silent = before("sms", 2)
    silent = replace(silent, row=replace(silent.row, state=SENT, attempts=(awaited,)))
    of = in_series(page("email", DELIVERED), page("sms", tier=2), earlier=(silent,), severity=severity, clock=0)
    assert tier_rules.reason_to_open(of, NOW + minutes(0.9)) is None
    assert tier_rules.reason_to_open(of, NOW + minutes(1)) == ("failed" if severity is CRITICAL else None)
    overdue_at, timer = NOW + minutes(1), NOW + minutes(10)
    assert tier_rules.next_decision_at(of, NOW, is_opening=False) == (overdue_at if severity is CRITICAL else timer)


def test_once_the_last_round_has_passed_no_tier_is_left() -> None:
    of = in_series(repetition=4, earlier=(before("sms", 2, FAILED),))
    assert tier_rules.has_passed_rounds(of.escalation)
    assert tier_rules.next_tier(of) is None
    assert tier_rules.reason_to_open(of, NOW) is None
    assert not tier_rules.has_passed_rounds(in_series(repetition=3).escalation)


def test_the_timer_of_a_tier_goes_on_where_it_stood_before_the_opening() -> None:
    assert tier_rules.reason_to_open(in_series(), NOW + minutes(3.9)) is None
    assert tier_rules.reason_to_open(in_series(), NOW + minutes(4)) == "unacknowledged"
    assert tier_rules.reason_to_open(in_series(clock=11), NOW) == "unacknowledged"


def test_a_channel_is_lost_if_its_page_failed_nothing_arrived_and_no_tier_is_left() -> None:
    def has_lost(*rows: NotificationFacts, channels: str = "email", **fields: Any) -> bool:
        of = context(*rows, **({"severity": CRITICAL, "addresses": "email slack", "tier": 3} | fields))
        return tier_rules.has_lost(of, channels.split(), NOW)

    failed = page("email", FAILED)
    assert has_lost(failed)
    assert not has_lost(failed, channels="slack")
    assert not has_lost(failed, page("slack", DELIVERED))
    assert not has_lost(page("email"))
    assert not has_lost(failed, severity=ERROR)
    assert not has_lost(failed, tier=1, addresses="email voice"), "the call is left"
    resolved = incident(state=IncidentState.RESOLVED)
    assert has_lost(failed, tier=1, addresses="email voice", about=resolved), "the call will not come"
