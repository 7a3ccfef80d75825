from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.keys import ApiKey, Scope, digest, judge, read, spell
from notifyflow.errors import InvalidApiKey, MissingScope

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = "a-secret_with-all_kinds"
KEY = ApiKey(id="0" * 32, name="alerts", scopes=frozenset({Scope.INGEST}), digest=digest(SECRET), created_at=NOW - HOUR)


def test_a_key_is_taken_apart_as_it_was_spelt():
    assert read(spell(KEY.id, SECRET)) == (KEY.id, SECRET)


@given(st.text())
def test_whatever_is_presented_is_a_key_or_refused(presented: str):
    try:
        key_id, secret = read(presented)
    except InvalidApiKey:
        return
    assert spell(key_id, secret) == presented
    with pytest.raises(InvalidApiKey, match="none of ours"):
        judge(KEY, secret, Scope.INGEST, now=NOW)


def test_of_a_secret_only_its_hash_is_kept():
    assert SECRET not in repr(KEY)


def test_a_good_key_is_let_in_until_it_expires():
    lasting = replace(KEY, expires_at=NOW + HOUR)
    assert judge(lasting, SECRET, Scope.INGEST, now=NOW) == lasting
    with pytest.raises(InvalidApiKey, match="has expired"):
        judge(lasting, SECRET, Scope.INGEST, now=NOW + HOUR)


def test_a_revoked_key_is_refused():
    with pytest.raises(InvalidApiKey, match="was revoked"):
        judge(replace(KEY, revoked_at=NOW), SECRET, Scope.INGEST, now=NOW)


@pytest.mark.parametrize("scope", [Scope.READ, Scope.OPERATE])
def test_no_scope_includes_another(scope: Scope):
    with pytest.raises(MissingScope) as caught:
        judge(KEY, SECRET, scope, now=NOW)
    assert caught.value.scope == scope


@pytest.mark.parametrize("secret", ["", "wrong", "schlüssel", SECRET + "x", "\ud800"])
@pytest.mark.parametrize("key", [KEY, None, replace(KEY, revoked_at=NOW), replace(KEY, expires_at=NOW)])
def test_nothing_is_said_of_a_key_to_whoever_does_not_hold_it(key: ApiKey | None, secret: str):
    with pytest.raises(InvalidApiKey, match="none of ours"):
        judge(key, secret, Scope.INGEST, now=NOW)


def test_a_key_that_there_is_not_is_refused_whatever_its_secret():
    with pytest.raises(InvalidApiKey, match="none of ours"):
        judge(None, "", Scope.INGEST, now=NOW)
