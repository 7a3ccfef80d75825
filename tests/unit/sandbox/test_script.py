"""The script language says what it is documented to say, and refuses everything else with a remedy."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.errors import Fault, InvalidScript
from notifyflow.sandbox.script import PHRASES, Kind, Phrase, Reaction, Rule, is_for, read_script, short_name
from tests.strategies import script_lines

HOW_TO = Path(__file__).parents[3] / "docs" / "how-to" / "try-a-policy-in-the-sandbox.rst"
CHANNELS = ("email", "slack", "teams", "push", "sms", "voice", "webhook")


def read(text: str) -> tuple[Rule, ...]:
    return read_script(text, CHANNELS)


def only(text: str) -> Rule:
    (rule,) = read(text)
    return rule


def reactions(text: str, count: int) -> list[str]:
    return [only(text).reaction(number).words for number in range(count)]


def first(text: str) -> Reaction:
    return only(text).reaction(0)


def test_steps_follow_each_other_and_the_last_one_stays() -> None:
    assert reactions("slack: 500 twice, then 429 3 times, then hang", 8) == [
        "500",
        "500",
        "429",
        "429",
        "429",
        "hang",
        "hang",
        "hang",
    ]


def test_a_step_without_a_number_that_is_followed_by_another_counts_once() -> None:
    assert reactions("call: nobody answers, then key 1", 3) == ["nobody answers", "key 1", "key 1"]


def test_after_the_last_counted_step_all_is_well() -> None:
    assert reactions("teams: 503 twice", 4) == ["503", "503", "ok", "ok"]


def test_accept_then_something_is_one_step() -> None:
    rule = only("email to ben@example.com: accept, then hang twice, then 550")
    assert (rule.channel, rule.address) == ("email", "ben@example.com")
    assert [(rule.reaction(n).kind, rule.reaction(n).is_accepted) for n in range(3)] == [
        (Kind.HANG, True),
        (Kind.HANG, True),
        (Kind.STATUS, False),
    ]


def test_lines_are_parted_by_line_ends_and_semicolons_and_may_be_comments() -> None:
    rules = read("\n# a bad night\nslack: 500; sms: 21610\n\n  all: ok  ")
    assert [rule.channel for rule in rules] == ["slack", "sms", "all"]


@pytest.mark.parametrize(
    ("text", "reaction"),
    [
        ("slack: 429 retry after 30 s", Reaction(kind=Kind.STATUS, words="429 retry after 30 s", code="429", retry_after_s=30)),
        ("all: slow 500 ms", Reaction(kind=Kind.OK, words="slow 500 ms", is_accepted=True, delay_s=0.5)),
        ("push: slow 2.5 s", Reaction(kind=Kind.OK, words="slow 2.5 s", is_accepted=True, delay_s=2.5)),
        ("sms: 21610", Reaction(kind=Kind.CODE, words="21610", code="21610")),
        ("sms: 30006", Reaction(kind=Kind.RECEIPT, words="30006", code="undelivered", detail="30006", is_accepted=True)),
        ("sms: 30001", Reaction(kind=Kind.RECEIPT, words="30001", code="failed", detail="30001", is_accepted=True)),
        ("sms: failed 30034", Reaction(kind=Kind.RECEIPT, words="failed 30034", code="failed", detail="30034", is_accepted=True)),
        ("sms: no receipt", Reaction(kind=Kind.RECEIPT, words="no receipt", is_accepted=True)),
        ("call: key #", Reaction(kind=Kind.CALLEE, words="key #", code="key", detail="#", is_accepted=True)),
        ("voice: machine", Reaction(kind=Kind.CALLEE, words="machine", code="machine", is_accepted=True)),
        ("email: MessageRejected", Reaction(kind=Kind.CODE, words="MessageRejected", code="MessageRejected")),
        ("slack: channel_not_found", Reaction(kind=Kind.CODE, words="channel_not_found", code="channel_not_found")),
        ("teams: accept, then 500", Reaction(kind=Kind.STATUS, words="accept, then 500", code="500", is_accepted=True)),
        ("SMS:  cut", Reaction(kind=Kind.CUT, words="cut")),
    ],
)
def test_a_phrase_means_what_it_says(text: str, reaction: Reaction) -> None:
    assert first(text) == reaction


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("fax: 500", "'fax' is nobody here"),
        ("slack 500", "'slack 500' is not a line of a script"),
        ("slack:", "'slack:' is not a line of a script"),
        ("slack: 600", "slack cannot do '600'"),
        ("slack: 21610", "slack cannot do '21610'"),
        ("email: key 1", "email cannot do 'key 1'"),
        ("sms: 500 0 times", "sms cannot do '500 0 times'"),
        ("teams: 500 then , then ok", "a step is missing"),
        ("slack: accept", "slack cannot do 'accept'"),
        ("all: 21610", "all cannot do '21610'"),
        ("slack: refuse twice", "a refused connection cannot be told"),
        ("slack: refuse, then ok", "a refused connection cannot be told"),
        ("slack to ben: refuse", "a refused connection cannot be told"),
    ],
)
def test_what_the_language_does_not_have_is_refused_with_a_remedy(text: str, what: str) -> None:
    with pytest.raises(InvalidScript) as refused:
        read(text)
    (fault,) = refused.value.faults
    assert fault.where == "line 1"
    assert fault.what.startswith(what)
    assert fault.remedy


def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(InvalidScript) as refused:
        read("fax: 500\nslack: ok\nsms: nonsense; call: nonsense")
    assert [fault.where for fault in refused.value.faults] == ["line 1", "line 3", "line 4"]


def test_a_fault_lists_what_that_channel_can_do() -> None:
    with pytest.raises(InvalidScript) as refused:
        read("call: explode")
    (fault,) = refused.value.faults
    assert "nobody answers" in fault.remedy
    assert "channel_not_found" not in fault.remedy


@pytest.mark.parametrize(
    ("address", "to"),
    [
        ("ben@example.com", "Ben@Example.com"),
        ("ben", "ben@example.com"),
        ("ben", "ben"),
        ("http://127.0.0.1:1/services/T0/B0/ben", "ben"),
        ("http://127.0.0.1:1/workflows/ben/triggers/manual/paths/invoke?sig=x", "ben"),
        ("arn:aws:sns:eu-central-1:000000000000:endpoint/GCM/sandbox/ben", "ben"),
        ("+4930123456", "+4930123456"),
        ("C0123", "C0123"),
    ],
)
def test_an_address_is_found_in_every_form(address: str, to: str) -> None:
    assert is_for(address, to)


@pytest.mark.parametrize(
    ("address", "to"), [("ben", "benno@example.com"), ("example.com", "ben@example.com"), ("+49301", "+49302")]
)
def test_another_address_is_not_meant(address: str, to: str) -> None:
    assert not is_for(address, to)


@pytest.mark.parametrize("phrase", PHRASES, ids=lambda phrase: phrase.example)
def test_every_phrase_is_read_for_its_channels_and_stands_in_the_documentation(phrase: Phrase) -> None:
    for channel in filter(phrase.suits, CHANNELS):
        assert first(f"{channel}: {phrase.example}").words == phrase.example
    assert f"``{phrase.example}``" in HOW_TO.read_text()


@given(script_lines())
def test_a_line_reacts_to_each_request_as_it_counts_them(line: tuple[str, list[tuple[str, int]], str]) -> None:
    text, counted, last = line
    wanted = [phrase for phrase, times in counted for _ in range(times)] + [last] * 3
    assert reactions(text, len(wanted)) == wanted


@given(st.one_of(st.text(), st.text(alphabet="slackmeto:,; then5042\n").map("slack: ".__add__)))
def test_any_text_is_read_or_refused_with_faults(text: str) -> None:
    rules: tuple[Rule, ...] = ()
    faults: tuple[Fault, ...] = ()
    try:
        rules = read(text)
    except InvalidScript as refused:
        faults = refused.faults
    assert all(fault.where and fault.what and fault.remedy for fault in faults)
    assert all(rule.channel in {"all", *CHANNELS} and rule.steps for rule in rules)


@given(st.text())
def test_a_short_name_stays_as_it_is(address: str) -> None:
    assert short_name(short_name(address)) == short_name(address)
