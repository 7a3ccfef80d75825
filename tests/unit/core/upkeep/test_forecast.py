"""NextEventKind `explain` says contains what the machines do, however long calls take and wherever the jitter falls."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from textwrap import indent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.capabilities import CHAT_BEAT, SHOWN, ChannelCapabilities
from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Failed, Policy, Repeat, Tier, Unacknowledged
from notifyflow.core.insight.next_events import NextEventKind
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.upkeep.forecast import (
    LONGEST_CALL,
    ChannelModel,
    Forecast,
    ForecastRun,
    Obstacles,
    ProviderBehaviour,
    forecast,
    fresh_escalation,
    warnings,
)
from notifyflow.core.upkeep.forecast_document import NOTHING, ForecastDocument, between, span
from tests.capabilities import CALLING
from tests.facts import NOW, context, minutes, seconds
from tests.strategies import CHANNELS, lively_policies, policies, severities

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "policies.rst"
_CHAT = ChannelCapabilities(is_bundled=True, beat=CHAT_BEAT)
MODELS = {
    "email": ChannelModel(providers=("smtp",), capabilities=replace(SHOWN, is_bundled=True)),
    "slack": ChannelModel(providers=("slack",), capabilities=_CHAT),
    "teams": ChannelModel(capabilities=_CHAT),
    "sms": ChannelModel(providers=("twilio", "twilio-b"), has_receipts=True, capabilities=replace(SHOWN, is_bundled=True)),
    "voice": ChannelModel(
        providers=("twilio",), has_receipts=True, capabilities=ChannelCapabilities(is_call=True, is_bundled=True)
    ),
}
DAYS = timedelta(days=366)
ADA = Contact(
    recipient_id="ada",
    name="Ada",
    addresses={"email": "ada@example.com", "slack": "https://hooks.slack.com/x", "sms": "+1", "voice": "+1"},
    timezone="UTC",
)


def fresh(
    policy: Policy = DEFAULT, severity: Severity = Severity.CRITICAL, ways: str = "email slack sms voice"
) -> DecisionContext:
    return context(addresses=ways, policy=policy, severity=severity, tier=0)


def told(
    policy: Policy,
    contact: Contact = ADA,
    *,
    severity: Severity = Severity.CRITICAL,
    has_links: bool = True,
    is_bundling: bool = True,
) -> ForecastDocument:
    return ForecastDocument.of_recipient(
        contact, policy, severity, MODELS, calling=CALLING, has_links=has_links, is_bundling=is_bundling
    )


def ranges(found: Forecast, what: NextEventKind, tier: int | None) -> dict[ProviderBehaviour, tuple[timedelta, timedelta]]:
    return {
        each.behaviour: (each.earliest, each.latest)
        for each in found.expected
        if (each.event.what, each.event.tier) == (what, tier)
    }


models = st.fixed_dictionaries(
    {}, optional={each: st.builds(ChannelModel, providers=st.just(("one",)), has_receipts=st.booleans()) for each in CHANNELS}
)


@given(st.data())
def test_what_happens_lies_within_the_ranges(data: st.DataObject) -> None:
    policy = data.draw(policies() | lively_policies() | st.sampled_from((DEFAULT, INSISTENT)))
    policy = replace(policy, fresh_for=DAYS, fresh_for_critical=DAYS, escalate_within=DAYS)  # much longer than any call
    ways = " ".join(sorted(data.draw(st.sets(st.sampled_from(CHANNELS)))))
    facts = fresh(policy, data.draw(severities), ways)
    carried = data.draw(models)
    behaviour = data.draw(st.sampled_from(ProviderBehaviour))
    takes = data.draw(st.timedeltas(timedelta(), LONGEST_CALL))
    found = forecast(facts, carried)
    for each in ForecastRun(facts, carried, behaviour, takes=takes, fraction=data.draw(st.floats(0, 1))).events():
        if each.what in (NextEventKind.TIER, NextEventKind.OPERATIONS):
            earliest, latest = ranges(found, each.what, each.tier)[behaviour]
            assert each.at is not None
            assert earliest <= each.at - NOW <= latest


def test_by_default_a_text_follows_two_failures_and_a_call_the_text() -> None:
    found = forecast(fresh(severity=Severity.ERROR), MODELS)
    assert (found.first, found.first_tier) == (("email", "slack"), 1)
    assert ranges(found, NextEventKind.TIER, 2) == {
        ProviderBehaviour.REFUSED: (timedelta(), LONGEST_CALL),
        ProviderBehaviour.FAILING: (seconds(450 * 0.9), seconds(450 * 1.1) + 5 * LONGEST_CALL),
    }
    assert set(ranges(found, NextEventKind.TIER, 3)) == {ProviderBehaviour.REFUSED, ProviderBehaviour.FAILING}
    assert found.called_after[ProviderBehaviour.ACCEPTED] is None
    assert (found.rounds_at, found.ends_after, found.expires_after) == ((), None, timedelta(hours=24))


def test_insistent_calls_after_ten_minutes_though_everything_arrives_and_tells_operations_at_the_end() -> None:
    found = forecast(fresh(INSISTENT), MODELS)
    assert ranges(found, NextEventKind.TIER, 3)[ProviderBehaviour.ACCEPTED] == (minutes(10), minutes(10))
    assert found.called_after[ProviderBehaviour.ACCEPTED] == minutes(10)
    assert (found.rounds_at, found.ends_after) == ((minutes(15), minutes(30)), minutes(45))


def test_operations_may_be_told_as_soon_as_nobody_takes_a_call_that_was_wished_for_at_once() -> None:
    """The text may be overdue first: then the tier of calls adopts the call, which is overdue a moment later."""
    wishing = Contact(
        recipient_id="ada", name="Ada", addresses={"sms": "+1", "voice": "+1"}, channels={Severity.CRITICAL: ("voice",)}
    )
    found = forecast(fresh_escalation(wishing, DEFAULT, Severity.CRITICAL, CALLING), MODELS)
    earliest, latest = ranges(found, NextEventKind.OPERATIONS, None)[ProviderBehaviour.SILENT]
    assert round(earliest.total_seconds(), 1) == 60
    assert latest > seconds(120)


def test_a_call_that_nobody_carries_never_rings() -> None:
    carried = {**MODELS, "voice": ChannelModel()}
    for policy in (DEFAULT, INSISTENT):
        found = forecast(fresh(policy), carried)
        assert any("voice" in each.event.channels for each in found.expected)
        assert set(found.called_after.values()) == {None}


def test_a_tier_that_may_come_only_after_the_next_round_has_started_is_said_to_come_before_it() -> None:
    policy = replace(DEFAULT, repeat=Repeat(every=minutes(8), rounds=2))
    late = ranges(forecast(fresh(policy, Severity.ERROR), MODELS), NextEventKind.TIER, 2)[ProviderBehaviour.FAILING]
    assert late == (seconds(405), minutes(8))


def warned(
    policy: Policy,
    severity: Severity = Severity.CRITICAL,
    ways: str = "email sms",
    *,
    has_links: bool = True,
    obstacles: Obstacles = NOTHING,
) -> list[str]:
    facts = fresh(policy, severity, ways)
    return list(warnings(facts, MODELS, forecast(facts, MODELS), has_links=has_links, obstacles=obstacles))


def pause(scope: PauseScope, name: str = "", *, for_m: int = 30, is_for_critical: bool = True) -> Pause:
    return Pause(
        scope=scope, name=name, ends_at=NOW + minutes(for_m), paused_at=NOW, paused_by="eve", is_for_critical=is_for_critical
    )


NEVER = replace(
    DEFAULT,
    tiers=(DEFAULT.tiers[0], Tier(name="phone", channels=("sms",), rules=(Unacknowledged(after=minutes(20)),))),
    repeat=Repeat(every=minutes(15), rounds=2),
)
PUSHED = replace(
    DEFAULT, tiers=(Tier(name="app", channels=("push",)), Tier(name="sms", channels=("sms",), rules=(Failed(at_least=1),)))
)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (warned(DEFAULT), ["tier fallback pages nobody: no address for call"]),
        (
            warned(DEFAULT, Severity.INFO),
            ["tier secondary is shut for INFO", "tier fallback is shut for INFO"],
        ),
        (warned(NEVER), ["tier phone never opens: no way in which providers answer meets its rules before the round ends"]),
        (warned(PUSHED, ways="push sms"), ["push has no provider: its page fails at once"]),
        (
            warned(NEVER, ways="email", has_links=False),
            [
                "tier phone pages nobody: no address for text",
                "nobody can acknowledge by a link: NOTIFYFLOW_PUBLIC_URL or NOTIFYFLOW_SECRET_KEY is not set",
            ],
        ),
    ],
)
def test_what_cannot_happen_is_warned_of(found: list[str], expected: list[str]) -> None:
    assert found == expected


def test_a_pause_in_force_is_warned_of_with_its_end_unless_it_spares_the_severity() -> None:
    pauses = (
        pause(PauseScope.CHANNEL, "email"),
        pause(PauseScope.ALL, for_m=90, is_for_critical=False),
        pause(PauseScope.PROVIDER, "twilio"),
    )
    found = Obstacles(pauses=pauses)
    ways, half, later = "email slack sms voice", "Wed 25 Nov 2026 03:30 UTC", "Wed 25 Nov 2026 04:30 UTC"
    assert warned(DEFAULT, ways=ways, obstacles=found) == [
        f"mail over smtp is paused until {half}: a page waits until then",
        f"text over twilio is paused until {half}: a page waits until then",
        f"call over twilio is paused until {half}: a page waits until then",
    ]
    assert f"Slack over slack is paused until {later}: a page waits until then" in warned(
        DEFAULT, Severity.ERROR, ways, obstacles=found
    )


def test_a_recipient_who_sent_stop_to_every_number_is_warned_of() -> None:
    (stop,) = warned(DEFAULT, ways="email sms voice", obstacles=Obstacles(opted_out=frozenset({"sms"})))
    assert stop.startswith("text is blocked: the recipient has sent STOP")


def test_the_policies_page_shows_what_is_printed() -> None:
    assert indent("\n".join(told(INSISTENT).lines()), "   ") in PAGE.read_text(encoding="utf-8")


def test_a_recipient_without_an_address_is_told_of_at_once() -> None:
    found = list(told(DEFAULT, replace(ADA, addresses={}), has_links=False).lines())
    assert found[:4] == [
        "Ada (ada): CRITICAL, policy default",
        "  at once: nobody is paged",
        "  operations is told",
        "    at once",
    ]


def test_a_policy_of_one_round_pages_nobody_again() -> None:
    found = list(told(replace(DEFAULT, repeat=Repeat(every=minutes(15), rounds=1))).lines())
    assert "  operations is told 15 m after the start that nobody has acknowledged" in found
    assert not any(each.startswith("  again") for each in found)


def test_the_worst_case_until_a_phone_rings_names_the_answers_after_which_none_does() -> None:
    (found,) = (each for each in told(DEFAULT).lines() if "a phone rings" in each)
    assert found.endswith(", but not if no receipt comes or if every message arrives")
    mail = told(DEFAULT, replace(ADA, addresses={"email": "ada@example.com"}))
    assert "  no phone ever rings" in list(mail.lines())


def test_the_document_has_every_duration_in_seconds() -> None:
    found = told(INSISTENT).as_json()
    assert found["at_once"] == {"email": ["smtp"], "slack": ["slack"]}
    assert found["rounds_after_s"] == [900.0, 1800.0]
    assert found["unanswered_after_s"] == 2700.0
    assert found["expected"][0].keys() == {"what", "tier", "channels", "answers", "premise", "earliest_s", "latest_s"}


@pytest.mark.parametrize(("number", "words"), [(22, "22 s"), (60, "1 m"), (450, "7 m 30 s"), (3600, "1 h"), (3900, "1 h 05 m")])
def test_a_duration_is_said_to_the_second(number: float, words: str) -> None:
    assert span(number) == words


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [(0, 0, "at once"), (0, 26, "within 26 s"), (300, 300, "after 5 m"), (22, 120, "after 22 s to 2 m")],
)
def test_a_range_is_said_in_few_words(first: float, last: float, words: str) -> None:
    assert between(first, last) == words


@pytest.mark.parametrize(
    ("policy", "severity", "waits"),
    [
        (DEFAULT, Severity.CRITICAL, {"email": 30.0, "slack": 10.0, "sms": 30.0, "voice": 30.0}),
        (DEFAULT, Severity.ERROR, {"email": 60.0, "slack": 10.0, "sms": 60.0, "voice": 60.0}),
        (DEFAULT, Severity.INFO, {"email": 60.0, "slack": 10.0}),
        (replace(DEFAULT, bundling=False), Severity.ERROR, {}),
    ],
)
def test_it_says_how_long_pages_wait_for_others_in_a_storm(policy: Policy, severity: Severity, waits: dict[str, float]) -> None:
    found = told(policy, replace(ADA, addresses={**ADA.addresses, "teams": "https://teams.example/x"}), severity=severity)
    assert found.waits_up_to_s == waits
    assert told(policy, severity=severity, is_bundling=False).waits_up_to_s == {}


def test_it_says_when_pages_wait_for_none() -> None:
    def lines(severity: Severity, *, is_bundling: bool = True) -> list[str]:
        words = told(DEFAULT, severity=severity, is_bundling=is_bundling).lines()
        return [each.strip() for each in words if "wait" in each or "repeated" in each]

    shown = "from the third incident within a minute on, pages wait for others: Slack up to 10 s, mail, text and call up to"
    call = "a call waits until the call under way to its number is over, 5 m at most"
    first = "the first CRITICAL page of a namespace within a minute waits for none"
    again = "a repeated call waits for the next one to its number, 1 m after the last at the latest"
    assert lines(Severity.ERROR) == [call, f"{shown} 1 m", again]
    assert lines(Severity.CRITICAL) == [call, f"{shown} 30 s", first, again]
    assert lines(Severity.ERROR, is_bundling=False) == [call, "no page waits for others, however many come at once"]
    assert told(DEFAULT, severity=Severity.INFO).calls_wait_up_to_s is None


def test_a_page_wished_for_waits_as_others_on_its_channel_do() -> None:
    wished = replace(ADA, channels={Severity.CRITICAL: ("sms",)})
    assert told(DEFAULT, wished).waits_up_to_s == {"email": 30.0, "slack": 10.0, "sms": 30.0, "voice": 30.0}


def test_quiet_hours_are_named_unless_it_is_critical() -> None:
    asleep = replace(ADA, quiet="22:00-07:00")
    assert told(DEFAULT, asleep, severity=Severity.ERROR).warnings == [
        "from 22:00 to 07:00 (UTC) nothing leaves, and no time counts: quiet hours"
    ]
    assert told(DEFAULT, asleep).warnings == told(DEFAULT, severity=Severity.ERROR).warnings == []
