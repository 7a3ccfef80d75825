"""Cursors of paginated lists: opaque to clients, and valid only for the list they came from."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

from notifyflow.errors import Fault, InvalidRequest

_MARK_BYTES = 8


def write(of: object, last_id: str) -> str:
    """Return the cursor of a list's next page; the ``repr`` of its filters must be the same in every process."""
    return urlsafe_b64encode(_mark(of) + last_id.encode()).rstrip(b"=").decode()


def read(of: object, cursor: str | None) -> str:
    """Return the last id on the page before; empty without a cursor.

    Raises:
        InvalidRequest: When the cursor belongs to another list.
    """
    if cursor is None:
        return ""
    try:
        marked = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        last_id = marked[_MARK_BYTES:].decode()
        if marked[:_MARK_BYTES] == _mark(of) and "\0" not in last_id:  # which PostgreSQL cannot take
            return last_id
    except ValueError:
        pass
    fault = Fault("cursor", "it belongs to another list", "Send next_cursor unchanged, with the same filters")
    raise InvalidRequest((fault,))


def _mark(of: object) -> bytes:
    return hashlib.sha256(repr(of).encode()).digest()[:_MARK_BYTES]
