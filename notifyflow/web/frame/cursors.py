"""Cursors of paginated lists: opaque to clients, and valid only for the list they came from.

Where lists may come from a replica, a cursor carries the instant that its page shows, and no later page is older: what has moved
within the list since then would be missed.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from notifyflow.errors import Fault, InvalidRequest
from notifyflow.service import replica

_MARK_BYTES = 8
_SINCE = "\0"
"""Before the instant; it is part of no id."""


def write(of: object, last_id: str) -> str:
    """Return the cursor of a list's next page; the ``repr`` of its filters must be the same in every process."""
    request = replica.current()
    since = f"{_SINCE}{request.as_of.isoformat()}" if request and request.as_of else ""
    return urlsafe_b64encode(_mark(of) + f"{last_id}{since}".encode()).rstrip(b"=").decode()


def read(of: object, cursor: str | None) -> str:
    """Return the last id on the page before; empty without a cursor.

    Raises:
        InvalidRequest: When the cursor belongs to another list.
    """
    if cursor is None:
        return ""
    try:
        marked = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        last_id, has_instant, since = marked[_MARK_BYTES:].decode().partition(_SINCE)
        if marked[:_MARK_BYTES] == _mark(of):
            not_before = _instant(since) if has_instant else None
            if (request := replica.current()) is not None:
                request.not_before = not_before
            return last_id
    except ValueError:
        pass
    fault = Fault("cursor", "it belongs to another list", "Send next_cursor unchanged, with the same filters")
    raise InvalidRequest((fault,))


def _instant(text: str) -> datetime:
    """Return the instant in a cursor; raise ``ValueError`` if it is forged."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError
    return found


def _mark(of: object) -> bytes:
    return hashlib.sha256(repr(of).encode()).digest()[:_MARK_BYTES]
