"""Schema 11: the feeds of calendars, without the tokens in their addresses.

Code of schema 3 to 10 knows nothing of them, and may go on.
"""

VERSION = 11
OLDEST = 3

STATEMENTS = (
    """
    CREATE TABLE notifyflow_feed (
        id TEXT NOT NULL PRIMARY KEY,
        digest TEXT NOT NULL,
        schedule TEXT,
        recipient_id TEXT,
        made_by TEXT NOT NULL,
        made_at {instant} NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX notifyflow_feed_digest ON notifyflow_feed (digest)",
)
