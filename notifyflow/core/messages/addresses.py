"""Web addresses in messages: how to recognise them, and the places of those that become links; pure."""

import re
from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

LONGEST = 2_000


def is_web_address(text: str) -> bool:
    """Return whether a text is an http or https URL, as a whole, that is not too long for an incident."""
    if len(text) > LONGEST:  # before it is split, which normalises the host
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and text.isprintable() and " " not in text
    except ValueError:
        return False


def split(text: str, addresses: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Split a text at some addresses; return each part, and whether it is one of them. No other URL becomes a link."""
    if addresses:
        known = "|".join(re.escape(address) for address in sorted(addresses, key=len, reverse=True))
        parts = re.split(rf"(?<!\S)({known})(?!\S)", text)
    else:
        parts = [text]
    return ((part, number % 2 == 1) for number, part in enumerate(parts) if part)
