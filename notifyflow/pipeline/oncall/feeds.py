"""Stores and deletes the feeds of calendars."""

from notifyflow.core.oncall.feeds import Feed, too_many
from notifyflow.errors import FeedNotFound, InvalidRequest
from notifyflow.pipeline.transaction.ports import Transactions
from notifyflow.storage.ledger import Ledger


def add(transactions: Transactions, feed: Feed) -> None:
    """Store a new feed, and delete expired ones.

    Raises:
        InvalidRequest: When there are too many.
    """

    def body(ledger: Ledger) -> None:
        ledger.feeds.prune(now=feed.made_at)
        if found := tuple(too_many(ledger.feeds.all(), feed.made_by)):
            raise InvalidRequest(found)
        ledger.feeds.add(feed)

    transactions.run(body)


def revoke(transactions: Transactions, feed_id: str) -> None:
    """Delete a feed, so that its address no longer works; raise ``FeedNotFound`` if there is none."""
    if not transactions.run(lambda ledger: ledger.feeds.remove(feed_id)):
        raise FeedNotFound(feed_id)
