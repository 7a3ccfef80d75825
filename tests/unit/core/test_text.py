import unicodedata
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core import text
from tests import strategies


@given(strategies.any_text)
def test_clean_text_can_stand_in_xml_utf_8_and_a_database(original: str) -> None:
    cleaned = text.clean(original)
    element = ET.Element("say")
    element.text = cleaned
    assert ET.fromstring(ET.tostring(element, encoding="utf-8")).text == (cleaned or None)
    assert "\0" not in cleaned
    assert text.clean(cleaned) == cleaned


@given(strategies.any_text)
def test_one_line_is_one_line(original: str) -> None:
    line = text.one_line(original)
    assert len(line.splitlines()) <= 1
    assert line == line.strip()
    assert "  " not in line


def test_line_ends_and_blanks_are_tidied() -> None:
    assert text.one_line(" disk\r\n full\x00\tnow ") == "disk full� now"
    assert text.paragraphs("\n\na \r\nb\x0bc\n\n  d\n\n") == "a\nb\nc\n\n  d"


@given(strategies.any_text, st.integers(1, 50))
def test_cut_text_is_short_enough_and_ends_with_a_whole_word_or_none_fits(original: str, limit: int) -> None:
    short = text.cut(original, limit)
    assert len(short) <= limit
    assert short == original or short.endswith("…")
    assert original.startswith(short.removesuffix("…"))


@pytest.mark.parametrize(
    ("limit", "short"),
    [(12, "the db fails"), (11, "the db…"), (7, "the db…"), (6, "the…"), (3, "th…"), (1, "…")],
)
def test_words_are_kept_whole(limit: int, short: str) -> None:
    assert text.cut("the db fails", limit) == short


