"""Schema 8: the users of the dashboard, the browsers in which they are logged in, and the links that make the first one.

Code of schema 3 to 7 knows nothing of them, and may go on.
"""

VERSION = 8
OLDEST = 3

STATEMENTS = (
    """
    CREATE TABLE notifyflow_user (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        namespaces TEXT,
        recipient_id TEXT,
        password TEXT,
        created_at {instant} NOT NULL,
        disabled_at {instant},
        logged_in_at {instant}
    )
    """,
    "CREATE UNIQUE INDEX notifyflow_user_name ON notifyflow_user (name)",
    """
    CREATE TABLE notifyflow_session (
        digest TEXT NOT NULL PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES notifyflow_user (id) ON DELETE CASCADE,
        created_at {instant} NOT NULL,
        used_at {instant} NOT NULL
    )
    """,
    "CREATE INDEX notifyflow_session_user ON notifyflow_session (user_id)",
    """
    CREATE TABLE notifyflow_setup (
        digest TEXT NOT NULL PRIMARY KEY,
        expires_at {instant} NOT NULL
    )
    """,
)
