import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.messages.segments import count, fit, fit_first, fit_whole, plain
from tests import strategies

LINK = "https://notify.example.com/a/" + "x" * 54


@pytest.mark.parametrize(
    ("message", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("{" * 80, 1),
        ("{" * 81, 2),
        ("€" * 152, 2),
        ("€" * 153, 3),  # 76 escaped characters fill a segment but for one septet, which no escape may straddle
        ("a" + "€" * 152, 2),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("ж" * 134, 2),
        ("ж" * 135, 3),
        ("a" * 70 + "ж", 2),
        ("🔥" * 35, 1),
        ("🔥" * 36, 2),
        ("🔥" * 66, 2),
        ("🔥" * 67, 3),  # nor may a surrogate pair
        ("Ça va §¿ÄÖÑÜ\r\n", 1),
        ("ç" * 71, 2),  # only the capital stands in the alphabet
    ],
)
def test_segments_are_counted_as_a_phone_network_does(message: str, segments: int) -> None:
    assert count(message) == segments


def test_every_character_of_the_basic_alphabet_takes_one_septet() -> None:
    letters = "@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡Ä Ö Ñ Ü § ¿äöñüà"
    assert count(letters.ljust(160, "x")) == 1
    assert count("^{}\\[~]|€\f".ljust(150, "x")) == 1
    assert count("^{}\\[~]|€\f".ljust(151, "x")) == 2


@given(strategies.any_text, st.none() | st.just(LINK), st.integers(1, 3))
def test_a_message_fits_and_its_link_is_whole(text: str, link: str | None, segments: int) -> None:
    message = fit(text, link, segments=segments)
    assert count(message) <= segments
    kept_text = message.removesuffix(f"\n{LINK}")
    if link:
        assert message.endswith(f"\n{LINK}") or len(text) > 0
    assert plain(text).strip().startswith(kept_text.removesuffix("..."))


@given(st.lists(st.text("abcж", min_size=1, max_size=12), min_size=1, max_size=80))
def test_words_are_kept_whole(words: list[str]) -> None:
    kept_text = fit(" ".join(words), LINK).removesuffix(f"\n{LINK}")
    kept = kept_text.removesuffix("...").split()
    assert kept == words[: len(kept)]
    assert kept_text.endswith("...") or len(kept) == len(words)


def test_as_many_words_as_fit_are_kept() -> None:
    message = fit("word " * 100, LINK)
    assert count(message) == 2
    assert count(message.replace("word...", "word word...")) == 3


def test_a_word_that_is_too_long_is_cut() -> None:
    message = fit("x" * 500, LINK)
    assert message.endswith(f"x...\n{LINK}")
    assert len(message) == 306


@pytest.mark.parametrize(
    "title",
    [
        "データベースが応答しません" * 10,
        "数据库没有响应" * 20,
        "ฐานข้อมูลไม่ตอบสนอง" * 10,
        "orders-db-1." * 30 + "example.com",
        "👩\u200d👩\u200d👧\u200d👦" * 30,
    ],
)
def test_a_title_without_blanks_does_not_vanish(title: str) -> None:
    message = fit(f"CRITICAL: {title}", LINK)
    kept_text = message.removesuffix(f"...\n{LINK}").removeprefix("CRITICAL: ")
    assert count(message) == 2
    assert title.startswith(kept_text)
    assert len(kept_text.encode("utf-16-le")) // 2 >= 30
    assert title == kept_text + "".join(regex.findall(r"\X", title)[len(regex.findall(r"\X", kept_text)) :])  # nothing is torn


@pytest.mark.parametrize("sign", ["🇩", "e\u0301", "x"])
def test_a_long_text_costs_no_more_than_what_fits(sign: str) -> None:
    assert count(fit(sign * 700_000, LINK)) == 2  # work that grows with its square would outlast the suite's time-out


def test_a_link_that_leaves_no_room_is_left_out_rather_than_what_happened() -> None:
    assert fit("disk full", "https://example.com/" + "x" * 400) == "disk full"
    assert fit("ж" * 200, "https://example.com/" + "x" * 400).endswith("ж...")


def test_more_lines_are_added_where_they_are_free() -> None:
    assert fit("disk full", LINK, more=["Also paged: Ben", "Reply STOP to end texts."]) == (
        f"disk full\nAlso paged: Ben\nReply STOP to end texts.\n{LINK}"
    )
    almost = "x" * (160 - len(f"\nSTOP ends\n{LINK}"))
    assert fit(almost, LINK, more=["Also paged: Ben", "STOP ends"]) == f"{almost}\nSTOP ends\n{LINK}"
    assert fit("x" * 500, LINK, more=["STOP ends"]) == fit("x" * 500, LINK)
    assert fit("disk full", more=["Also paged: Zoë"]) == "disk full\nAlso paged: Zoë"
    assert fit("x" * 70, more=["Also paged: Zoë"]) == "x" * 70


def test_typography_does_not_double_the_price() -> None:
    assert plain("“disk” — full…\u00a0it’s 5\u200b×") == '"disk" - full... it\'s 5x'
    assert count(fit("“disk” — full… " * 10)) == 2


FAR = "https://" + "n" * 52 + "/a/" + "x" * 40


def test_the_first_text_whose_title_has_room_is_taken() -> None:
    title = "障害" * 40
    texts = [f"{mark}CRITICAL: {title}\n{'b' * 300}" for mark in ("m" * 90, "m" * 40, "")]
    message = fit_first(texts, title, FAR)
    assert message.startswith("m" * 40 + "CRITICAL: " + title[:30])
    assert (count(message), message.endswith(f"...\n{FAR}")) == (3, True)


def test_a_title_that_has_room_costs_no_segment_more() -> None:
    assert fit_first(["ERROR: disk full\n" + "b" * 500], "disk full", LINK) == fit("ERROR: disk full\n" + "b" * 500, LINK)
    assert fit_first(["disk full"], "disk full", more=["Also paged: Ben"]) == "disk full\nAlso paged: Ben"


def test_a_word_is_cut_where_too_little_of_the_title_would_be_left() -> None:
    title = "a " + "障害" * 40
    assert fit_first([f"{'m' * 40} {title}"], title, FAR).startswith("m" * 40 + " " + title[:30])


def test_a_text_without_its_title_leaves_room_for_the_link_only() -> None:
    assert fit_first(["ж" * 300], "disk full", LINK) == fit("ж" * 300, LINK)


def test_what_fits_nowhere_is_cut_all_the_same() -> None:
    message = fit_first(["ж" * 300 + "disk full", "ж" * 200 + "disk full"], "disk full", "https://example.com/" + "x" * 700)
    assert message == "ж" * 198 + "..."


def test_the_first_message_that_fits_is_whole() -> None:
    messages = [("ж" * 300, FAR), ("ж" * 90, FAR), ("ж" * 10, None)]
    assert fit_whole(messages) == f"{'ж' * 90}\n{FAR}"
    assert fit_whole(messages, segments=2) == "ж" * 10
    assert fit_whole([("disk full", None)], more=["Also paged: Ben"]) == "disk full\nAlso paged: Ben"


def test_of_messages_that_do_not_fit_the_last_is_cut() -> None:
    assert fit_whole([("ж" * 400, FAR), ("ж" * 300, FAR)]) == fit("ж" * 300, FAR, segments=3)
