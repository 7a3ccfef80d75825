"""Schema 10: whose a notification is, and how many turns each namespace had, so that none keeps the others waiting.

It only adds: what older code stores belongs to the empty namespace, and older code takes what is due in its own order.
"""

VERSION = 10
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    "ALTER TABLE notifyflow_notification ADD COLUMN namespace TEXT NOT NULL DEFAULT ''",
    # which namespaces have anything queued of a channel, and claiming what is one's
    """
    CREATE INDEX notifyflow_notification_turn
        ON notifyflow_notification (channel, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), namespace, due_at, id)
        WHERE state = 'QUEUED'
    """,
    """
    CREATE TABLE notifyflow_turn (
        channel TEXT NOT NULL,
        is_urgent BOOLEAN NOT NULL,
        namespace TEXT NOT NULL,
        taken BIGINT NOT NULL,
        PRIMARY KEY (channel, is_urgent, namespace)
    )
    """,
)
