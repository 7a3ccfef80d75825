"""Passwords are hashed with a salt, and one that does not exist costs as much as one that does."""

import time
from itertools import count

from argon2 import extract_parameters

from notifyflow.core.accounts.users import LONGEST_PASSWORD
from notifyflow.service.accounts import passwords
from notifyflow.service.accounts.passwords import Passwords

_numbers = count()
HASHER = Passwords(lambda: f"{next(_numbers):043}"[::-1])


def test_a_password_has_its_hash_and_another_salt_each_time():
    one, other = HASHER.hash("correct horse"), HASHER.hash("correct horse")
    assert one != other
    for stored in (one, other):
        assert HASHER.verify("correct horse", stored)
        assert not HASHER.verify("correct hors", stored)


def test_an_unknown_name_costs_a_hash_as_well():
    assert not HASHER.verify("correct horse", None)
    known = extract_parameters(HASHER.hash("x"))
    assert extract_parameters(passwords._NOBODYS) == known
    assert (known.memory_cost, known.time_cost, known.parallelism, known.salt_len) == (19 * 1024, 2, 1, 16)


def spent(text: str, stored: str | None) -> float:
    before = time.process_time()
    assert not HASHER.verify(text, stored)
    return time.process_time() - before


def test_a_text_of_combining_marks_costs_a_hash_and_no_more():
    """To normalise it whole would take a minute."""
    stored, length = HASHER.hash("correct horse"), 300_000
    usual = min(spent("x" * length, stored) for _ in range(3))
    for known in (stored, None):
        assert spent("\u0315\u0300" * (length // 2), known) < 20 * usual


def test_what_follows_the_longest_password_counts():
    longest = "x" * LONGEST_PASSWORD
    stored = HASHER.hash(longest)
    assert HASHER.verify(longest, stored)
    assert not HASHER.verify(longest + "x", stored)


def test_any_text_is_a_password():
    for text in ("\ud800", "\0", "é" * 500):
        assert HASHER.verify(text, HASHER.hash(text))
