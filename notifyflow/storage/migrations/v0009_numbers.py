"""Schema 9: which numbers texts went to, and how often they were answered.

It only adds: code that was written for an older schema works on.
"""

VERSION = 9
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    # theirs is personal
    """
    CREATE TABLE notifyflow_number (
        theirs TEXT NOT NULL PRIMARY KEY,
        recipient_id TEXT NOT NULL,
        texted_at {instant} NOT NULL,
        answered TEXT NOT NULL
    )
    """,
    "CREATE INDEX notifyflow_number_age ON notifyflow_number (texted_at)",
)
