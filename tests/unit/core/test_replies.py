"""What is an acknowledgement in a text message, and what never is; what is said to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.replies import Choice, Effect, Heard, Verb, answer, read

A = Choice(code="10", title="orders db is down", incident_id="a")
B = Choice(code="11", title="t" * 200, incident_id="b")


@pytest.mark.parametrize(
    ("text", "verb", "code"),
    [
        ("ack", Verb.ACKNOWLEDGE, ""),
        (" ACK! ", Verb.ACKNOWLEDGE, ""),
        ("Acknowledge.", Verb.ACKNOWLEDGE, ""),
        ("1", Verb.ACKNOWLEDGE, ""),
        ("1 12", Verb.ACKNOWLEDGE, "12"),
        ("ack #12", Verb.ACKNOWLEDGE, "12"),
        ("ack: 12", Verb.ACKNOWLEDGE, "12"),
        ("12", Verb.ACKNOWLEDGE, "12"),
        ("#123", Verb.ACKNOWLEDGE, "123"),
        ("2", Verb.UNCLEAR, ""),
        ("no ack", Verb.UNCLEAR, ""),
        ("ack?", Verb.UNCLEAR, ""),
        ("12 34", Verb.UNCLEAR, ""),
        ("١٢", Verb.UNCLEAR, ""),
        ("", Verb.UNCLEAR, ""),
        ("Stop", Verb.STOP, ""),
        ("QUIT.", Verb.STOP, ""),
        ("yes", Verb.START, ""),
        ("Unstop", Verb.START, ""),
        ("info", Verb.HELP, ""),
    ],
)
def test_a_text_is_read_strictly(text: str, verb: Verb, code: str) -> None:
    assert read(text) == (verb, code)


@given(st.text(max_size=40))
def test_nothing_without_ack_or_a_number_acknowledges(text: str) -> None:
    verb, code = read(text)
    if verb is Verb.ACKNOWLEDGE:
        assert code or {"ack", "1"} & {text.strip().casefold().rstrip(".!")[:3], text.strip()[:1]}


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        (Heard(effect=Effect.TAKEN, choices=[A]), "You have it: orders db is down."),
        (
            Heard(effect=Effect.TAKEN, choices=[A], cancelled=2, on_their_way=1),
            "You have it: orders db is down. 2 more cancelled. 1 had left already.",
        ),
        (Heard(effect=Effect.LATE, choices=[A], by="Bob took it"), "Bob took it: orders db is down. Nothing was changed."),
        (Heard(effect=Effect.BLOCKED), ""),
        (Heard(effect=Effect.REPEATED), ""),
        (Heard(effect=Effect.REPEATED, notice="staging"), ""),
        (Heard(effect=Effect.TAKEN, choices=[A], notice="staging"), "[staging] You have it: orders db is down."),
        (Heard(effect=Effect.TAKEN, choices=[A], is_withheld=True), ""),
    ],
)
def test_it_is_said_what_happened(heard: Heard, said: str) -> None:
    assert answer(heard) == said


def test_those_that_are_open_are_listed_in_few_words() -> None:
    told = answer(Heard(effect=Effect.AMBIGUOUS, choices=[A, B] * 50))
    assert told.startswith("100 are open, nothing was taken. Reply with a code: 10 orders db is down; 11 ttt")
    assert len(told) < 400


@pytest.mark.parametrize("effect", [Effect.UNKNOWN, Effect.UNBLOCKED, Effect.EXPLAINED])
def test_what_takes_nothing_does_not_say_that_it_did(effect: Effect) -> None:
    told = answer(Heard(effect=effect))
    assert told
    assert "You have it" not in told
