"""A call is carried out as its TwiML says, for somebody who does what the script says."""

import asyncio
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Gather, VoiceResponse

from notifyflow.sandbox.phone import BROKEN, Callee, read_twiml

QUESTION = (
    "<Response><Say>Database down.</Say><Gather numDigits='1' action='/key'><Say loop='2'>Press\n one.</Say></Gather>"
    "<Say>Nobody pressed.</Say></Response>"
)


def call(callee: Callee, document: str, documents: Mapping[str, str | None] | None = None) -> list[tuple[str, dict[str, str]]]:
    requests: list[tuple[str, dict[str, str]]] = []

    async def fetch(url: str, form: Mapping[str, str]) -> str | None:
        requests.append((url, dict(form)))
        return (documents or {}).get(url)

    asyncio.run(callee.listen(document, "https://example.com/calls", fetch))
    return requests


def test_a_key_is_posted_and_its_response_replaces_the_rest() -> None:
    callee = Callee(key="1")
    requests = call(callee, QUESTION, {"https://example.com/key": "<Response><Say>Thank you.</Say></Response>"})
    assert requests == [("https://example.com/key", {"Digits": "1"})]
    assert callee.said == ("Database down.", "Press one.", "Press one.", "Thank you.")
    assert callee.pressed == "1"


def test_who_presses_nothing_hears_the_rest() -> None:
    callee = Callee()
    assert call(callee, QUESTION) == []
    assert callee.said[-1] == "Nobody pressed."
    assert callee.pressed == ""


def test_who_hangs_up_hears_no_more() -> None:
    callee = Callee(hangs_up=True)
    assert call(callee, QUESTION) == []
    assert callee.said == ("Database down.", "Press one.", "Press one.")


def test_a_question_that_wants_to_know_also_posts_that_nothing_was_pressed() -> None:
    callee = Callee()
    requests = call(callee, "<Response><Gather action='https://example.com/key' actionOnEmptyResult='true'/></Response>")
    assert requests == [("https://example.com/key", {"Digits": ""})]


def test_a_repeated_prompt_gets_no_second_key() -> None:
    callee = Callee(key="1")
    again = "<Response><Gather action='/key'><Say>Again.</Say></Gather></Response>"
    assert len(call(callee, QUESTION, {"https://example.com/key": again})) == 1
    assert callee.said[-1] == "Again."


THREE = (
    "<Response><Gather action='0'><Say>Two.</Say></Gather><Gather action='1'><Say loop='2'>One.</Say></Gather>"
    "<Say>Bye.</Say></Response>"
)


@pytest.mark.parametrize(("at", "asked"), [(None, "1"), (0, "0"), (1, "1"), (5, "1")])
def test_a_key_is_pressed_at_the_last_question_or_at_a_given_one(at: int | None, asked: str) -> None:
    callee = Callee(key="4", at=at)
    assert call(callee, THREE) == [(f"https://example.com/{asked}", {"Digits": "4"})]
    assert callee.said == (("Two.", BROKEN) if asked == "0" else ("Two.", "One.", "One.", BROKEN))


@pytest.mark.parametrize(("at", "heard"), [(None, 1), (0, 1), (1, 3)])
def test_who_hangs_up_does_so_at_the_first_question_or_at_a_given_one(at: int | None, heard: int) -> None:
    callee = Callee(hangs_up=True, at=at)
    call(callee, THREE)
    assert len(callee.said) == heard


def test_each_line_has_the_address_to_which_a_key_goes_that_is_pressed_then() -> None:
    callee = Callee()
    call(callee, THREE)
    assert callee.urls == ("https://example.com/0", "https://example.com/1", "https://example.com/1", "")


def test_a_redirect_is_followed_and_a_hangup_ends() -> None:
    callee = Callee()
    requests = call(
        callee,
        "<Response><Redirect>next</Redirect><Say>Never.</Say></Response>",
        {"https://example.com/next": "<Response><Play>tone.wav</Play><Hangup/><Say>Never.</Say></Response>"},
    )
    assert [url for url, _ in requests] == ["https://example.com/next"]
    assert callee.said == ("(plays tone.wav)",)


def test_a_loop_of_redirects_ends() -> None:
    again = "<Response><Redirect>https://example.com/a</Redirect></Response>"
    assert len(call(Callee(), again, {"https://example.com/a": again})) == 100


@pytest.mark.parametrize("response", [None, "", "<html/>", "<Response>"])
def test_a_response_that_is_not_twiml_ends_the_call_with_an_apology(response: str | None) -> None:
    callee = Callee(key="1")
    call(callee, QUESTION, {"https://example.com/key": response})
    assert callee.said[-1] == BROKEN


# Without what XML cannot hold (Extensible Markup Language 1.0, section 2.2).
@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), max_size=80))
def test_whatever_the_sdk_writes_is_read_back_unchanged(text: str) -> None:
    response = VoiceResponse()
    gather = Gather(action="/key")
    gather.say(text)
    response.append(gather)
    verbs = read_twiml(str(response))
    assert verbs is not None
    assert list(verbs[0].heard()) == [" ".join(text.split())]


@given(st.text())
def test_any_text_is_twiml_or_is_not(text: str) -> None:
    assert read_twiml(text) is None or text.strip().startswith("<")
