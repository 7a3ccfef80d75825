"""Users: what a role may do, when a session is over, and which names and passwords are valid."""

from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.core.accounts import users
from notifyflow.core.accounts.users import (
    IDLE_FOR,
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    VALID_FOR,
    CurrentUser,
    Role,
    Session,
    User,
)
from tests.builders import START

ADA = User(id="u1", name="ada", role=Role.RESPONDER, password="$argon2id$x", created_at=START)


def a_current_user(role: Role = Role.VIEWER, *namespaces: str, recipient_id: str | None = None) -> CurrentUser:
    return CurrentUser(name="ada", role=role, namespaces=frozenset(namespaces) if namespaces else None, recipient_id=recipient_id)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("needed", Role)
def test_a_role_may_do_all_that_those_before_it_may(role: Role, needed: Role):
    order = [Role.VIEWER, Role.RESPONDER, Role.ADMIN]
    assert a_current_user(role).may(needed) == (order.index(role) >= order.index(needed))


def test_a_visitor_reaches_their_namespaces_or_all():
    assert a_current_user().reaches("team")
    assert a_current_user(Role.ADMIN, "team").reaches("team")
    assert not a_current_user(Role.ADMIN, "team").reaches("")


def test_a_visitor_who_is_a_recipient_acts_as_that_recipient():
    assert a_current_user().by == "ada"
    assert a_current_user(recipient_id="ada-lovelace").by == "ada-lovelace"


def test_a_user_is_a_visitor_and_does_not_show_the_hash():
    assert ADA.current == replace(a_current_user(Role.RESPONDER), user_id=ADA.id)
    assert "argon2" not in repr(ADA)


def test_a_session_is_over_when_it_is_idle_or_old():
    session = Session(digest="d", user_id="u1", created_at=START, used_at=START)
    moment = timedelta(microseconds=1)
    assert not session.is_over(START + IDLE_FOR - moment)
    assert session.is_over(START + IDLE_FOR)
    used = Session(digest="d", user_id="u1", created_at=START, used_at=START + VALID_FOR - moment)
    assert not used.is_over(START + VALID_FOR - moment)
    assert used.is_over(START + VALID_FOR)


@pytest.mark.parametrize("typed", ["ada", " ADA ", "Ada\n"])
def test_a_name_is_one_however_it_is_typed(typed: str):
    assert users.spell(typed) == "ada"


@pytest.mark.parametrize(
    ("given", "where", "what"),
    [
        ({"name": ""}, "name", "it is empty"),
        ({"name": "a" * 256}, "name", "characters"),
        ({"password": "x" * (SHORTEST_PASSWORD - 1)}, "password", "fewer than 12 characters"),
        ({"password": "x" * (LONGEST_PASSWORD + 1)}, "password", "more than 1,000 bytes"),
        ({"password": "é" * (LONGEST_PASSWORD // 2 + 1)}, "password", "more than 1,000 bytes"),
        ({"namespaces": ["team", "a\nb"]}, "namespace", "control characters"),
        ({"recipient_id": ""}, "recipient", "it is empty"),
    ],
)
def test_what_is_wrong_with_a_user_is_said(given: dict, where: str, what: str):
    (fault,) = users.faults(**given)
    assert fault.where == where
    assert what in fault.what


def test_a_good_user_has_no_fault():
    given = {"name": "ada", "password": "x" * SHORTEST_PASSWORD, "namespaces": ["", "team"], "recipient_id": "ada-lovelace"}
    assert list(users.faults(**given)) == []


def test_a_star_stands_for_all_namespaces():
    assert users.reached(["team", "*"]) is None
    assert users.reached(["team", ""]) == frozenset({"team", ""})
    assert users.reached([]) == frozenset()


def test_of_a_token_only_its_digest_is_kept():
    assert users.digest("secret") == users.digest("secret") != users.digest("Secret")
    assert len(users.digest("\ud800")) == 64


@pytest.mark.parametrize("presented", ["", "x", "\ud800", users.form_token("other")])
def test_a_form_of_another_browser_is_not_ours(presented: str):
    assert users.is_form_token(users.form_token("key"), "key")
    assert not users.is_form_token(presented, "key")


@pytest.mark.parametrize("presented", ["", ".", "n", "n.x", "\ud800.\ud800", users.device_token("n", "another hash")])
def test_a_browser_is_known_until_the_password_changes(presented: str):
    assert users.is_device_token(users.device_token("n", "hash"), "hash")
    assert not users.is_device_token(presented, "hash")
