"""What a reply acknowledges: exactly what its message carried, and never what the message did not name unless it asks for all."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import IncidentState, Severity
from notifyflow.core.messages.carried import CarriedPage, CodedMessage, Meaning, meant_by_code, meant_by_word

CRITICAL, ERROR, WARNING, INFO = Severity
PAGE = CarriedPage(
    incident_id="a",
    recipient_id="ada",
    shown=ERROR,
    severity=ERROR,
    state=IncidentState.OPEN,
    is_open=True,
    title="db is down",
    at=datetime(2026, 11, 30, tzinfo=UTC),
)
OTHER = replace(PAGE, incident_id="b")
UNNAMED = replace(PAGE, incident_id="c", is_named=False)
OVER = replace(PAGE, is_open=False, state=IncidentState.RESOLVED)
RISEN = replace(PAGE, severity=CRITICAL)


def message(*pages: CarriedPage, code: str = "42") -> CodedMessage:
    return CodedMessage(code=code, pages=pages)


@pytest.mark.parametrize(("severity", "has_risen"), [(CRITICAL, True), (ERROR, False), (WARNING, False)])
def test_an_incident_has_risen_if_it_is_more_severe_than_was_shown(severity: Severity, has_risen: bool) -> None:
    assert replace(PAGE, severity=severity).has_risen is has_risen


def test_a_code_acknowledges_all_that_its_message_named() -> None:
    both = message(PAGE, OTHER)
    for is_all in (False, True):
        assert meant_by_code(both, is_all=is_all) == Meaning(pages=(PAGE, OTHER))


def test_what_a_message_did_not_name_is_acknowledged_only_by_all() -> None:
    some = message(PAGE, UNNAMED)
    assert meant_by_code(some, is_all=False) == Meaning(choices=[some])
    assert meant_by_code(some, is_all=True) == Meaning(pages=(PAGE, UNNAMED))


def test_the_code_of_a_message_of_which_nothing_is_open_is_late_and_not_asked_about() -> None:
    over = message(OVER, replace(UNNAMED, is_open=False))
    assert meant_by_code(over, is_all=False) == Meaning(pages=[OVER])


def test_a_word_means_the_only_open_message_if_that_named_all() -> None:
    assert meant_by_word([message(PAGE, OTHER)]) == Meaning(pages=[PAGE, OTHER])
    some = message(PAGE, UNNAMED)
    assert meant_by_word([some]) == Meaning(choices=[some])
    assert meant_by_word([]) == Meaning(pages=[])


@pytest.mark.parametrize("second", [(OTHER,), (PAGE, OTHER), (replace(PAGE, shown=CRITICAL),)])
def test_a_word_means_none_of_several_messages(second: tuple[CarriedPage, ...]) -> None:
    messages = [message(PAGE), message(*second, code="43")]
    assert meant_by_word(messages) == Meaning(choices=messages)


def test_a_word_from_a_shared_number_means_all_who_share_it() -> None:
    theirs = message(replace(PAGE, recipient_id="bob"), code="43")
    assert meant_by_word([message(PAGE), theirs]).pages == [PAGE, *theirs.pages]


def test_what_has_risen_or_is_over_is_no_choice() -> None:
    assert message(PAGE, RISEN, OVER, UNNAMED).to_acknowledge == [PAGE, UNNAMED]


PAGES = st.builds(
    replace,
    st.just(PAGE),
    incident_id=st.sampled_from("abc"),
    recipient_id=st.sampled_from(["ada", "bob"]),
    shown=st.sampled_from(Severity),
    severity=st.sampled_from(Severity),
    is_named=st.booleans(),
    is_open=st.booleans(),
)
MESSAGES = st.lists(st.builds(CodedMessage, code=st.sampled_from(["10", "42"]), pages=st.lists(PAGES, min_size=1, max_size=4)))


@given(MESSAGES)
def test_without_all_nothing_is_acknowledged_that_no_message_named(messages: list[CodedMessage]) -> None:
    for meaning in (meant_by_word(messages), *(meant_by_code(each, is_all=False) for each in messages)):
        assert all(page.is_named for page in meaning.pages)
        assert not (meaning.pages and meaning.choices)


@given(MESSAGES)
def test_nothing_is_acknowledged_that_the_message_did_not_carry(messages: list[CodedMessage]) -> None:
    for each in messages:
        for is_all in (False, True):
            meaning = meant_by_code(each, is_all=is_all)
            assert all(page in each.pages for page in meaning.pages)
            assert not is_all or list(meaning.pages) == list(each.pages)
