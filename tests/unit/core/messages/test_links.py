import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.messages.links import LinkClaim, Subject, check, read_subject_id, sign
from notifyflow.errors import InvalidLink

NOW = datetime(2026, 11, 25, 2, 14, tzinfo=UTC)
LATER = NOW + timedelta(days=7)
FULL_HOUR = datetime(2026, 12, 2, 3, tzinfo=UTC)
INCIDENT = "0192f0c4a1b27c3d8e4f5a6b7c8d9e0f"
PEOPLE = ("ada", "ben", "günther.müller@example.com")
TOKEN = sign(["new", "old"], INCIDENT, "ada", LATER)
FORMER = "aw9-6AGS8MShsnw9jk9aa3yNng9hZGH-HiwIARVypeilxWph64S2"
"""A token of the version before, for ada, until LATER, signed with the key ``new``."""


@given(incident=st.uuids(), recipient=st.text(max_size=255).filter(lambda text: text.isprintable()))
def test_a_link_says_what_was_signed(incident: UUID, recipient: str) -> None:
    token = sign(["key"], incident.hex, recipient, LATER)
    assert read_subject_id(token) == incident.hex
    claim = check(["key"], token, [*PEOPLE, recipient], NOW)
    assert claim == LinkClaim(subject=Subject.INCIDENT, subject_id=incident.hex, recipient_id=recipient, expires_at=FULL_HOUR)


def test_the_link_of_a_bundle_is_as_short_and_never_that_of_an_incident() -> None:
    token = sign(["new"], INCIDENT, "ada", LATER, subject=Subject.BUNDLE)
    assert (len(token), token[:25]) == (len(TOKEN), TOKEN[:25])
    claim = check(["old", "new"], token, PEOPLE, NOW, subject=Subject.BUNDLE)
    assert claim == LinkClaim(subject=Subject.BUNDLE, subject_id=INCIDENT, recipient_id="ada", expires_at=FULL_HOUR)
    for other, subject in ((token, Subject.INCIDENT), (TOKEN, Subject.BUNDLE), (FORMER, Subject.BUNDLE)):
        with pytest.raises(InvalidLink, match="not one of ours"):
            check(["new"], other, PEOPLE, NOW, subject=subject)


def test_a_link_is_only_for_the_recipient_it_was_made_for() -> None:
    assert check(["new"], TOKEN, PEOPLE, NOW).recipient_id == "ada"
    for others in (PEOPLE[1:], (), ("Ada", "ad", "adaa")):
        with pytest.raises(InvalidLink, match="not one of ours"):
            check(["new"], TOKEN, others, NOW)


def test_the_first_key_signs_and_any_key_verifies() -> None:
    assert check(["newest", "new"], TOKEN, PEOPLE, NOW).recipient_id == "ada"
    with pytest.raises(InvalidLink):
        check(["old"], TOKEN, PEOPLE, NOW)
    with pytest.raises(InvalidLink):
        check([], TOKEN, PEOPLE, NOW)


@given(recipient=st.text(st.characters(codec="utf-8"), max_size=255), days=st.integers(0, 30_000))
def test_a_token_is_short_whoever_it_is_for_and_needs_no_escaping(recipient: str, days: int) -> None:
    token = sign(["key"], INCIDENT, recipient, NOW + timedelta(days=days))
    assert len(f"/a/{token}") <= 48
    assert token.replace("-", "").replace("_", "").isalnum()
    assert token.isascii()


def test_a_signature_has_88_bits() -> None:
    signed = urlsafe_b64decode(TOKEN + "=" * (-len(TOKEN) % 4))
    assert len(signed) - 16 - 3 == 11


def test_a_link_expires_at_the_end_of_its_hour() -> None:
    assert check(["new"], TOKEN, PEOPLE, FULL_HOUR - timedelta(seconds=1)).expires_at == FULL_HOUR
    assert check(["new"], sign(["new"], INCIDENT, "ada", FULL_HOUR), PEOPLE, NOW).expires_at == FULL_HOUR


def test_an_expired_link_is_distinguished_from_a_forged_one() -> None:
    with pytest.raises(InvalidLink, match="expired") as expired:
        check(["new"], TOKEN, PEOPLE, FULL_HOUR)
    assert expired.value.is_expired
    with pytest.raises(InvalidLink, match="not one of ours") as forged:
        check(["other"], TOKEN, PEOPLE, FULL_HOUR)
    assert not forged.value.is_expired


def test_a_link_of_the_version_before_is_valid_until_it_expires() -> None:
    assert read_subject_id(FORMER) == INCIDENT
    claim = LinkClaim(subject=Subject.INCIDENT, subject_id=INCIDENT, recipient_id="ada", expires_at=LATER)
    assert check(["newest", "new"], FORMER, ["ben"], NOW) == claim
    with pytest.raises(InvalidLink, match="expired"):
        check(["new"], FORMER, PEOPLE, LATER)
    with pytest.raises(InvalidLink, match="not one of ours"):
        check(["old"], FORMER, PEOPLE, NOW)


@pytest.mark.parametrize("token", [TOKEN, FORMER])
@given(data=st.data())
def test_a_changed_token_is_not_ours(token: str, data: st.DataObject) -> None:
    place, character = data.draw(st.integers(0, len(token) - 1)), data.draw(st.sampled_from("ABCxyz019-_ =é\x00"))
    changed = token[:place] + character + token[place + 1 :]
    if changed != token:
        with pytest.raises(InvalidLink):
            check(["new"], changed, PEOPLE, NOW)


def test_the_signature_of_one_version_signs_no_other() -> None:
    """What was signed for a recipient's id before must not be read as something else now, nor the other way round."""
    for purpose in (b"", b"notifyflow acknowledgement link, version 1\n"):
        payload = UUID(INCIDENT).bytes + (500_000).to_bytes(3, "big")
        mac = hmac.digest(b"new", purpose + payload + b"ada", "sha256")[:11]
        with pytest.raises(InvalidLink):
            check(["new"], urlsafe_b64encode(payload + mac).decode(), PEOPLE, NOW)


@given(st.text(max_size=80))
def test_garbage_is_not_ours(token: str) -> None:
    with pytest.raises(InvalidLink):
        check(["new"], token, PEOPLE, NOW)


@pytest.mark.parametrize("size", range(64))
def test_bytes_of_any_length_are_not_ours(size: int) -> None:
    with pytest.raises(InvalidLink):
        check(["new"], urlsafe_b64encode(b"x" * size).rstrip(b"=").decode(), PEOPLE, NOW)
    with pytest.raises(InvalidLink):
        check(["new"], urlsafe_b64encode(b"\xff" * size).rstrip(b"=").decode(), PEOPLE, NOW)


@pytest.mark.parametrize("token", ["", TOKEN + "=", TOKEN + "A", TOKEN[:-1], "\ud800", "a" * 100_000, FORMER + "A"])
def test_another_spelling_or_length_is_not_ours(token: str) -> None:
    with pytest.raises(InvalidLink):
        check(["new"], token, PEOPLE, NOW)


def test_only_the_ids_we_make_can_be_signed() -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        sign(["key"], "db-1", "ada", LATER)
