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
        ("ack 1", Verb.ACKNOWLEDGE, ""),
        ("1 1", Verb.ACKNOWLEDGE, ""),
        ("acknowledged", Verb.ACKNOWLEDGE, ""),
        ("Acked!", Verb.ACKNOWLEDGE, ""),
        ("OK", Verb.ACKNOWLEDGE, ""),
        ("okay 12", Verb.ACKNOWLEDGE, "12"),
        ("On it.", Verb.ACKNOWLEDGE, ""),
        ("on  it\n#12", Verb.ACKNOWLEDGE, "12"),
        ("yes 12", Verb.ACKNOWLEDGE, "12"),
        ("yes 1", Verb.ACKNOWLEDGE, ""),
        ("ack 2", Verb.UNCLEAR, ""),
        ("ok?", Verb.UNCLEAR, ""),
        ("not ok", Verb.UNCLEAR, ""),
        ("ok, who is on it", Verb.UNCLEAR, ""),
        ("on it?", Verb.UNCLEAR, ""),
        ("I am on it", Verb.UNCLEAR, ""),
        ("no", Verb.UNCLEAR, ""),
        ("yes and no", Verb.UNCLEAR, ""),
        ("stop ok", Verb.UNCLEAR, ""),
        ("ack start", Verb.UNCLEAR, ""),
        ("Yes", Verb.YES, ""),
        ("yes!", Verb.YES, ""),
        ("start", Verb.START, ""),
        ("Unstop", Verb.START, ""),
        ("info", Verb.HELP, ""),
    ],
)
def test_a_text_is_read_strictly(text: str, verb: Verb, code: str) -> None:
    assert read(text) == (verb, code)


@given(st.text(max_size=40))
def test_nothing_without_one_of_the_words_or_a_number_acknowledges(text: str) -> None:
    verb, code = read(text)
    if verb is Verb.ACKNOWLEDGE:
        assert code or " ".join(text.split()).casefold().startswith(("ack", "ok", "on it", "yes", "1"))


@pytest.mark.parametrize("word", ["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke"])
@pytest.mark.parametrize("end", ["", "!", "."])
def test_a_word_that_the_carrier_stops_for_stops(word: str, end: str) -> None:
    assert read(word.title() + end)[0] is Verb.STOP


@given(st.sampled_from(["start", "unstop"]), st.text(max_size=10))
def test_who_wants_texts_again_acknowledges_nothing(word: str, more: str) -> None:
    assert read(f"{word} {more}")[0] not in (Verb.ACKNOWLEDGE, Verb.YES)


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


@pytest.mark.parametrize("notice", ["", "staging"])
@pytest.mark.parametrize("effect", Effect)
def test_what_we_answer_is_known_when_it_comes_back(effect: Effect, notice: str) -> None:
    heard = Heard(effect=effect, choices=[A, B], by="Bob took it", cancelled=1, on_their_way=2, notice=notice)
    if said := answer(heard):
        assert read(said) == (Verb.ECHO, "")
        assert read(f" {said}\n") == (Verb.ECHO, "")
        assert read(f"Re: {said}"[: len(said) // 2])[0] is not Verb.ECHO


def test_those_that_are_open_are_listed_in_few_words() -> None:
    told = answer(Heard(effect=Effect.AMBIGUOUS, choices=[A, B] * 50))
    assert told.startswith("100 are open, nothing was taken. Reply with a code: 10 orders db is down; 11 ttt")
    assert len(told) < 400


@pytest.mark.parametrize("effect", [Effect.UNKNOWN, Effect.UNBLOCKED, Effect.EXPLAINED])
def test_what_takes_nothing_does_not_say_that_it_did(effect: Effect) -> None:
    told = answer(Heard(effect=effect))
    assert told
    assert "You have it" not in told
