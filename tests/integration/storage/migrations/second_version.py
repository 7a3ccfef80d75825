"""A second version of the schema that no release has; with it the tests prove the machinery of upgrades.

It does what a migration may do while older code runs: it adds columns that this code leaves out, a table and an index, and
moves what plain SQL cannot.
"""

import hashlib

from peewee import Database

from notifyflow.storage.dialects import Dialect, execute

VERSION = 2
OLDEST = 1

STATEMENTS = (
    "ALTER TABLE notifyflow_incident ADD COLUMN runbook TEXT",
    "ALTER TABLE notifyflow_notification ADD COLUMN times_copied INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX notifyflow_notification_copied ON notifyflow_notification (times_copied) WHERE times_copied > 0",
    """
    CREATE TABLE notifyflow_title (
        incident_id TEXT NOT NULL PRIMARY KEY REFERENCES notifyflow_incident (id),
        digest TEXT NOT NULL,
        read_at {instant}
    )
    """,
)


def move(db: Database, dialect: Dialect) -> None:
    """Store the digests of the titles of all incidents."""
    place = "?" if dialect.is_embedded else "%s"
    insert = f"INSERT INTO notifyflow_title (incident_id, digest) VALUES ({place}, {place})"
    for incident_id, title in execute(db, "SELECT id, content_title FROM notifyflow_incident").fetchall():
        execute(db, insert, incident_id, digest_of(title))


def digest_of(title: str) -> str:
    return hashlib.sha256(title.encode()).hexdigest()
