"""Schema 9: the roster: the directory, the calendars of schedules, and overrides.

Code of schema 3 to 8 does not know it, and may go on: it reads the directory from its file only.
"""

VERSION = 9
OLDEST = 3

STATEMENTS = (
    # one row, locked while any part of the roster is changed
    """
    CREATE TABLE notifyflow_roster (
        one INTEGER NOT NULL PRIMARY KEY,
        digest TEXT NOT NULL,
        document TEXT,
        source TEXT NOT NULL,
        changed_at {instant},
        stored_at {instant}
    )
    """,
    """
    CREATE TABLE notifyflow_calendar (
        schedule TEXT NOT NULL PRIMARY KEY,
        source TEXT NOT NULL,
        shifts TEXT,
        etag TEXT NOT NULL,
        last_modified TEXT NOT NULL,
        fetched_at {instant},
        tried_at {instant},
        fault TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE notifyflow_override (
        id TEXT NOT NULL PRIMARY KEY,
        schedule TEXT NOT NULL,
        people TEXT NOT NULL,
        instead_of TEXT NOT NULL,
        begins_at {instant} NOT NULL,
        ends_at {instant} NOT NULL,
        made_by TEXT NOT NULL,
        made_at {instant} NOT NULL,
        cancelled_at {instant},
        cancelled_by TEXT
    )
    """,
)