@pytest.mark.parametrize(
    ("original", "limit", "short"),
    [
        ("データベースか\u3099応答しません", 8, "データベース…"),  # the voicing stays with its letter
        ("数据库没有响应，请立即检查", 8, "数据库没有响应…"),
        ("ฐานข้อมูลไม่ตอบสนอง", 8, "ฐานข้อ…"),  # the tone mark stays with its consonant
        ("db-1.orders.eu-central-1.internal.example.com", 21, "db-1.orders.eu-centr…"),
        ("👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 16, "👩‍👩‍👧‍👦👩‍👩‍👧‍👦…"),  # a family is seven code points
        ("🇩🇪🇫🇷🇯🇵🇧🇷", 6, "🇩🇪🇫🇷…"),
        ("CRITICAL: データベースが応答しませんのですぐに確認してください", 25, "CRITICAL: データベースが応答しませんの…"),
        ("a " + "x" * 50, 20, "a " + "x" * 17 + "…"),  # one letter is less than half of what fits
        ("half of it " + "x" * 50, 20, "half of it…"),
    ],
)
def test_what_has_no_blanks_is_cut_between_what_people_see_as_characters(original: str, limit: int, short: str) -> None:
    assert text.cut(original, limit) == short


@given(strategies.graphemes, st.integers(8, 80))
def test_no_character_that_people_see_is_torn(signs: list[str], limit: int) -> None:
    whole = "".join(signs)
    short = text.cut(whole, limit)
    assert short == whole or short.removesuffix("…") in ["".join(signs[:count]).rstrip() for count in range(len(signs) + 1)]


@given(strategies.any_text | st.text("a \u0301\u200d🇩👩", max_size=300), st.integers(2, 60))
def test_a_cut_text_keeps_at_least_half_of_what_fits_or_a_character_less(original: str, limit: int) -> None:
    kept = text.cut(original, limit).removesuffix("…")
    longest = max((len(each) for each in regex.findall(r"\X", original)), default=0)
    assert len(original) <= limit or len(kept.rstrip()) <= limit - 1
    assert (
        len(original) <= limit
        or original[: limit - 1].isspace()
        or len(original[: limit - 1].rstrip()) - len(kept) <= max(limit / 2, longest)
    )


@pytest.mark.parametrize("sign", ["\u0301", "🇩", "👩\u200d", "\u200d", "각", "\u0e33"])
def test_a_character_that_never_ends_is_cut_all_the_same(sign: str) -> None:
    endless = sign * 700_000  # work that grows with its square would outlast the suite's time-out
    assert len(text.cut(endless, 600_000)) in range(599_990, 600_001)


def test_direction_marks_cannot_turn_a_line_around() -> None:
    marks = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    assert all(unicodedata.bidirectional(mark) in _DIRECTIONS for mark in marks)
    assert text.one_line(f"{marks}db is \u202egnp.exe{marks}") == "db is gnp.exe"
    assert text.one_line("שלום مرحبا") == "שלום مرحبا"  # letters bring their direction themselves


_DIRECTIONS = {"AL", "L", "R", "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}


def test_a_number_and_its_noun_agree() -> None:
    assert [text.quantity(count, "notification") for count in (0, 1, 2, 2000)] == [
        "0 notifications",
        "1 notification",
        "2 notifications",
        "2,000 notifications",
    ]


@pytest.mark.parametrize(
    ("seconds", "whole"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 m"),
        (7 * 60 + 59, "7 m"),
        (3_600, "1 h 00 m"),
        (7_380, "2 h 03 m"),
        (180_000, "50 h 00 m"),
    ],
)
def test_a_duration_is_written_in_whole_minutes(seconds: float, whole: str) -> None:
    assert text.duration(timedelta(seconds=seconds)) == whole


@pytest.mark.parametrize(
    ("zone", "whole"),
    [
        ("UTC", "Wed 25 Nov 02:14 UTC"),
        ("Europe/Berlin", "Wed 25 Nov 03:14 CET (02:14 UTC)"),
        ("America/Sao_Paulo", "Tue 24 Nov 23:14 UTC-03 (Wed 02:14 UTC)"),
    ],
)
def test_a_moment_is_local_first_then_in_utc_with_the_date_once(zone: str, whole: str) -> None:
    assert text.moment(datetime(2026, 11, 25, 2, 14, tzinfo=UTC), ZoneInfo(zone)) == whole


@pytest.mark.parametrize(("year", "shown"), [(2025, "Wed 31 Dec 2025 23:30 UTC"), (2026, "Thu 31 Dec 23:30 UTC")])
def test_an_instant_names_its_year_unless_it_is_the_present_one(year: int, shown: str) -> None:
    assert text.instant(datetime(year, 12, 31, 23, 30, tzinfo=UTC), now=datetime(2026, 11, 25, tzinfo=UTC)) == shown


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        ([], ""),
        (["Ben"], "Ben"),
        (["Ben", "Cleo"], "Ben and Cleo"),
        (["Ben", "Cleo", "Dan", "Eve"], "Ben, Cleo, Dan and Eve"),
        (["Ben", "Cleo", "Dan", "Eve", "Finn", "Gus"], "Ben, Cleo, Dan, Eve and others"),
    ],
)
def test_of_many_names_the_first_are_listed(names: list[str], listed: str) -> None:
    assert text.listed(names) == listed


def test_something_personal_is_shown_by_its_beginning_and_length() -> None:
    assert text.masked("+15550001234") == "'+15…' (12 characters)"
    assert text.masked("12") == "'…' (2 characters)"
    assert text.masked("\x1b[31mred") == "'\\x1b[…' (8 characters)"


def test_a_long_or_deep_value_is_quoted_in_part() -> None:
    deep: object = None
    for _ in range(5_000):
        deep = [deep]
    assert text.quoted(5) == "5"
    assert text.quoted("severe") == "'severe'"
    assert len(text.quoted("x" * 1_000_000)) == 80
    assert len(text.quoted(deep)) <= 80
    assert len(text.quoted({str(number): deep for number in range(5_000)})) <= 80


@given(strategies.any_text, st.integers(1, 30))
def test_a_short_line_is_a_line_that_was_cut(original: str, limit: int) -> None:
    assert text.short_line(original, limit) == text.cut(text.one_line(original), limit)


@pytest.mark.parametrize(
    ("original", "kept", "short"),
    [
        ("disk is full", 12, "disk is full"),
        ("disk is full!", 12, "disk is full…"),
        ("the disk is full", 4, "the…"),
        ("データベースか\u3099", 7, "データベース…"),  # the voicing stays with its letter
    ],
)
def test_a_beginning_keeps_as_many_characters_as_are_asked_for(original: str, kept: int, short: str) -> None:
    assert text.beginning(original, kept) == short
