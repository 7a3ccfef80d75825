"""The connections of the web service, by owner: how many each may have, and which one gives way when there are too many.

A connection waits while its client has to send something, or to read. The limit falls on owners, not on all alike: the one with
the most connections gives way first, and of these the one that has waited longest. So a flood displaces its own connections.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from notifyflow.web.frame.site import Site

_MOST_KEPT = 4096


class HeldConnection(Protocol):
    """A connection that can be ended."""

    def give_way(self) -> None:
        """End the connection at once, for the sake of another one."""


@dataclass(slots=True)
class _Owner:
    """The connections of one owner: all of them, and the waiting ones, the longest first."""

    held: set[HeldConnection] = field(default_factory=set)
    waiting: dict[HeldConnection, None] = field(default_factory=dict)


class ConnectionPool:
    """Connections that count together.

    Args:
        most: How many are held.
        most_of_one: How many of them one owner has; None, as an owner, has no limit and gives way last.
    """

    def __init__(self, *, most: int, most_of_one: int) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._owners: dict[str | None, _Owner] = {}
        self._count = 0

    def enter(self, connection: HeldConnection, owner: str | None) -> bool:
        """Count a connection as an owner's; return False if there are too many, and none of them waits."""
        has_room = self._make_room(owner)
        mine = self._owners.get(owner)
        if mine is None:
            mine = self._owners[owner] = _Owner()
        mine.held.add(connection)
        self._count += 1
        return has_room

    def leave(self, connection: HeldConnection, owner: str | None) -> None:
        """Count a connection no more."""
        mine = self._owners[owner]
        mine.held.remove(connection)
        mine.waiting.pop(connection, None)
        self._count -= 1
        if not mine.held:
            del self._owners[owner]

    def wait(self, connection: HeldConnection, owner: str | None) -> None:
        """Note that a connection begins to wait for its client."""
        waiting = self._owners[owner].waiting
        waiting.pop(connection, None)
        waiting[connection] = None

    def work(self, connection: HeldConnection, owner: str | None) -> None:
        """Note that a connection waits for its client no more."""
        self._owners[owner].waiting.pop(connection, None)

    def _make_room(self, owner: str | None) -> bool:
        mine = self._owners.get(owner)
        if owner is not None and mine is not None and len(mine.held) >= self._most_of_one:
            return _end_longest(mine)
        if self._count < self._most:
            return True
        waiting = [(len(each.held) if name is not None else 0, each) for name, each in self._owners.items() if each.waiting]
        return bool(waiting) and _end_longest(max(waiting, key=lambda each: each[0])[1])


def _end_longest(owner: _Owner) -> bool:
    longest = next(iter(owner.waiting), None)
    if longest is not None:
        longest.give_way()  # it leaves the pool
    return longest is not None


class ClientConnections:
    """All connections: one without a valid key or login counts by its address, and one with them by that, in a separate pool.

    Args:
        most: How many connections are held; a quarter of them is for known owners.
        site: Finds the owner of a request that a trusted proxy passes on.
    """

    def __init__(self, most: int, site: Site) -> None:
        known = max(1, most // 4)
        self.unknown = ConnectionPool(most=max(1, most - known), most_of_one=max(1, most // 2))
        self.known = ConnectionPool(most=known, most_of_one=max(1, known // 2))
        self._site = site
        self._of_address = lru_cache(_MOST_KEPT)(site.owner_of)

    def owner_of(self, address: str, forwarded: Sequence[str] = ()) -> str | None:
        """Return the owner of a connection, as ``Site.owner_of`` does; one that comes without a proxy is looked up once."""
        return self._site.owner_of(address, forwarded) if forwarded else self._of_address(address)
