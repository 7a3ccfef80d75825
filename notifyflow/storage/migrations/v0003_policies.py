"""Schema 3: a policy is stored once, and ``policy`` of incidents and escalations holds the digest of its JSON.

Code of schema 2 would look for the JSON itself. Where such code still runs and writes one, this version reads it.
"""

import hashlib

from peewee import Database

from notifyflow.storage.dialects import Dialect, execute
from notifyflow.storage.tables.fields import instant_text

VERSION = 3
OLDEST = 3

STATEMENTS = (
    """
    CREATE TABLE notifyflow_policy (
        digest TEXT NOT NULL PRIMARY KEY,
        document TEXT NOT NULL,
        created_at {instant} NOT NULL,
        unused_since {instant}
    )
    """,
    # which policies are used; only digests, since a long text fits into no index
    "CREATE INDEX notifyflow_incident_policy ON notifyflow_incident (policy) WHERE length(policy) = 64",
    "CREATE INDEX notifyflow_escalation_policy ON notifyflow_escalation (policy) WHERE length(policy) = 64",
)


def move(db: Database, dialect: Dialect) -> None:
    """Store the policies of all rows, and let the rows refer to them."""
    place = "?" if dialect.is_embedded else "%s"
    now = instant_text(dialect.now(db))
    documents = "SELECT policy FROM notifyflow_incident UNION SELECT policy FROM notifyflow_escalation"
    for (document,) in execute(db, documents).fetchall():
        digest = hashlib.sha256(document.encode()).hexdigest()
        insert = f"INSERT INTO notifyflow_policy (digest, document, created_at) VALUES ({place}, {place}, {place})"  # noqa: S608
        execute(db, insert, digest, document, now)
    for table in ("notifyflow_incident", "notifyflow_escalation"):
        execute(
            db,
            f"UPDATE {table} SET policy = notifyflow_policy.digest FROM notifyflow_policy "  # noqa: S608 (names of ours)
            f"WHERE notifyflow_policy.document = {table}.policy",
        )
