"""Passwords are hashed with a salt, and one that does not exist costs as much as one that does."""

from itertools import count

from argon2 import extract_parameters

from notifyflow.service import passwords
from notifyflow.service.passwords import Passwords

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


def test_any_text_is_a_password():
    for text in ("\ud800", "\0", "é" * 500):
        assert HASHER.verify(text, HASHER.hash(text))
