"""The feeds of calendars: make, revoke and show them."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from notifyflow.core.accounts.keys import digest
from notifyflow.core.delivery.ports import Clock, Ids
from notifyflow.core.oncall import feeds as rules
from notifyflow.core.oncall.feeds import Feed
from notifyflow.core.oncall.roster import EMPTY, Roster
from notifyflow.core.oncall.schedule_forms import MARK
from notifyflow.errors import FeedNotFound, InvalidRequest
from notifyflow.log import get_logger
from notifyflow.pipeline.oncall import feeds as stored
from notifyflow.service.oncall.roster import Rosters
from notifyflow.storage.store import Store

_log = get_logger("notifyflow.app")

_MOST_KEPT = 50
"""How many calendars a process keeps; one may take a second to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedContent:
    """The current content of a feed.

    Attributes:
        tag: Changes whenever the calendar does.
    """

    content: bytes
    tag: str


class Feeds:
    """The feeds of one database; threads may share it.

    Args:
        rosters: The roster in force.
        new_secret: Draws the token of a feed.
    """

    def __init__(self, store: Store, clock: Clock, ids: Ids, rosters: Rosters, *, new_secret: Callable[[], str]) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._rosters = rosters
        self._new_secret = new_secret
        self._kept: tuple[Roster, date, dict[str, FeedContent]] = (EMPTY, date.min, {})

    def all(self) -> tuple[Feed, ...]:
        """Return all feeds, the oldest first."""
        return self._store.read(lambda reads: reads.feeds.all())

    def now(self) -> datetime:
        """Return the time by which feeds expire."""
        return self._clock.now()

    def make(
        self, *, schedule: str = "", recipient_id: str = "", by: str, valid_for: timedelta | None = None
    ) -> tuple[Feed, str]:
        """Make a feed of a schedule or of a recipient.

        Args:
            schedule: The schedule, with or without ``@``.
            recipient_id: The recipient.
            by: Who makes it.
            valid_for: How long it is valid; None for ever.

        Returns:
            The feed and its token, which is part of its address and is not stored.

        Raises:
            InvalidRequest: When the directory has no such schedule or recipient, or there are too many feeds.
        """
        if found := tuple(rules.faults(self._rosters.read(), schedule, recipient_id)):
            raise InvalidRequest(found)
        token, now = self._new_secret(), self._clock.now()
        feed = Feed(
            id=self._ids.new(),
            digest=digest(token),
            schedule=schedule.removeprefix(MARK) or None,
            recipient_id=recipient_id or None,
            made_by=by,
            made_at=now,
            expires_at=None if valid_for is None else now + valid_for,
        )
        stored.add(self._store, feed)
        _log.info("app.feed_made", feed_id=feed.id, schedule=feed.schedule, recipient_id=feed.recipient_id)
        return feed, token

    def revoke(self, feed_id: str, *, user_id: str | None = None) -> None:
        """Revoke a feed, so that its address no longer works; raise ``FeedNotFound`` if there is none.

        Args:
            feed_id: The feed.
            user_id: The user of the dashboard who revokes it, for the log; None on the command line.
        """
        stored.revoke(self._store, feed_id)
        _log.info("app.feed_revoked", feed_id=feed_id, user_id=user_id)

    def show(self, token: str) -> FeedContent:
        """Return the current content of a token's feed.

        Raises:
            FeedNotFound: When there is none: the token is wrong, or the feed was revoked or has expired.
        """
        feed = self._store.read(lambda reads: reads.feeds.find(digest(token)))
        if feed is None or feed.is_over(self._clock.now()):
            raise FeedNotFound("of this address")
        roster, today = self._rosters.current(), self._clock.now().astimezone(UTC).date()
        kept = self._kept
        if kept[0] is not roster or kept[1] != today:
            kept = self._kept = (roster, today, {})
        if feed.id not in kept[2]:
            self._keep(kept[2], feed.id, rules.write(feed, roster, today).encode())
        return kept[2][feed.id]

    def _keep(self, kept: dict[str, FeedContent], feed_id: str, content: bytes) -> None:
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        kept[feed_id] = FeedContent(content=content, tag=f'"{hashlib.sha256(content).hexdigest()[:32]}"')
