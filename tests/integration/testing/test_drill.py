"""A rehearsal: the real pipeline over the sandbox, with real people, their channels, and nobody's real address."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from notifyflow.channels.registry import load
from notifyflow.core.delivery.model import Contact, Incident, IncidentState, Recipient, Severity
from notifyflow.core.delivery.policy import DEFAULT, INSISTENT, Policy
from notifyflow.core.upkeep.drill_document import DrilledDocument, RehearsedDocument
from notifyflow.core.upkeep.storm_document import Answer, Answering, StormDocument, StormMessageDocument
from notifyflow.settings import Settings
from notifyflow.testing.drill import Later, Rehearsal
from notifyflow.testing.driver import Driver

ADA = Contact(
    recipient_id="ada",
    name="Ada",
    addresses={"email": "ada@example.com", "slack": "https://hooks.slack.com/x", "sms": "+15005550006", "voice": "+15005550006"},
)
BEN = Contact(recipient_id="ben", name="Ben", addresses={"email": "ben@example.com"})
OLGA = Contact(recipient_id="ops", name="Olga", addresses={"email": "ops@example.com"})
SETTINGS = {
    "NOTIFYFLOW_SMTP_URL": "smtp://mail.example.com",
    "NOTIFYFLOW_MAIL_FROM": "pager@example.com",
    "NOTIFYFLOW_TWILIO_ACCOUNT_SID": f"AC{1:032}",
    "NOTIFYFLOW_TWILIO_AUTH_TOKEN": f"{1:032}",
    "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550001",
    "NOTIFYFLOW_TWILIO_VOICE_FROM": "+15005550001",
    "NOTIFYFLOW_PUBLIC_URL": "https://pager.example.com",
    "NOTIFYFLOW_SECRET_KEY": "x" * 32,
}


def rehearsal(
    failing: str = "",
    script: str = "",
    operations: tuple[Contact, ...] = (OLGA,),
    without: tuple[str, ...] = (),
    at: datetime | None = None,
    storm: int | None = None,
    **more: str,
) -> Rehearsal:
    variables: Mapping[str, str] = {
        name: value for name, value in SETTINGS.items() if name.removeprefix("NOTIFYFLOW_") not in without
    }
    settings = Settings.from_variables({**variables, **{f"NOTIFYFLOW_{name}": value for name, value in more.items()}})
    return Rehearsal(settings, load(settings), operations, failing=failing.split(), script=script, begins_at=at, storm=storm)


def drilled(
    made: Rehearsal, *people: Contact, policy: Policy = DEFAULT, severity: Severity = Severity.CRITICAL
) -> DrilledDocument:
    return made.run("team=orders", people or (ADA,), policy, severity)


def ada(found: DrilledDocument) -> RehearsedDocument:
    return next(each for each in found.recipients if each.recipient == "ada")


def way(found: DrilledDocument) -> tuple[str, str] | None:
    reached = ada(found).reached
    return (reached.channel, reached.provider) if reached else None


def test_without_faults_everybody_is_reached_at_once() -> None:
    found = drilled(rehearsal(), ADA, BEN)
    assert found.is_passed
    assert [each.reached.after_s for each in found.recipients if each.reached] == [0, 0]


@pytest.mark.parametrize(
    ("failing", "reached"),
    [
        ("smtp", ("slack", "slack")),
        ("email slack", ("sms", "twilio")),
        ("smtp slack sms", ("voice", "twilio")),
    ],
)
def test_the_next_channel_reaches_whom_a_failing_one_does_not(failing: str, reached: tuple[str, str]) -> None:
    assert way(drilled(rehearsal(failing))) == reached


def test_where_all_fails_operations_is_told_unless_it_cannot_be_either() -> None:
    told = drilled(rehearsal("slack twilio", script="email to person-0: 550"))
    assert (told.is_passed, way(told)) == (True, None)
    after_s = ada(told).operations_alerted_after_s
    assert after_s is not None
    assert after_s > 60
    silent = drilled(rehearsal("slack twilio smtp"))
    assert (silent.is_passed, ada(silent).operations_alerted_after_s) == (False, None)
    nobody = drilled(rehearsal("slack twilio smtp", operations=()))
    assert not nobody.is_passed
    assert any("operations has no recipients" in line for line in nobody.lines())


def test_what_several_failures_add_to_one_operations_incident_is_told_in_its_next_round() -> None:
    script = "email to person-0: 550; email to person-1: 451"
    found = drilled(rehearsal("slack twilio", script=script), ADA, BEN)
    assert found.is_passed
    told = [each.operations_alerted_after_s for each in found.recipients]
    assert all(told)


def test_a_channel_without_a_provider_fails_as_it_would() -> None:
    found = drilled(rehearsal("slack", without=("SMTP_URL", "MAIL_FROM", "TWILIO_SMS_FROM")))
    assert way(found) == ("voice", "twilio")
    assert {"no_provider"} == {each.event for each in found.timeline if each.channel in ("email", "sms")}


def test_mail_goes_over_the_provider_that_is_preferred() -> None:
    over_ses = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "SES_FROM": "a@example.com"}
    made = rehearsal(**over_ses)
    assert way(drilled(made, replace(ADA, addresses={"email": "ada@example.com"}))) == ("email", "ses")
    assert list(made.warnings()) == []


SECOND_ACCOUNT = {
    "TWILIO_B_ACCOUNT_SID": f"AC{2:032}",
    "TWILIO_B_AUTH_TOKEN": f"{2:032}",
    "TWILIO_B_SMS_FROM": "+15005550002",
    "TWILIO_B_VOICE_FROM": "+15005550002",
}


@pytest.mark.parametrize(
    ("failing", "order", "reached"),
    [
        ("twilio-b", "twilio-b", ("sms", "twilio")),
        ("sms twilio", "", ("voice", "twilio-b")),
    ],
)
def test_a_second_provider_carries_what_the_first_does_not(failing: str, order: str, reached: tuple[str, str]) -> None:
    made = rehearsal(failing, **SECOND_ACCOUNT, PROVIDER_ORDER=order)
    assert way(drilled(made, replace(ADA, addresses=dict.fromkeys(("sms", "voice"), ADA.addresses["sms"])))) == reached


def test_the_rounds_of_a_policy_go_on_until_somebody_is_reached_or_they_are_over() -> None:
    found = drilled(rehearsal(script="email to person-0: 451 7 times, then ok"), BEN, policy=INSISTENT)
    reached = found.recipients[0].reached
    assert reached is not None
    assert 900 < reached.after_s < 960, "in the second round"
    lost = drilled(rehearsal(script="email to person-0: 451"), BEN, policy=INSISTENT)
    rounds = [each.state for each in lost.timeline if (each.event, each.recipient) == ("round_due", "ben")]
    assert (lost.is_settled, rounds) == (True, ["EXHAUSTED"] * 3)


def test_a_limit_and_a_policy_of_our_own_count() -> None:
    people = [replace(BEN, recipient_id=f"p{number}", name=f"P{number}") for number in range(4)]
    found = drilled(rehearsal(PROVIDER_LIMITS="smtp=2,twilio-b=5"), *people, policy=INSISTENT)
    times = sorted(each.reached.after_s for each in found.recipients if each.reached)
    assert times[:2] == [0, 0]
    assert times[2] >= 59
    assert found.policy == "insistent"


def test_a_channel_that_the_sandbox_cannot_play_is_left_out_and_named() -> None:
    made = rehearsal()
    found = drilled(made, replace(BEN, addresses={"webhook": "https://example.com/x", **BEN.addresses}))
    assert found.is_passed
    assert list(made.warnings()) == ["webhook was left out: the sandbox has no stand-in for it"]


def test_no_real_address_is_in_what_it_shows() -> None:
    found = drilled(rehearsal("slack"), ADA, BEN)
    text = found.model_dump_json()
    assert "example.com" not in text
    assert "+1500" not in text


def test_a_chain_is_played_until_its_end_and_passes_if_somebody_is_reached() -> None:
    made = rehearsal(script="email to person-0: 550")
    cy = replace(BEN, recipient_id="cy", name="Cy")
    ada = replace(ADA, addresses={"email": "ada@example.com"})
    then = [
        Later(after=timedelta(minutes=10), people=[BEN]),
        Later(after=timedelta(minutes=5), people=[cy]),
        Later(after=timedelta(minutes=5), people=None),
    ]
    found = made.run("team=orders", [ada], DEFAULT, Severity.ERROR, then)
    reached = {each.recipient: each.reached and each.reached.after_s for each in found.recipients}
    assert reached.pop("ada") is None
    first, *later = (each for each in reached.values() if each is not None)
    assert first < 60, "at once, since every way to Ada has failed"
    assert [round(each - first) for each in later] == [300, 600]
    assert (found.is_passed, found.is_settled) == (True, True)
    assert any("all ways to Ada have failed: Ben" in line for line in found.lines())


def test_a_page_waits_for_the_morning_if_the_drill_begins_at_night() -> None:
    ada = replace(ADA, quiet="22:00-07:00", timezone="Europe/Berlin")
    night = datetime(2026, 12, 24, 5, 57, tzinfo=UTC)
    found = drilled(rehearsal(at=night), ada, BEN, severity=Severity.WARNING)
    assert [each.reached and (each.reached.after_s, each.reached.is_after_quiet) for each in found.recipients] == [
        (180, True),
        (0, False),
    ]
    assert (found.is_passed, found.is_settled) == (True, True)
    assert "  ✓ Ada is reached after 3 m, when their quiet hours are over: mail over smtp" in list(found.lines())
    lost = drilled(rehearsal("smtp slack twilio", at=night, operations=()), ada, severity=Severity.WARNING)
    assert (lost.is_passed, lost.is_settled) == (False, True)


def test_without_a_time_nobody_is_quiet_and_the_drill_says_so() -> None:
    made = rehearsal()
    quiet = replace(ADA, quiet="00:00-16:00")
    assert drilled(made, quiet).is_passed
    assert list(made.warnings()) == [], "a CRITICAL page never waits"
    assert drilled(made, quiet, severity=Severity.WARNING).recipients[0].reached
    assert list(made.warnings()) == ["the quiet hours of Ada were left out: --at says when the incident begins"]


def answers(message: StormMessageDocument) -> dict[Answer, int]:
    return {each.by: each.incidents for each in message.answers}


def test_a_storm_says_how_few_messages_tell_of_it_and_when() -> None:
    found = drilled(rehearsal(storm=40), ADA, BEN)
    storm = found.storm
    assert storm is not None
    assert (found.is_passed, storm.incidents) == (True, 40)
    ada, ben = storm.recipients
    assert (ada.messages, ben.messages) == ({"email": 3, "slack": 3}, {"email": 3})
    assert (ada.told, ben.told) == (40, 40)
    assert (ada.first_told_after_s, ben.first_told_after_s) == (0, 0)
    assert ada.last_told_after_s is not None
    assert ada.last_told_after_s <= 10
    assert ben.last_told_after_s is not None
    assert ben.last_told_after_s <= 30
    mails = [each for each in storm.messages if (each.recipient, each.channel) == ("ben", "email")]
    assert [(each.incidents, each.named) for each in mails] == [(1, 1), (1, 1), (38, 20)]
    assert [each.reached and each.reached.after_s for each in found.recipients] == [ada.last_told_after_s, ben.last_told_after_s]


def test_without_bundling_each_page_of_a_storm_is_a_message() -> None:
    storm = drilled(rehearsal(storm=7, BUNDLING="false"), BEN).storm
    assert storm is not None
    assert storm.recipients[0].messages == {"email": 7}


def test_a_storm_fails_if_nobody_knows_of_one_of_its_incidents() -> None:
    found = drilled(rehearsal("slack twilio smtp", storm=3))
    assert found.storm is not None
    assert (found.is_passed, found.storm.messages) == (False, [])
    assert "  · Ada gets no message; told of 0 of 3" in list(found.lines())


def test_a_storm_says_what_keys_codes_and_links_acknowledge() -> None:
    storm = drilled(rehearsal("smtp slack", storm=12), policy=INSISTENT).storm
    assert storm is not None
    by_channel = {each.channel: each for each in storm.messages if each.incidents > each.named}
    text, call = by_channel["sms"], by_channel["voice"]
    assert answers(text) == {Answer.ALL: text.incidents, Answer.CODE: 0, Answer.LINK: text.incidents}
    assert answers(call) == {Answer.KEY_1: call.named}, "too many CRITICAL for a key that acknowledges all"


def stormy(driver: Driver, channel: str, number: int) -> StormDocument:
    """Page somebody who has this channel only about a storm, and return its messages."""
    addresses = {channel: driver.sandbox.addresses(0)[channel]}
    for each in range(number):
        incident = Incident(key=f"k{each}", title=f"A rehearsed incident, {each}", severity=Severity.CRITICAL)
        driver.flow.notify(incident, [Recipient(id="ada", name="Ada", addresses=addresses)], policy=DEFAULT)
        driver.deliver()
    driver.run_until_settled()
    deps = driver.flow.deps
    answering = Answering(has_public_url=True, calling=deps.calling, replying=deps.replying)
    return StormDocument.of_incidents([driver.flow.status(f"k{each}") for each in range(number)], answering)


def acknowledged(driver: Driver, number: int) -> int:
    states = [driver.flow.status(f"k{each}").state for each in range(number)]
    return states.count(IncidentState.ACKNOWLEDGED)


@pytest.mark.parametrize(
    ("number", "by", "incidents"),
    [(3, Answer.CODE, 1), (5, Answer.CODE, 3), (8, Answer.CODE, 0), (8, Answer.ALL, 6), (8, Answer.LINK, 6), (1, Answer.LINK, 1)],
)
def test_the_product_acknowledges_by_text_and_link_what_a_drill_says(number: int, by: Answer, incidents: int) -> None:
    with Driver() as driver:
        storm = stormy(driver, "sms", number)
        assert answers(storm.messages[-1])[by] == incidents
        last = driver.inbox.messages(channel="sms")[-1]
        code = re.search(r"Reply (?:ALL )?([0-9]+) to acknowledge", last.text)
        assert code is not None
        if by is Answer.LINK:
            assert driver.acknowledge(last).status == 303
        else:
            driver.sandbox.reply(last.to, f"ALL {code[1]}" if by is Answer.ALL else code[1])
        assert acknowledged(driver, number) == incidents


@pytest.mark.parametrize(("number", "key"), [(1, Answer.KEY_1), (12, Answer.KEY_1), (6, Answer.KEY_4), (30, Answer.KEY_4)])
def test_the_product_acknowledges_by_key_what_a_drill_says(number: int, key: Answer) -> None:
    with Driver() as driver:
        driver.sandbox.script(f"voice: {key}")
        storm = stormy(driver, "voice", number)
        said = [answers(each).get(key, 0) for each in storm.messages]
        assert acknowledged(driver, number) == sum(said), said
