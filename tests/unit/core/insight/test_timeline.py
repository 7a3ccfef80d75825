"""The timeline has an entry for every line of the log, and for what the rows add to it."""

from dataclasses import replace
from datetime import datetime

from notifyflow.core.delivery.facts import NotificationFacts, Transition
from notifyflow.core.delivery.model import (
    Contact,
    DeferralReason,
    Incident,
    Kind,
    Result,
    Severity,
)
from notifyflow.core.delivery.policy import DEFAULT, Unacknowledged
from notifyflow.core.insight.timeline import ALERTED, CRITICAL, HELD_UP, NOTED, SILENCED, UNHEARD, UNTOLD, TimelineEntry, timeline
from notifyflow.core.insight.views import EscalationStatus, IncidentSilence, IncidentStatus, Note
from notifyflow.core.messages.looks import Tone
from tests.facts import NOW, attempt, escalation, incident, minutes, page, seconds
from tests.statuses import EVENT

ADA = Contact(recipient_id="ada", name="Ada", addresses={"email": "ada@example.com", "sms": "+15005550006"})
REFUSED = {"attempt": "a1", "code": "30006", "reason": "the number is a landline"}


def line(machine: str, row_id: str, event: str, target: str, after_s: float = 0, **detail: str) -> Transition:
    at = NOW + seconds(after_s)
    return Transition(machine=machine, row_id=row_id, version=1, event=event, source="", target=target, at=at, detail=detail)


def row(channel: str, *, after_s: float = 0, **fields: object) -> NotificationFacts:
    return page(channel, created_at=NOW + seconds(after_s), **fields)  # type: ignore[arg-type]


