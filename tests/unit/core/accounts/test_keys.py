from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.accounts.keys import (
    ApiKey,
    KeyScope,
    authorise,
    check_heartbeat,
    digest,
    namespace_of,
    read,
    replacement,
    spell,
)
from notifyflow.core.namespaces import ALL, OPERATIONS, SHARED
from notifyflow.errors import ApiKeyRevoked, InvalidApiKey, InvalidNamespace, InvalidRequest, MissingScope

NOW = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = "a-secret_with-all_kinds"
KEY = ApiKey(id="0" * 32, name="alerts", scopes=frozenset({KeyScope.INGEST}), digest=digest(SECRET), created_at=NOW - HOUR)


@given(st.text("ab_-", min_size=1))
def test_a_key_is_taken_apart_as_it_was_spelt_whatever_its_secret_ends_in(secret: str):
    assert read(spell(KEY.id, secret)) == (KEY.id, secret)


@given(st.text())
def test_whatever_is_presented_is_a_key_or_refused(presented: str):
    try:
        key_id, secret = read(presented)
    except InvalidApiKey:
        return
    assert spell(key_id, secret) == presented
    with pytest.raises(InvalidApiKey, match="is not valid"):
        authorise(KEY, secret, KeyScope.INGEST, now=NOW)


@pytest.mark.parametrize("presented", ["", "nf", "nf_", "nf_id", "nf_id_", "nf__secret", "pat_id_secret", "secret"])
def test_what_has_not_the_three_parts_of_a_key_is_refused(presented: str):
    with pytest.raises(InvalidApiKey, match="is not valid"):
        read(presented)


def test_a_key_is_presented_with_its_id_and_its_secret():
    assert spell("0123", SECRET) == f"nf_0123_{SECRET}"
    assert read(f"nf_0123_{SECRET}") == ("0123", SECRET)


def test_of_a_secret_only_its_hash_is_kept():
    assert SECRET not in repr(KEY)


def test_a_good_key_is_let_in_until_it_expires():
    lasting = replace(KEY, expires_at=NOW + HOUR)
    assert authorise(lasting, SECRET, KeyScope.INGEST, now=NOW) == lasting
    with pytest.raises(InvalidApiKey, match="has expired"):
        authorise(lasting, SECRET, KeyScope.INGEST, now=NOW + HOUR)


def test_a_revoked_key_is_refused():
    with pytest.raises(InvalidApiKey, match="was revoked"):
        authorise(replace(KEY, revoked_at=NOW), SECRET, KeyScope.INGEST, now=NOW)


@pytest.mark.parametrize("scope", [KeyScope.READ, KeyScope.OPERATE])
def test_no_scope_includes_another(scope: KeyScope):
    with pytest.raises(MissingScope) as caught:
        authorise(KEY, SECRET, scope, now=NOW)
    assert caught.value.scope == scope


@pytest.mark.parametrize("secret", ["", "wrong", "schlüssel", SECRET + "x", "\ud800"])
@pytest.mark.parametrize("key", [KEY, None, replace(KEY, revoked_at=NOW), replace(KEY, expires_at=NOW)])
def test_only_the_holder_of_a_key_learns_its_state(key: ApiKey | None, secret: str):
    with pytest.raises(InvalidApiKey, match="is not valid"):
        authorise(key, secret, KeyScope.INGEST, now=NOW)


def test_a_key_that_there_is_not_is_refused_whatever_its_secret():
    with pytest.raises(InvalidApiKey, match="is not valid"):
        authorise(None, "", KeyScope.INGEST, now=NOW)


@pytest.mark.parametrize("scopes", [{KeyScope.INGEST}, {KeyScope.READ, KeyScope.OPERATE}, set(KeyScope)])
def test_a_key_has_its_name_as_its_namespace_unless_another_is_given(scopes: set[KeyScope]):
    assert namespace_of("prometheus", scopes, None) == "prometheus"
    assert namespace_of("prometheus-b", scopes, "prometheus") == "prometheus"
    assert namespace_of("prometheus", scopes, SHARED) == SHARED


def test_only_a_key_without_ingest_reaches_all_and_only_if_requested():
    assert namespace_of("dashboard", {KeyScope.READ, KeyScope.OPERATE}, ALL) == ALL
    for name, scopes, wanted in (
        ("sender", {KeyScope.INGEST}, ALL),
        ("sender", set(KeyScope), ALL),
        (ALL, {KeyScope.READ}, None),
    ):
        with pytest.raises(InvalidNamespace):
            namespace_of(name, scopes, wanted)


@pytest.mark.parametrize("given", [None, OPERATIONS])
def test_no_key_has_the_namespace_of_operations(given: str | None):
    with pytest.raises(InvalidNamespace, match="reserved"):
        namespace_of(OPERATIONS, {KeyScope.READ}, given)


def test_a_key_reaches_its_namespace_or_all():
    reaching = {each: replace(KEY, namespace=each) for each in (SHARED, "prometheus", ALL)}
    for namespace in (SHARED, "prometheus", "prometheus2", OPERATIONS, ALL):
        assert reaching[ALL].reaches(namespace)
        assert reaching["prometheus"].reaches(namespace) is (namespace == "prometheus")
        assert reaching[SHARED].reaches(namespace) is (namespace == SHARED)
    assert [each.only for each in reaching.values()] == [SHARED, "prometheus", None]
    assert [each.namespaces for each in reaching.values()] == [{SHARED}, {"prometheus"}, None]


@pytest.mark.parametrize(
    ("expires_at", "valid_for", "until"),
    [
        (None, None, None),
        (NOW + HOUR, None, NOW + 2 * HOUR),
        (NOW - HOUR / 2, None, NOW + HOUR / 2),
        (None, HOUR, NOW + HOUR),
        (NOW + HOUR, HOUR, NOW + HOUR),
    ],
)
def test_a_replacement_is_the_same_key_with_another_secret(
    expires_at: datetime | None, valid_for: timedelta | None, until: datetime | None
):
    old = replace(KEY, namespace="prometheus", expires_at=expires_at, last_used_at=NOW)
    new = replacement(old, key_id="new", digest="another", valid_for=valid_for, now=NOW)
    assert new == replace(old, id="new", digest="another", created_at=NOW, expires_at=until, last_used_at=None)


def test_a_revoked_key_has_no_replacement():
    with pytest.raises(ApiKeyRevoked, match="was revoked"):
        replacement(replace(KEY, revoked_at=NOW), key_id="new", digest="another", valid_for=None, now=NOW)


def test_a_key_that_pings_is_for_one_job_and_does_nothing_else():
    check_heartbeat({KeyScope.PING}, "backup")
    check_heartbeat({KeyScope.READ, KeyScope.OPERATE}, None)
    for scopes, heartbeat in (({KeyScope.PING}, None), ({KeyScope.READ}, "backup"), ({KeyScope.PING, KeyScope.READ}, "backup")):
        with pytest.raises(InvalidRequest):
            check_heartbeat(scopes, heartbeat)


def test_the_first_use_of_a_key_within_an_hour_is_noted():
    assert KEY.is_use_to_note(NOW)
    used = replace(KEY, last_used_at=NOW)
    assert [used.is_use_to_note(NOW + span) for span in (timedelta(), HOUR - timedelta(seconds=1), HOUR)] == [False, False, True]
