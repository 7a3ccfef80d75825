from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.links import LinkClaim, check, sign
from notifyflow.errors import InvalidLink

NOW = datetime(2026, 11, 25, 2, 14, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
INCIDENT = "0192f0c4a1b27c3d8e4f5a6b7c8d9e0f"
TOKEN = sign(["new", "old"], INCIDENT, "ada", LATER)


@given(incident=st.uuids(), recipient=st.text(max_size=40).filter(lambda text: text.isprintable()))
def test_a_link_says_what_was_signed(incident: object, recipient: str) -> None:
    incident_id = str(incident).replace("-", "")
    token = sign(["key"], incident_id, recipient, LATER)
    assert check(["key"], token, NOW) == LinkClaim(incident_id=incident_id, recipient_id=recipient, expires_at=LATER)


def test_the_first_key_signs_and_any_key_verifies() -> None:
    assert check(["newest", "new"], TOKEN, NOW).recipient_id == "ada"
    with pytest.raises(InvalidLink):
        check(["old"], TOKEN, NOW)
    with pytest.raises(InvalidLink):
        check([], TOKEN, NOW)


def test_a_token_is_short_enough_for_a_text_message_and_needs_no_escaping() -> None:
    assert len(TOKEN) <= 54
    assert TOKEN.replace("-", "").replace("_", "").isalnum()
    assert TOKEN.isascii()


def test_an_expired_link_is_distinguished_from_a_forged_one() -> None:
    with pytest.raises(InvalidLink, match="expired") as expired:
        check(["new"], TOKEN, LATER)
    assert expired.value.is_expired
    with pytest.raises(InvalidLink, match="not one of ours") as forged:
        check(["other"], TOKEN, LATER)
    assert not forged.value.is_expired


@given(place=st.integers(0, len(TOKEN) - 1), character=st.sampled_from("ABCxyz019-_ =é\x00"))
def test_a_changed_token_is_not_ours(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    if changed != TOKEN:
        with pytest.raises(InvalidLink):
            check(["new"], changed, NOW)


@given(st.text(max_size=80))
def test_garbage_is_not_ours(token: str) -> None:
    with pytest.raises(InvalidLink):
        check(["new"], token, NOW)


@pytest.mark.parametrize(
    "token", ["", TOKEN + "=", TOKEN + "A", TOKEN[:-1], urlsafe_b64encode(b"x" * 16).decode(), "\ud800", "a" * 100_000]
)
def test_another_spelling_or_length_is_not_ours(token: str) -> None:
    with pytest.raises(InvalidLink):
        check(["new"], token, NOW)


def test_only_the_ids_we_make_can_be_signed() -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        sign(["key"], "db-1", "ada", LATER)
