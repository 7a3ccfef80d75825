"""Every entry of an incident has a sentence that a person understands at three in the morning."""

from dataclasses import replace
from itertools import chain

import pytest

from notifyflow.core.delivery.facts import Transition
from notifyflow.core.delivery.machines import MACHINES
from notifyflow.core.delivery.model import DeferralReason, Kind, Severity
from notifyflow.core.insight.timeline import ALERTED, CRITICAL, NOTED, UNHEARD, UNTOLD, TimelineEntry
from notifyflow.core.insight.timeline_words import sentence
from tests.facts import NOW
from tests.invariants import check_timeline
from tests.statuses import OPEN

NAMES = {"ada": "Ada", "ben": "Ben"}
FIRST = (("incident", "opened", "OPEN"), ("escalation", "started", "ACTIVE"), ("notification", "queued", "QUEUED"))
MOVES = sorted(
    (name, event.name, target)
    for name, machine in MACHINES.items()
    for event in machine.table.events
    for target in chain.from_iterable(event.moves.values())
)


def said(machine: str, event: str, state: str = "", **fields: object) -> str:
    entry = TimelineEntry(at=NOW, machine=machine, event=event, row_id="x", state=state, **fields)  # type: ignore[arg-type]
    return sentence(entry, name=lambda who: NAMES.get(who, who), brief=lambda at: f"{at:%H:%M}")


def of_page(event: str, state: str = "", channel: str = "sms", **fields: object) -> str:
    return said("notification", event, state, **{"recipient_id": "ada", "channel": channel, "kind": Kind.PAGE, **fields})


@pytest.mark.parametrize(("machine", "event", "state"), [*FIRST, *MOVES])
def test_every_move_of_every_machine_has_words(machine: str, event: str, state: str) -> None:
    text = said(machine, event, state, recipient_id="ada", channel="sms", kind=Kind.PAGE, by="ben", via="api")
    assert "{" not in text
    assert "None" not in text.replace("as None", "").replace("to None", "").replace("attempt None", "")


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (said("incident", "opened", severity=Severity.CRITICAL), "opened as CRITICAL"),
        (said("incident", "severity_raised", severity=Severity.CRITICAL), "severity raised to CRITICAL: everybody is paged anew"),
        (said("incident", "acknowledged", "ACKNOWLEDGED", by="ada", via="key"), "Ada acknowledged by phone"),
        (said("incident", "acknowledged", "OPEN", by="ada", via="sms"), "Ada acknowledged by text, for themselves only"),
        (said("incident", "resolved", by="eve", via="alertmanager"), "eve resolved it through Alertmanager"),
        (said("incident", "paged_again", by="ben", via="dial-in", recipient_id="ada"), "Ben paged Ada again through dial-in"),
        (said("incident", "paged_again"), "notifyflow paged everybody again"),
    ],
)
def test_what_people_did_names_them_and_how(shown: str, text: str) -> None:
    assert shown == text


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (
            said("escalation", "started", "ACTIVE", recipient_id="ada", round=1, channels=("email", "slack", "pager")),
            "Ada is paged: mail, Slack message and pager message",
        ),
        (
            said("escalation", "started", "ACTIVE", recipient_id="ada", round=2, channels=("email",)),
            "round 2: Ada is paged: mail",
        ),
        (
            said("escalation", "started", "EXHAUSTED", recipient_id="ada", round=1, reason="no address"),
            "Ada cannot be paged: no address",
        ),
        (said("escalation", "recorded", "REACHED", recipient_id="ada"), "Ada counts as reached"),
        (said("escalation", "timer_due", "EXHAUSTED", recipient_id="ada"), "all ways to Ada have failed"),
        (said("escalation", "round_due", "REACHED", round=1), "round 1: nobody has acknowledged in time"),
        (said("escalation", CRITICAL, recipient_id="ada"), "critical failure for Ada"),
        (said("escalation", ALERTED, recipient_id="ada"), "operations was told about Ada"),
        (
            said("escalation", UNTOLD, recipient_id="ada"),
            "operations is to be told about Ada: no page to operations was accepted so far",
        ),
        (
            said("escalation", UNHEARD, recipient_id="ada"),
            "operations has no recipients (NOTIFYFLOW_OPS_RECIPIENTS), and is not told about Ada",
        ),
    ],
)
def test_an_escalation_tells_whom_it_pages_and_how_it_ends(shown: str, text: str) -> None:
    assert shown == text


