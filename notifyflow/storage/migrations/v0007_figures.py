"""Schema 7: figures made from the lines of the log, each counted once; earlier lines are not counted.

Code of schema 3 to 6 may go on. Its lines are counted, too, but it does not store how long calls take, and lines that it prunes
before they are counted are missing from the figures.
"""

VERSION = 7
OLDEST = 3

STATEMENTS = (
    "ALTER TABLE notifyflow_attempt ADD COLUMN took_s DOUBLE PRECISION",
    "ALTER TABLE notifyflow_critical ADD COLUMN is_folded BOOLEAN NOT NULL DEFAULT FALSE",
    "UPDATE notifyflow_critical SET is_folded = TRUE",
    "CREATE INDEX notifyflow_critical_unfolded ON notifyflow_critical (escalation_id) WHERE NOT is_folded",
    "{transition_xid}",
    """
    CREATE TABLE notifyflow_series (
        name TEXT NOT NULL,
        labels TEXT NOT NULL,
        count BIGINT NOT NULL,
        sum_s DOUBLE PRECISION NOT NULL,
        buckets TEXT NOT NULL,
        PRIMARY KEY (name, labels)
    )
    """,
    """
    CREATE TABLE notifyflow_minute (
        minutes INTEGER NOT NULL,
        at {instant} NOT NULL,
        name TEXT NOT NULL,
        labels TEXT NOT NULL,
        count BIGINT NOT NULL,
        sum_s DOUBLE PRECISION NOT NULL,
        buckets TEXT NOT NULL,
        PRIMARY KEY (minutes, at, name, labels)
    )
    """,
    # one row, which is locked while lines are counted
    """
    CREATE TABLE notifyflow_fold (
        one INTEGER NOT NULL PRIMARY KEY,
        xid BIGINT NOT NULL,
        line_id BIGINT NOT NULL,
        after_id BIGINT NOT NULL,
        folded_at {instant}
    )
    """,
    """
    INSERT INTO notifyflow_fold (one, xid, line_id, after_id)
        SELECT 1, 0, COALESCE(MAX(id), 0) + 1, COALESCE(MAX(id), 0) FROM notifyflow_transition
    """,
)
