"""Where a list goes on: opaque to whoever holds it, and good only for the list it came from."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

from notifyflow.errors import Fault, InvalidRequest

_MARK_BYTES = 8


def write(of: object, last_id: str) -> str:
    """Make a cursor.

    Args:
        of: What makes the list this one: its filters. Its ``repr`` must be the same in every process.
        last_id: The last id that was shown.
    """
    return urlsafe_b64encode(_mark(of) + last_id.encode()).rstrip(b"=").decode()


def read(of: object, cursor: str | None) -> str:
    """Find the last id that was shown; empty without a cursor.

    Raises:
        InvalidRequest: When the cursor is none of this list.
    """
    if cursor is None:
        return ""
    try:
        marked = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        if marked[:_MARK_BYTES] == _mark(of):
            return marked[_MARK_BYTES:].decode()
    except ValueError:
        pass
    fault = Fault("cursor", "it is none of this list", "Give next_cursor as it came, with the same filters")
    raise InvalidRequest((fault,))


def _mark(of: object) -> bytes:
    return hashlib.sha256(repr(of).encode()).digest()[:_MARK_BYTES]