def status(*lines: Transition, rows: tuple[NotificationFacts, ...] = (), **more: object) -> IncidentStatus:
    """Make an incident with one escalation, whose facts may be among the keywords."""
    facts = escalation(**{name: more.pop(name) for name in list(more) if name not in IncidentStatus.__slots__})
    made = IncidentStatus(
        facts=incident(),
        content=Incident(key="db-1", title="orders db is down"),
        escalations=(EscalationStatus(facts=facts, contact=ADA, notifications=rows),),
        transitions=lines,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def told(of: IncidentStatus) -> tuple[TimelineEntry, ...]:
    return timeline(of, explain=lambda channel, code: f"{channel} says {code}")


def only(of: IncidentStatus) -> TimelineEntry:
    (entry,) = told(of)
    return entry


def test_each_line_of_the_log_is_a_moment_by_time_and_in_its_order() -> None:
    lines = (
        line("incident", "i", "opened", "OPEN"),
        line("escalation", "e", "started", "ACTIVE", tier="1", round="1", recipient="ada"),
        line("notification", "n-email", "queued", "QUEUED"),
        line("notification", "n-email", "claimed", "SENDING", 2, attempt="a1", provider="smtp"),
        line("notification", "n-slack", "queued", "QUEUED"),  # committed later
        line("notification", "n-email", "accepted", "SENT", 3, attempt="a1"),
    )
    found = told(status(*lines, rows=(row("email", attempts=(attempt(1, Result.ACCEPTED),)), row("slack"))))
    assert [each.event for each in found] == ["opened", "started", "queued", "queued", "claimed", "accepted"]
    assert [each.event for each in found if not each.is_minor] == ["opened", "started", "accepted"]
    assert [each.tone for each in found] == [*[Tone.PLAIN] * 5, Tone.GOOD]
    opened, started = found[:2]
    assert (opened.severity, opened.recipient_id) == (Severity.ERROR, None)
    assert (started.recipient_id, started.round, started.tier, started.channels) == ("ada", 1, "primary", ("email", "slack"))
    assert (found[4].provider, found[4].attempt, found[4].channel, found[4].kind) == ("p", 1, "email", Kind.PAGE)


def test_a_recipient_who_cannot_be_paged_has_the_reason() -> None:
    entry = only(status(line("escalation", "e", "started", "EXHAUSTED", tier="0"), reason="no address", tier=0))
    assert (entry.reason, entry.tone, entry.tier, entry.channels) == ("no address", Tone.BAD, "", ())


def test_a_failure_names_what_replaces_it_and_the_tier_how_many_ways_failed() -> None:
    lines = (
        line("notification", "n-email", "queued", "QUEUED"),
        line("notification", "n-slack", "queued", "QUEUED"),
        line("notification", "n-teams", "queued", "QUEUED"),
        line("notification", "n-email", "refused_for_good", "FAILED", 1, **REFUSED),
        line("notification", "n-slack", "refused_for_good", "FAILED", 2, **REFUSED),
        line("escalation", "e", "tier_opened", "ACTIVE", 2, tier="2", why="failed"),
        line("notification", "n-sms", "queued", "QUEUED", 2),
    )
    first = [row(channel, attempts=(attempt(1, Result.PERMANENT_FAILURE),)) for channel in ("email", "slack", "teams")]
    found = told(status(*lines, rows=(*first, row("sms", tier=2, after_s=2))))
    alone, last, opened = found[3:6]
    assert (alone.channels, last.channels) == ((), ("sms",))
    assert (last.code, last.reason, last.tone, last.is_minor) == ("30006", "the number is a landline", Tone.BAD, False)
    assert (opened.tier, opened.channels, opened.why) == ("secondary", ("sms",), "failed")
    assert (opened.failed, opened.suspected, opened.pages, opened.tone) == (2, 0, 3, Tone.UNSURE)


def test_a_tier_that_opens_on_suspicion_names_how_many_count_as_failed() -> None:
    lines = (
        line("notification", "n-email", "queued", "QUEUED"),
        line("notification", "n-slack", "queued", "QUEUED"),
        line("notification", "n-email", "refused_for_good", "FAILED", **REFUSED),
        line("escalation", "e", "tier_opened", "ACTIVE", 30, tier="2", why="failed"),
    )
    rows = (row("email", attempts=(attempt(1, Result.PERMANENT_FAILURE),)), row("slack"), row("teams", after_s=60))
    opened = told(status(*lines, rows=rows))[-1]
    assert (opened.failed, opened.suspected, opened.pages, opened.channels) == (1, 1, 2, ())
    timed = replace(DEFAULT, tiers=(DEFAULT.tiers[0], replace(DEFAULT.tiers[1], rules=(Unacknowledged(after=minutes(5)),))))
    late = told(status(replace(lines[-1], detail={"tier": "2", "why": "unacknowledged"}), rows=rows, policy=timed))[-1]
    assert (late.failed, late.suspected, late.why) == (0, 0, "unacknowledged")


def test_a_code_without_a_stored_meaning_is_explained_by_its_channel() -> None:
    lines = [line("notification", "n-sms", "refused", "QUEUED", attempt="a1", code="30003"), line(*_doubt)]
    refused, doubted = told(status(*lines, rows=(row("sms", attempts=(attempt(1, Result.IN_DOUBT, is_our_fault=True),)),)))
    assert (refused.reason, refused.is_our_fault, refused.tone) == ("sms says 30003", True, Tone.UNSURE)
    assert (doubted.reason, doubted.is_our_fault, doubted.tone) == ("", False, Tone.UNSURE)


_doubt = ("notification", "n-sms", "lease_expired", "QUEUED")


def test_a_deferral_has_its_reason_and_its_end() -> None:
    until = (NOW + minutes(2)).isoformat(timespec="seconds")
    entry = only(
        status(line("notification", "n-sms", "deferred", "QUEUED", why="limit", provider="", until=until), rows=(row("sms"),))
    )
    assert (entry.deferred_by, entry.until, entry.why) == (DeferralReason.LIMIT, NOW + minutes(2), "")
    assert (entry.tone, entry.is_minor) == (Tone.UNSURE, False)


def test_a_silence_has_its_author_its_end_and_its_reason() -> None:
    silence = IncidentSilence(silence_id="s-1", began_at=NOW, ended_at=NOW + minutes(120), author="Grace", reason="upgrade")
    entry = only(status(silences=(silence,)))
    assert (entry.at, entry.event, entry.by, entry.until, entry.reason) == (NOW, SILENCED, "Grace", silence.ended_at, "upgrade")


def test_an_attempt_after_a_doubt_is_no_minor_matter() -> None:
    again = line("notification", "n-sms", "claimed", "SENDING", attempt="a1", provider="p", after_doubt="a0")
    entry = only(status(again, rows=(row("sms", attempts=(attempt(1),)),)))
    assert (entry.is_repeated, entry.is_minor, entry.tone) == (True, False, Tone.UNSURE)


def test_what_follows_from_an_acknowledgement_is_minor() -> None:
    lines = (
        line("incident", "i", "acknowledged", "ACKNOWLEDGED", by="ada", via="key"),
        line("escalation", "e", "acknowledged", "ACKNOWLEDGED", by="ada", via="key"),
        line("notification", "n-sms", "acknowledged", "CANCELLED"),
    )
    found = told(status(*lines, rows=(row("sms"),)))
    assert [(each.is_minor, each.by, each.via) for each in found] == [(False, "ada", "key"), (True, "ada", "key"), (True, "", "")]
    assert found[0].tone is Tone.GOOD


def test_a_decision_is_minor_if_paging_goes_on() -> None:
    lines = (
        line("escalation", "e", "recorded", "REACHED"),
        line("escalation", "e", "received", "ACTIVE", 1),
        line("escalation", "e", "round_due", "ACTIVE", 2, repetition="1"),
        line("escalation", "e", "timer_due", "EXHAUSTED", 3),
    )
    found = told(status(*lines))
    assert [each.is_minor for each in found] == [False, True, False, False]
    assert [each.tone for each in found] == [Tone.GOOD, Tone.PLAIN, Tone.UNSURE, Tone.BAD]


def test_a_raised_severity_is_that_of_the_round_that_it_starts() -> None:
    raised = line("incident", "i", "severity_raised", "OPEN")
    assert only(status(raised, severity=Severity.CRITICAL)).severity is Severity.CRITICAL
    before = only(status(raised, severity=Severity.CRITICAL, started_at=NOW - minutes(1)))
    assert before.severity is Severity.ERROR, "the present one, where no round follows"


def test_a_critical_failure_and_its_alert_are_moments() -> None:
    def events(critical_at: datetime | None, alerted_at: datetime | None, *told_at: datetime, **fields: bool) -> list[str]:
        found = told(replace(status(critical_at=critical_at, alerted_at=alerted_at), operations_told_at=told_at, **fields))
        assert all(each.recipient_id == "ada" and each.tone is Tone.BAD for each in found)
        return [each.event for each in found]

    assert events(None, None) == []
    assert events(NOW, None) == [CRITICAL]
    assert events(NOW, NOW) == events(NOW, NOW, NOW - minutes(1)) == [UNTOLD]
    assert events(NOW, NOW, NOW - minutes(1), NOW + minutes(2)) == [ALERTED]
    assert events(NOW, NOW + minutes(1), NOW + minutes(2)) == [CRITICAL, ALERTED]
    assert events(NOW, NOW, has_operations_recipients=False) == [UNHEARD]
    assert [each.event for each in told(status(held_up_at=NOW))] == [HELD_UP]


def test_a_note_is_about_its_attempt() -> None:
    note = Note(attempt_id="a1", code="complaint", reason="", received_at=NOW)
    entry = only(status(rows=(row("email", attempts=(attempt(1, Result.ACCEPTED),)),), notes=(note,)))
    assert (entry.event, entry.channel, entry.provider, entry.recipient_id) == (NOTED, "email", "p", "ada")
    assert entry.reason == "email says complaint"


def test_an_event_for_a_subscriber_concerns_no_recipient() -> None:
    event = replace(row("webhook", escalation_id="other"), incident_event=EVENT, kind=Kind.INCIDENT_EVENT)
    entry = only(status(line("notification", "n-webhook", "queued", "QUEUED"), incident_events=(event,)))
    assert (entry.subscriber, entry.incident_event, entry.recipient_id) == ("status", "opened", None)


def test_a_recipient_has_a_name_and_anybody_else_the_one_they_gave() -> None:
    assert [status().name_of(who) for who in ("ada", "eve", "")] == ["Ada", "eve", ""]


def test_what_one_call_carried_says_with_how_many_others() -> None:
    lines = (
        line("notification", "n-email", "claimed", "SENDING", 2, attempt="a1", provider="smtp", together="3"),
        line("notification", "n-email", "accepted", "SENT", 3, attempt="a1"),
    )
    carried = attempt(1, Result.ACCEPTED, sent_with="a0", position=3, is_named=False)
    found = told(status(*lines, rows=(row("email", attempts=(carried,)),)))
    assert [(each.others, each.is_named) for each in found] == [(3, False), (3, False)]


def test_a_page_that_waits_for_others_says_until_when() -> None:
    until = (NOW + seconds(40)).isoformat(timespec="seconds")
    entry = only(status(line("notification", "n-sms", "postponed", "QUEUED", until=until), rows=(row("sms"),)))
    assert (entry.until, entry.deferred_by, entry.is_minor, entry.tone) == (NOW + seconds(40), None, False, Tone.PLAIN)
