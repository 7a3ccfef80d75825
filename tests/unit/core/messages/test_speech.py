import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given

from notifyflow.core.delivery.model import Kind, Severity
from notifyflow.core.messages.content import Content
from notifyflow.core.messages.replies import Choice, Effect, HandledReply
from notifyflow.core.messages.speech import aloud, sentences, stop_hint, write_key_response
from tests import strategies

PAGE = Content(
    kind=Kind.PAGE,
    severity=Severity.CRITICAL,
    title="orders-db_1: CPU 97% on 10.0.0.5",
    key="db-1",
    recipient_name="Ada",
    occurred="Wed 25 Nov 03:14 CET",
    source="prometheus",
    delayed="delayed 2 h 03 m",
    notice="sandbox",
)


def test_a_call_says_for_whom_and_how_bad_then_what_where_and_when() -> None:
    assert sentences(PAGE) == (
        "sandbox.",
        "Critical alert for Ada.",
        "orders db 1: CPU 97 percent on 10 dot 0 dot 0 dot 5.",
        "Reported by prometheus.",
        "It happened on Wednesday 25 November 03:14 CET.",
        "This call was delayed 2 hours 3 minutes.",
    )


def test_missing_parts_are_not_spoken() -> None:
    assert len(sentences(replace(PAGE, notice="", source="", delayed=""))) == 3


def test_a_call_says_who_else_is_paged_and_at_its_end_how_to_get_no_more() -> None:
    content = replace(PAGE, also_paged="Ben and Cleo", acknowledged="Ben, Wed 25 Nov 03:20 CET", ops_contact="ops@example.com")
    assert sentences(content)[-2:] == (
        "Acknowledged before by Ben, Wednesday 25 November 03:20 CET.",
        "Also paged: Ben and Cleo.",
    )
    assert stop_hint(content) == "To get no more calls like this, ask ops at example dot com."


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("see https://grafana.example.com/d/1?x=2&y for more", "see a link for more"),
        ("pod 3f9a8b7c9d is gone", "pod an id is gone"),
        ("job 123e4567-e89b-12d3-a456-426614174000 failed", "job an id failed"),
        ("order 20261125", "order 20261125"),
        ("OrdersDbDown", "Orders Db Down"),
        ("db.example.com", "db dot example dot com"),
        ("2.5 s > 1 s", "2.5 seconds above 1 second"),
        ("at -5 °C, not db-5", "at minus 5 degrees C, not db 5"),
        ("a & b @ c = d < e + f", "a and b at c equals d below e plus f"),
        ("FIRE!!! 🔥🔥 ...", "FIRE"),
        ("数据库 недоступна", "数据库 недоступна"),
        ("Sun server in May", "Sun server in May"),
        ("(a)  [b] | {c} ; d", "(a) b c; d"),
    ],
)
def test_text_is_written_as_a_voice_reads_it(written: str, spoken: str) -> None:
    assert aloud(written) == spoken


@given(strategies.contents)
def test_any_content_can_be_spoken(content: Content) -> None:
    spoken = sentences(content)
    assert all(sentence.endswith(".") and len(sentence) < 2_000 for sentence in spoken)
    for character in " ".join(spoken):
        assert character == " " or character in ".,:;!?'()" or unicodedata.category(character)[0] in "LMN"


@pytest.mark.parametrize(
    ("handled", "spoken"),
    [
        (None, "No key was pressed."),
        (HandledReply(effect=Effect.ACKNOWLEDGED), "Thank you. You acknowledged it."),
        (
            HandledReply(effect=Effect.LATE, by="Ben @ orders acknowledged it"),
            "Ben at orders acknowledged it. Nothing was changed.",
        ),
        (HandledReply(effect=Effect.EXPLAINED), "Thank you. Nobody has acknowledged it yet."),
        (HandledReply(effect=Effect.UNKNOWN), "Nothing was acknowledged."),
        (
            HandledReply(effect=Effect.UNREADABLE),
            "Nothing was acknowledged: the incident cannot be read. Tell operations.",
        ),
        (
            HandledReply(effect=Effect.RISEN, still_open=[Choice(code="", title="", incident_id="", risen_to=Severity.CRITICAL)]),
            "It is CRITICAL now. It stays open until you acknowledge that.",
        ),
    ],
)
def test_the_response_to_a_key_describes_the_incidents_state(handled: HandledReply | None, spoken: str) -> None:
    assert write_key_response(handled) == spoken


def test_the_response_to_a_key_of_a_call_about_several_says_how_many_are_acknowledged() -> None:
    content = replace(PAGE, bundled=(PAGE, PAGE), counts={Severity.CRITICAL: 12}, unnamed=10)
    handled = HandledReply(effect=Effect.ACKNOWLEDGED, acknowledged=2, content=content)
    assert write_key_response(handled) == "Thank you. 2 of 12 are acknowledged."
    assert write_key_response(replace(handled, acknowledged=0)) == "Thank you. None of 12 are acknowledged."
    assert write_key_response(replace(handled, content=PAGE)) == "Thank you. You acknowledged it."
    risen = [Choice(code="", title=f"db-{number} fails", incident_id="i", risen_to=Severity.CRITICAL) for number in range(5)]
    assert write_key_response(replace(handled, still_open=risen[:1])) == (
        "Thank you. 2 of 12 are acknowledged. db 0 fails is CRITICAL now. It stays open."
    )
    assert write_key_response(replace(handled, still_open=risen)).count("stays open") == 3
