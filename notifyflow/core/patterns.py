"""Matches values with patterns, in which ``*`` stands for any text, in linear time."""

from collections.abc import Iterable


def fits(patterns: Iterable[str], value: str) -> bool:
    """Return whether a value matches one of some patterns."""
    return any(_fits_one(pattern, value) for pattern in patterns)


def _fits_one(pattern: str, value: str) -> bool:
    """Match a pattern from left to right without going back, in linear time."""
    first, *rest = pattern.split("*")
    if not rest:
        return value == first
    *between, last = rest
    at, end = len(first), len(value) - len(last)
    if at > end or not (value.startswith(first) and value.endswith(last)):
        return False
    for part in between:
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