@pytest.mark.parametrize(
    ("why", "counts", "text"),
    [
        ("failed", (2, 0, 3), "2 of 3 ways failed"),
        ("failed", (1, 1, 3), "1 of 3 ways failed, and 1 more counted as failed"),
        ("failed", (0, 1, 1), "the only way counts as failed"),
        ("failed", (0, 2, 2), "2 of 2 ways count as failed"),
        ("failed", (1, 0, 1), "the only way failed"),
        ("failed", (2, 0, 2), "all 2 ways failed"),
        ("unacknowledged", (0, 0, 2), "nobody has acknowledged"),
        ("no_address", (0, 0, 0), "the tier before has no address"),
        ("shut", (0, 0, 0), "the tier before is not used for this severity"),
    ],
)
def test_a_tier_says_why_it_opened(why: str, counts: tuple[int, int, int], text: str) -> None:
    failed, suspected, pages = counts
    fields = {"why": why, "failed": failed, "suspected": suspected, "pages": pages, "recipient_id": "ada", "tier": "secondary"}
    assert said("escalation", "tier_opened", "ACTIVE", channels=("sms",), **fields) == (
        f"tier secondary opened for Ada: text, since {text}"
    )


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (
            of_page(
                "refused_for_good",
                "FAILED",
                provider="twilio",
                code="30006",
                reason="the number is a landline",
                channels=("voice",),
                accepted=("voice",),
            ),
            "text to Ada refused (twilio): the number is a landline (30006); the call went out instead",
        ),
        (
            of_page("temporary_failure_reported", "QUEUED", provider="twilio", code="30007", others=3, is_halved=True),
            "text to Ada did not arrive (twilio, in one text with 3 others): 30007; its message leaves again in two halves",
        ),
        (of_page("accepted", "SENT", channel="email", provider="smtp"), "mail to Ada accepted (smtp)"),
        (
            of_page("accepted", "SENT", channel="email", provider="smtp", others=3),
            "mail to Ada accepted (smtp, told in one mail with 3 others)",
        ),
        (
            of_page("accepted", "SENT", provider="twilio", others=36, is_named=False),
            "text to Ada accepted (twilio, counted in one text with 36 others)",
        ),
        (
            of_page("claimed", "SENDING", attempt=1, provider="twilio", others=1),
            "text to Ada: attempt 1 (twilio, in one text with 1 other)",
        ),
        (
            of_page("accepted", "SENT", channel="voice", provider="twilio", others=2),
            "call to Ada accepted (twilio, in one call with 2 others)",
        ),
        (
            of_page("delivery_reported", "DELIVERED", channel="voice", provider="twilio", others=2),
            "call to Ada delivered (twilio, told in one call with 2 others)",
        ),
        (of_page("postponed", "QUEUED", until=NOW), f"text to Ada waits for others until {NOW:%H:%M} at the latest"),
        (
            of_page("postponed", "QUEUED", channel="voice", until=NOW),
            f"call to Ada waits for the next call until {NOW:%H:%M} at the latest",
        ),
        (
            of_page("doubted", "QUEUED", channel="email", provider="smtp", reason="the connection broke"),
            "mail to Ada in doubt (smtp): the connection broke; it is tried again",
        ),
        (
            of_page("lease_expired", "CANCELLED", provider="twilio"),
            "text to Ada in doubt (twilio): its worker gave no result in time; it is not tried again",
        ),
        (
            of_page("refused", "QUEUED", provider="twilio", code="20003", reason="our credentials", is_our_fault=True),
            "text to Ada refused for now (twilio): a fault of ours, our credentials (20003); it is tried again",
        ),
        (of_page("refused", "FAILED", provider="twilio", attempt=5, code="503"), "text to Ada failed (twilio, attempt 5): 503"),
        (
            of_page("deferred", "QUEUED", deferred_by=DeferralReason.LIMIT, until=NOW, provider="twilio"),
            f"text to Ada deferred by a limit until {NOW:%H:%M} (twilio)",
        ),
        (of_page("claimed", "SENDING", attempt=2, provider="sns"), "text to Ada: attempt 2 (sns)"),
        (
            of_page("claimed", "SENDING", attempt=2, provider="sns", is_repeated=True),
            "text to Ada: attempt 2 (sns), after a doubt: it may arrive twice",
        ),
        (
            of_page("capped", "FAILED", channels=("voice",), reason="capped"),
            "text to Ada given up: the hourly limit is used up; the call was queued instead",
        ),
        (
            of_page("capped", "FAILED", channels=("voice", "push"), accepted=("push",), reason="capped"),
            "text to Ada given up: the hourly limit is used up; the push message went out, and the call was queued instead",
        ),
        (of_page(NOTED, provider="ses", code="complaint", channel="email"), "mail to Ada, a report (ses): complaint"),
        (of_page("queued", "QUEUED", channel="pager"), "pager message to Ada queued"),
        (
            said("notification", "queued", recipient_id="ben", channel="slack", kind=Kind.STATUS_UPDATE),
            "status update to Ben (Slack message) queued",
        ),
        (
            said(
                "notification",
                "queued",
                subscriber="grafana",
                incident_event="opened",
                channel="webhook",
                kind=Kind.INCIDENT_EVENT,
            ),
            "opened for grafana queued",
        ),
    ],
)
def test_a_notification_tells_what_became_of_it_and_what_follows(shown: str, text: str) -> None:
    assert shown == text


@pytest.mark.parametrize("why", list(DeferralReason))
def test_every_deferral_has_words(why: DeferralReason) -> None:
    assert of_page("deferred", "QUEUED", deferred_by=why, until=NOW).startswith("text to Ada deferred ")


def test_a_sentence_that_named_an_address_would_be_caught_in_every_world() -> None:
    address = "ada@example.com"
    (ada, *_) = OPEN.escalations
    known = replace(OPEN, escalations=(replace(ada, contact=replace(ada.contact, addresses={"email": address})),))
    line = Transition(
        machine="notification",
        row_id="n-email",
        version=1,
        event="refused_for_good",
        source="",
        target="FAILED",
        at=NOW,
        detail={"attempt": "a1", "reason": f"{address} does not exist"},
    )
    with pytest.raises(AssertionError, match="does not exist"):
        check_timeline(replace(known, transitions=(line,)))
