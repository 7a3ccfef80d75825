"""What is an acknowledgement in a text message, and what never is; what is said to it."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Severity
from notifyflow.core.messages.replies import Choice, Effect, HandledReply, Intent, read_text, write_response

A = Choice(code="10", title="orders db is down", incident_id="a")
B = Choice(code="11", title="t" * 200, incident_id="b")
RISEN = Choice(code="", title="disk is full", incident_id="c", risen_to=Severity.CRITICAL)
STUCK = Choice(code="", title="queue is long", incident_id="d")
BUNDLE = Choice(code="42", title="api is down", incident_id="e", more=36, is_all=True)


@pytest.mark.parametrize(
    ("text", "intent", "code"),
    [
        ("ack", Intent.ACKNOWLEDGE, ""),
        (" ACK! ", Intent.ACKNOWLEDGE, ""),
        ("Acknowledge.", Intent.ACKNOWLEDGE, ""),
        ("1", Intent.ACKNOWLEDGE, ""),
        ("1 12", Intent.ACKNOWLEDGE, "12"),
        ("ack #12", Intent.ACKNOWLEDGE, "12"),
        ("ack: 12", Intent.ACKNOWLEDGE, "12"),
        ("12", Intent.ACKNOWLEDGE, "12"),
        ("#123", Intent.ACKNOWLEDGE, "123"),
        ("2", Intent.UNCLEAR, ""),
        ("no ack", Intent.UNCLEAR, ""),
        ("ack?", Intent.UNCLEAR, ""),
        ("12 34", Intent.UNCLEAR, ""),
        ("١٢", Intent.UNCLEAR, ""),
        ("", Intent.UNCLEAR, ""),
        ("Stop", Intent.STOP, ""),
        ("QUIT.", Intent.STOP, ""),
        ("100aa", Intent.UNCLEAR, ""),
        ("100 aa", Intent.UNCLEAR, ""),
        ("42all", Intent.UNCLEAR, ""),
        ("ALL 42", Intent.ACKNOWLEDGE_ALL, "42"),
        ("all42.", Intent.ACKNOWLEDGE_ALL, "42"),
        ("All #42!", Intent.ACKNOWLEDGE_ALL, "42"),
        ("ack all 42", Intent.ACKNOWLEDGE_ALL, "42"),
        ("👍 all: 42", Intent.ACKNOWLEDGE_ALL, "42"),
        ("ALL 42\n-- \nAda", Intent.ACKNOWLEDGE_ALL, "42"),
        ("all", Intent.ACKNOWLEDGE_ALL, ""),
        ("ack all", Intent.ACKNOWLEDGE_ALL, ""),
        ("all 4", Intent.UNCLEAR, ""),
        ("ALL 42aa", Intent.UNCLEAR, ""),
        ("all 42?", Intent.UNCLEAR, ""),
        ("not all 42", Intent.UNCLEAR, ""),
        ("all but 42", Intent.UNCLEAR, ""),
        ("all 42 43", Intent.UNCLEAR, ""),
        ("stop all", Intent.UNCLEAR, ""),
        ("stopall", Intent.STOP, ""),
        ("ack 1", Intent.ACKNOWLEDGE, ""),
        ("1 1", Intent.ACKNOWLEDGE, ""),
        ("acknowledged", Intent.ACKNOWLEDGE, ""),
        ("Acked!", Intent.ACKNOWLEDGE, ""),
        ("OK", Intent.ACKNOWLEDGE, ""),
        ("okay 12", Intent.ACKNOWLEDGE, "12"),
        ("On it.", Intent.ACKNOWLEDGE, ""),
        ("on  it\n#12", Intent.ACKNOWLEDGE, "12"),
        ("yes 12", Intent.ACKNOWLEDGE, "12"),
        ("yes 1", Intent.ACKNOWLEDGE, ""),
        ("ack 2", Intent.UNCLEAR, ""),
        ("ok?", Intent.UNCLEAR, ""),
        ("not ok", Intent.UNCLEAR, ""),
        ("ok, who is on it", Intent.UNCLEAR, ""),
        ("on it?", Intent.UNCLEAR, ""),
        ("I am on it", Intent.UNCLEAR, ""),
        ("no", Intent.UNCLEAR, ""),
        ("yes and no", Intent.UNCLEAR, ""),
        ("stop ok", Intent.UNCLEAR, ""),
        ("ack start", Intent.UNCLEAR, ""),
        ("Got it", Intent.ACKNOWLEDGE, ""),
        ("got it!!", Intent.ACKNOWLEDGE, ""),
        ("On it...", Intent.ACKNOWLEDGE, ""),
        ("On my way,", Intent.ACKNOWLEDGE, ""),
        ("ON MY WAY 12", Intent.ACKNOWLEDGE, "12"),
        ("👍", Intent.ACKNOWLEDGE, ""),
        ("👍🏽", Intent.ACKNOWLEDGE, ""),
        ("👍\ufe0f!", Intent.ACKNOWLEDGE, ""),
        ("👍🏿 12", Intent.ACKNOWLEDGE, "12"),
        ("on my way\n\nSent from my iPhone", Intent.ACKNOWLEDGE, ""),
        ("ack 12\r\nsent from Outlook for Android\r\n", Intent.ACKNOWLEDGE, "12"),
        ("Got it.\n-- \nAda Lovelace\nOrders team\n+1 500 555 0010", Intent.ACKNOWLEDGE, ""),
        ("Got it,\n-- Ada", Intent.ACKNOWLEDGE, ""),
        ("👍\n--\nAda\nSent from my iPhone", Intent.ACKNOWLEDGE, ""),
        ("yes\nSent from my iPhone", Intent.ACKNOWLEDGE, ""),
        ("got it?", Intent.UNCLEAR, ""),
        ("not on it", Intent.UNCLEAR, ""),
        ("Not on my way", Intent.UNCLEAR, ""),
        ("👎", Intent.UNCLEAR, ""),
        ("👍?", Intent.UNCLEAR, ""),
        ("👍 to “CRITICAL: db is down”", Intent.UNCLEAR, ""),
        ("Liked “CRITICAL: db is down”", Intent.UNCLEAR, ""),
        ("got it wrong", Intent.UNCLEAR, ""),
        ("on my way out", Intent.UNCLEAR, ""),
        ("ack\nnot really", Intent.UNCLEAR, ""),
        ("on it\nno, Ben has to", Intent.UNCLEAR, ""),
        ("ack\n> CRITICAL: db is down", Intent.UNCLEAR, ""),
        ("not me\nack", Intent.UNCLEAR, ""),
        ("ack\nSent from my iPhone\nOn Mon Ben wrote:\n> ack", Intent.UNCLEAR, ""),
        ("ack\n--\nOn Mon Ben wrote:\nCRITICAL", Intent.UNCLEAR, ""),
        ("ack\n--\nI can’t, really", Intent.UNCLEAR, ""),
        ("on it\n-- not", Intent.UNCLEAR, ""),
        ("ok\n--\nThis is an automatic reply", Intent.UNCLEAR, ""),
        ("ok\n--\na\nb\nc\nd\ne", Intent.UNCLEAR, ""),
        ("ok\n----------\nForwarded", Intent.UNCLEAR, ""),
        ("-- \nack", Intent.UNCLEAR, ""),
        ("Sent from my iPhone\nack", Intent.UNCLEAR, ""),
        ("stop\n--\nAda", Intent.UNCLEAR, ""),
        ("Yes", Intent.YES, ""),
        ("yes!", Intent.YES, ""),
        ("start", Intent.START, ""),
        ("Unstop", Intent.START, ""),
        ("info", Intent.HELP, ""),
    ],
)
def test_a_text_is_read_strictly(text: str, intent: Intent, code: str) -> None:
    assert read_text(text) == (intent, code)


@given(st.text(max_size=20))
def test_only_the_word_all_acknowledges_all(text: str) -> None:
    if read_text(text)[0] is Intent.ACKNOWLEDGE_ALL:
        assert "all" in text.casefold()


@given(
    st.sampled_from(["", "ack ", "all ", "#"]), st.integers(10, 10**9 - 1), st.text(st.characters(categories=["L"]), min_size=1)
)
def test_a_reply_code_followed_by_letters_is_no_code(before: str, code: int, letters: str) -> None:
    assert read_text(f"{before}{code}{letters}")[1] == ""


WORDS = ("ack", "ok", "got it", "on it", "on my way", "yes", "1", "👍")
CLEAR = st.sampled_from([*WORDS, "Got it!", "ON IT", "On my way.", "👍🏾", "ack 12"])
SIGNATURES = st.sampled_from(["Sent from my iPhone", "-- ", "--\nAda", "-- Ada", "--\nAda Lovelace\nOrders\nSent from my phone"])
LINES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(lambda line: line.split())


@given(st.text(max_size=40))
def test_nothing_without_one_of_the_words_or_a_number_acknowledges(text: str) -> None:
    intent, code = read_text(text)
    if intent is Intent.ACKNOWLEDGE:
        assert code or " ".join(text.split()).casefold().startswith(WORDS)


@given(CLEAR, st.sampled_from(["\n", "\n\n", "\r\n \r\n"]), SIGNATURES)
def test_a_signature_below_changes_nothing(said: str, gap: str, signature: str) -> None:
    intent, code = read_text(f"{said}{gap}{signature}")
    assert (intent, code) == (Intent.ACKNOWLEDGE, read_text(said)[1])


@given(CLEAR, LINES)
def test_anything_else_below_is_unclear(said: str, line: str) -> None:
    """A code may stand below; nothing that is written there goes without an effect."""
    is_code = re.fullmatch(r"[ ,:#-]*(?:1|[0-9]{2,9})[.,!…]*", line.strip())
    is_signature = line.strip().casefold().startswith(("--", "sent from"))
    assert is_code or is_signature or read_text(f"{said}\n{line}")[0] is Intent.UNCLEAR


@given(st.sampled_from(["not ", "no, ", "I am not ", "don't ", "who is ", "> ", "Re: ", "Auto: ", "why "]), CLEAR)
def test_a_negation_quote_or_question_before_a_word_is_unclear(before: str, said: str) -> None:
    assert read_text(before + said)[0] is Intent.UNCLEAR


@given(CLEAR, SIGNATURES, LINES)
def test_text_below_a_signature_that_says_something_is_unclear(said: str, signature: str, line: str) -> None:
    assert read_text(f"{said}\n{signature}\n> {line}")[0] is Intent.UNCLEAR


@pytest.mark.parametrize("word", ["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"])
@pytest.mark.parametrize("end", ["", "!", "."])
def test_a_word_that_the_carrier_stops_for_stops(word: str, end: str) -> None:
    assert read_text(word.title() + end)[0] is Intent.STOP


@given(st.sampled_from(["start", "unstop"]), st.text(max_size=10))
def test_who_wants_texts_again_acknowledges_nothing(word: str, more: str) -> None:
    assert read_text(f"{word} {more}")[0] not in (Intent.ACKNOWLEDGE, Intent.YES)


@pytest.mark.parametrize(
    ("handled", "response"),
    [
        (HandledReply(effect=Effect.ACKNOWLEDGED, choices=[A]), "You acknowledged it: orders db is down."),
        (
            HandledReply(effect=Effect.ACKNOWLEDGED, choices=[A], cancelled=2, on_their_way=1),
            "You acknowledged it: orders db is down. 2 more cancelled. 1 had left already.",
        ),
        (
            HandledReply(effect=Effect.LATE, choices=[A], by="Bob acknowledged it"),
            "Bob acknowledged it: orders db is down. Nothing was changed.",
        ),
        (
            HandledReply(effect=Effect.ACKNOWLEDGED, choices=[A, B, B], cancelled=3),
            "You acknowledged 3: orders db is down and 2 more. 3 more cancelled.",
        ),
        (
            HandledReply(effect=Effect.ACKNOWLEDGED, choices=[A], still_open=[RISEN, STUCK]),
            "You acknowledged it: orders db is down. "
            "Still open: disk is full is CRITICAL now; queue is long could not be changed.",
        ),
        (
            HandledReply(effect=Effect.ACKNOWLEDGED, choices=[A], still_open=[RISEN] * 7),
            "You acknowledged it: orders db is down. Still open: "
            + "; ".join(["disk is full is CRITICAL now"] * 5)
            + "; 2 more.",
        ),
        (
            HandledReply(effect=Effect.RISEN, still_open=[RISEN]),
            "Still open: disk is full is CRITICAL now. Use the link in the message. Nothing was changed.",
        ),
        (
            HandledReply(effect=Effect.LATE, choices=[A, B], by="All are over, or acknowledged already"),
            "All are over, or acknowledged already: orders db is down and 1 more. Nothing was changed.",
        ),
        (
            HandledReply(effect=Effect.AMBIGUOUS, choices=[BUNDLE, A, replace(BUNDLE, is_all=False)], open_incidents=38),
            "38 are open, nothing was acknowledged. Reply with a code: "
            "ALL 42 api is down and 36 more; 10 orders db is down; 42 api is down and 36 more",
        ),
        (
            HandledReply(effect=Effect.AMBIGUOUS, choices=[A], open_incidents=1),
            "1 is open, nothing was acknowledged. Reply with a code: 10 orders db is down",
        ),
        (HandledReply(effect=Effect.BLOCKED), ""),
        (HandledReply(effect=Effect.REPEATED), ""),
        (HandledReply(effect=Effect.REPEATED, notice="staging"), ""),
        (
            HandledReply(effect=Effect.ACKNOWLEDGED, choices=[A], notice="staging"),
            "[staging] You acknowledged it: orders db is down.",
        ),
        (HandledReply(effect=Effect.ACKNOWLEDGED, choices=[A], is_withheld=True), ""),
    ],
)
def test_the_response_describes_the_effect(handled: HandledReply, response: str) -> None:
    assert write_response(handled) == response


@pytest.mark.parametrize("notice", ["", "staging"])
@pytest.mark.parametrize("choices", [[A], [A, B], [BUNDLE]])
@pytest.mark.parametrize("effect", Effect)
def test_our_response_is_recognised_when_it_comes_back(effect: Effect, choices: list[Choice], notice: str) -> None:
    handled = HandledReply(
        effect=effect, choices=choices, still_open=[RISEN], by="Bob acknowledged it", cancelled=1, on_their_way=2, notice=notice
    )
    if response := write_response(handled):
        assert read_text(response) == (Intent.ECHO, "")
        assert read_text(f" {response}\n") == (Intent.ECHO, "")
        assert read_text(f"Re: {response}"[: len(response) // 2])[0] is not Intent.ECHO


def test_those_that_are_open_are_listed_in_few_words() -> None:
    response = write_response(HandledReply(effect=Effect.AMBIGUOUS, choices=[A, B] * 50))
    assert response.startswith("100 are open, nothing was acknowledged. Reply with a code: 10 orders db is down; 11 ttt")
    assert len(response) < 400


@pytest.mark.parametrize("effect", [Effect.UNKNOWN, Effect.UNREADABLE, Effect.UNBLOCKED, Effect.EXPLAINED])
def test_what_acknowledges_nothing_does_not_say_that_it_did(effect: Effect) -> None:
    response = write_response(HandledReply(effect=effect))
    assert response
    assert "You acknowledged it" not in response
