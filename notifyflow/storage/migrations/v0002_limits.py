"""Schema 2: what each provider is given, what is paused, and why a notification is held back.

It only adds: code that was written for schema 1 works on, since every new column has a default. The index of the claim is made
anew with the id at its end, so that of those that were held back until one instant the oldest goes first.
"""

VERSION = 2
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    "ALTER TABLE notifyflow_notification ADD COLUMN held_by TEXT",
    "DROP INDEX notifyflow_notification_claim",
    """
    CREATE INDEX notifyflow_notification_claim
        ON notifyflow_notification (channel, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), due_at, id)
        WHERE state = 'QUEUED'
    """,
    # those that were held back go before those that came later
    """
    CREATE INDEX notifyflow_notification_held ON notifyflow_notification (channel, due_at, id)
        WHERE state = 'QUEUED' AND held_by IS NOT NULL
    """,
    """
    CREATE TABLE notifyflow_carrier (
        channel TEXT NOT NULL,
        provider TEXT NOT NULL,
        version INTEGER NOT NULL DEFAULT 1,
        spent TEXT NOT NULL DEFAULT '[]',
        narrowed_until {instant},
        failures INTEGER NOT NULL DEFAULT 0,
        shut_by TEXT,
        shut_until {instant},
        times_shut INTEGER NOT NULL DEFAULT 0,
        probe_until {instant},
        PRIMARY KEY (channel, provider)
    )
    """,
    """
    CREATE TABLE notifyflow_pause (
        scope TEXT NOT NULL,
        name TEXT NOT NULL,
        ends_at {instant} NOT NULL,
        paused_at {instant} NOT NULL,
        paused_by TEXT NOT NULL,
        is_for_critical BOOLEAN NOT NULL,
        PRIMARY KEY (scope, name)
    )
    """,
)
