"""Schema 17: each namespace's share of a provider's slots is stored, feeds may expire, damaged rows are set aside.

Slots that code of schema 3 to 16 takes count for the limits of a provider, but for no namespace. That code makes feeds without
expiry, and shows expired feeds. It does not know which rows are set aside, and tries them again at once.
"""

VERSION = 17
OLDEST = 3

STATEMENTS = (
    "ALTER TABLE notifyflow_provider_health ADD COLUMN taken TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE notifyflow_feed ADD COLUMN expires_at {instant}",
    """
    CREATE TABLE notifyflow_set_aside (
        row_id TEXT NOT NULL PRIMARY KEY,
        machine TEXT NOT NULL,
        incident_id TEXT NOT NULL,
        escalation_id TEXT NOT NULL,
        severity TEXT NOT NULL,
        relation TEXT NOT NULL,
        code TEXT NOT NULL,
        what TEXT NOT NULL,
        at {instant} NOT NULL,
        until {instant} NOT NULL,
        times INTEGER NOT NULL,
        is_aside BOOLEAN NOT NULL,
        is_paging BOOLEAN NOT NULL,
        is_counted BOOLEAN NOT NULL,
        is_reported BOOLEAN NOT NULL
    )
    """,
    "CREATE INDEX notifyflow_set_aside_until ON notifyflow_set_aside (until)",
    "CREATE INDEX notifyflow_set_aside_at ON notifyflow_set_aside (at, row_id)",
    "CREATE INDEX notifyflow_set_aside_uncounted ON notifyflow_set_aside (at) WHERE is_paging AND is_counted = FALSE",
)
