"""Stores and deletes the feeds of calendars."""

from notifyflow.core.feeds import Feed
from notifyflow.errors import FeedNotFound
from notifyflow.pipeline.ports import Transactions


def add(transactions: Transactions, feed: Feed) -> None:
    """Store a new feed."""
    transactions.run(lambda ledger: ledger.feeds.add(feed))


def revoke(transactions: Transactions, feed_id: str) -> None:
    """Delete a feed, so that its address shows nothing any more; raise ``FeedNotFound`` if there is none."""
    if not transactions.run(lambda ledger: ledger.feeds.remove(feed_id)):
        raise FeedNotFound(feed_id)
