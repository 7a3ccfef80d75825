"""A key covers the titles that were said or begun, and says so in its code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Evidence, Receipt, Result
from notifyflow.core.messages.keys import Key, for_title, read_key


@given(st.sampled_from("0123456789*#"), st.none() | st.integers(0, 99))
def test_a_code_is_read_back(digit: str, said: int | None) -> None:
    key = Key(digit=digit, said=said)
    assert read_key(key.code) == key


def test_a_code_says_the_key_and_how_many_titles_had_been_begun() -> None:
    assert [Key(digit="1").code, Key(digit="4", said=3).code] == ["key 1", "key 4 at 3"]


@pytest.mark.parametrize("code", ["completed", "", "key", "key 1 at", "key 1 at x", "key 12", "unsaid"])
def test_another_code_is_no_key(code: str) -> None:
    assert read_key(code) is None


def pressed(code: str, *, is_acknowledgement: bool = False) -> Receipt:
    return Receipt(
        provider="twilio",
        event_id="e",
        result=Result.DELIVERED,
        evidence=Evidence.HUMAN,
        code=code,
        is_key_press=True,
        is_acknowledgement=is_acknowledgement,
    )


@given(st.integers(0, 10), st.integers(0, 10), st.booleans(), st.sampled_from("1234"))
def test_a_key_delivers_exactly_the_titles_that_were_begun(said: int, position: int, is_named: bool, digit: str) -> None:
    receipt = pressed(f"key {digit} at {said}", is_acknowledgement=digit in "14")
    applied = for_title(receipt, position, is_named=is_named)
    heard = is_named and position + 1 <= said
    assert (applied.result is Result.DELIVERED) is heard
    assert (applied.evidence is Evidence.HUMAN) is heard
    assert applied.is_key_press is heard
    assert applied.is_acknowledgement is ((digit == "1" and heard) or digit == "4")


def test_a_key_that_may_not_acknowledge_everything_acknowledges_nothing_unsaid() -> None:
    assert not for_title(pressed("key 4 at 1"), 3, is_named=True).is_acknowledgement
    assert not for_title(pressed("key 1 at 3", is_acknowledgement=True), 2, is_named=False).is_acknowledgement
    assert not for_title(pressed("a plug-in's own", is_acknowledgement=True), 2, is_named=False).is_acknowledgement


@pytest.mark.parametrize("position", [None, 0, 7])
def test_a_key_of_a_call_about_one_incident_and_any_other_receipt_apply_as_they_are(position: int | None) -> None:
    for receipt in (
        pressed("key 1", is_acknowledgement=True),
        pressed("a plug-in's own"),
        Receipt(provider="twilio", event_id="e", result=Result.TEMPORARY_FAILURE, code="key 1 at 0"),
    ):
        assert for_title(receipt, position, is_named=True) is receipt


def test_the_code_of_a_key_says_how_far_the_call_was() -> None:
    assert [Key(digit="1").code, Key(digit="4", said=3).code] == ["key 1", "key 4 at 3"]
