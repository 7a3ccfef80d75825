"""A call about several incidents says how many there are, then their titles, the worst first, within 45 seconds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.delivery.model import Kind, Severity
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.prompts import MOST, SPOKEN_S, Prompt, names, prompts, seconds, title
from tests import strategies

CRITICAL, ERROR, WARNING, INFO = Severity
PAGE = Content(
    kind=Kind.PAGE, severity=CRITICAL, title="orders db is down", key="db-1", recipient_name="Ada", occurred="Wed 25 Nov 03:14"
)


def a_call(*severities: Severity, named: int | None = None, **fields: object) -> Content:
    """Make the content of a call about incidents of these severities."""
    each = [
        replace(PAGE, severity=its, **({"title": f"db {number} is down"} | fields)) for number, its in enumerate(severities, 1)
    ]
    return gathered(each, names(each) if named is None else named)


def gathered(contents: Sequence[Content], named: int) -> Content:
    counts = Counter(each.severity for each in contents)
    return replace(contents[0], bundled=tuple(contents[:named]), counts=counts, unnamed=len(contents) - min(named, len(contents)))


def texts(said: Sequence[Prompt]) -> list[str]:
    return [prompt.text for prompt in said]


HINT = "To get no more calls like this, ask your operations team."
KEYS = "Press 1 to acknowledge what you have heard, 2 to repeat"


def test_it_says_the_counts_then_each_title_then_the_keys() -> None:
    assert texts(prompts(a_call(CRITICAL, CRITICAL, ERROR, notice="sandbox"))) == [
        f"sandbox. 2 critical and 1 error alerts for Ada. {KEYS}.",
        "Critical: db 1 is down.",
        "Critical: db 2 is down. Press 4 to acknowledge all 3.",
        "Error: db 3 is down.",
        f"{KEYS}, 4 for all 3. {HINT}",
    ]


def test_a_key_for_everything_is_offered_once_the_counts_and_all_critical_titles_are_said() -> None:
    said = prompts(a_call(CRITICAL, CRITICAL, ERROR))
    assert [(prompt.said, prompt.offers_all) for prompt in said] == [(0, False), (1, False), (2, True), (3, True), (3, True)]
    said = prompts(a_call(ERROR, WARNING))
    assert said[0].text == f"1 error and 1 warning alerts for Ada. {KEYS}. Press 4 to acknowledge all 2."
    assert [prompt.offers_all for prompt in said] == [True] * 4


def test_with_critical_titles_that_it_has_no_time_for_only_the_link_acknowledges_everything() -> None:
    for content in (a_call(*[CRITICAL] * 5, named=3), a_call(*[CRITICAL] * 11, named=11)):
        said = prompts(content)
        assert not any(prompt.offers_all for prompt in said)
        assert "Press 4" not in " ".join(texts(said))
    assert texts(prompts(a_call(*[CRITICAL] * 5, named=3)))[-1] == (f"{KEYS}. The link in your messages has the others. {HINT}")


def test_it_goes_on_with_the_next_title_without_the_counts() -> None:
    content = a_call(CRITICAL, ERROR, ERROR)
    assert prompts(content, after=1) == prompts(content)[2:]
    assert prompts(content, after=3) == prompts(content)[-1:]


def test_a_call_speaks_for_as_long_as_its_prompts_and_the_pauses_between_them() -> None:
    assert seconds([Prompt(text="x" * 28, said=0), Prompt(text="x" * 14, said=1)]) == 5


def test_a_title_that_no_voice_can_say_is_named_by_its_severity() -> None:
    assert title(replace(PAGE, title="🔥🔥")) == "Critical: its title cannot be said."
    assert len(title(replace(PAGE, title="x" * 300))) < 80


def test_at_least_one_title_is_said_and_no_more_than_fit_into_the_document() -> None:
    assert names([replace(PAGE, ops_contact="x" * 200, recipient_name="y" * 500, title="z" * 300, notice="n" * 80)] * 3) == 1
    assert names([replace(PAGE, title="a")] * 30) == MOST


@given(st.lists(strategies.contents, min_size=2, max_size=15))
def test_what_is_said_fits_into_its_time_and_every_key_covers_what_was_heard(contents: list[Content]) -> None:
    contents = sorted(contents, key=lambda each: each.severity.rank)
    named = names(contents)
    said = prompts(gathered(contents, named))
    assert named == 1 or seconds(said) <= SPOKEN_S
    heard, criticals = 0, sum(each.severity is CRITICAL for each in contents)
    spoken = [title(each) for each in contents]
    for prompt in said:
        heard += heard < named and prompt.text.startswith(spoken[heard]) and prompt is not said[0]
        assert prompt.said == heard
        assert not prompt.offers_all or heard >= criticals
    assert heard == named


@pytest.mark.parametrize("count", [2, 40])
def test_the_count_is_of_all(count: int) -> None:
    assert prompts(a_call(*[ERROR] * count))[0].text.startswith(f"{count} error alerts for Ada.")
    assert f"Press 4 to acknowledge all {count}." in prompts(a_call(*[ERROR] * count))[0].text


def test_prompts_take_as_long_as_all_of_them() -> None:
    first, second = Prompt(text="One alert.", said=0), Prompt(text="Two alerts, and more.", said=1)
    assert seconds([first, second]) == seconds([first]) + seconds([second])
