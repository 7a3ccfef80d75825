"""Reads and writes the feeds of calendars."""

from datetime import datetime

from notifyflow.core.oncall.feeds import Feed
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader, first
from notifyflow.storage.tables import FeedRow

_FEED = tuple(Feed.__dataclass_fields__)
_FEEDS = FeedRow.select(*(getattr(FeedRow, name) for name in _FEED))


class FeedReads(Reader):
    """Reads feeds."""

    def all(self) -> tuple[Feed, ...]:
        """Return all feeds, the oldest first."""
        return tuple(Feed(**row) for row in self._source.readable(_FEEDS.order_by(FeedRow.made_at, FeedRow.id), FeedRow.id))

    def find(self, digest: str) -> Feed | None:
        """Return the feed of a token, by its digest, or None."""
        row = first(self._source.rows(_FEEDS.where(FeedRow.digest == digest)))
        return None if row is None else Feed(**row)


class Feeds(Repository):
    """Feeds."""

    def add(self, feed: Feed) -> None:
        """Store a new feed."""
        self._unit.insert(FeedRow, [{name: getattr(feed, name) for name in _FEED}])

    def all(self) -> tuple[Feed, ...]:
        """Return all feeds."""
        return tuple(Feed(**row) for row in self._unit.rows(_FEEDS))

    def prune(self, *, now: datetime) -> None:
        """Delete the feeds that have expired."""
        self._unit.execute(FeedRow.delete().where(FeedRow.expires_at <= now))

    def remove(self, feed_id: str) -> bool:
        """Delete a feed; return False if there is none."""
        return bool(self._unit.execute(FeedRow.delete().where(FeedRow.id == feed_id)))
