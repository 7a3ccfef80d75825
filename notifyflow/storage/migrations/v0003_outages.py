"""Schema 3: when somebody swept last, the outages of our own, and a way to count what a provider's receipts are worth.

It only adds: code that was written for schema 1 works on, and knows of no outages.
"""

VERSION = 3
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    # one row is not over: it began when somebody swept last, and is an outage only once that is long ago
    """
    CREATE TABLE notifyflow_outage (
        began_at {instant} NOT NULL,
        ended_at {instant},
        is_over BOOLEAN NOT NULL,
        CHECK (is_over = (ended_at IS NOT NULL))
    )
    """,
    "CREATE UNIQUE INDEX notifyflow_outage_watch ON notifyflow_outage (is_over) WHERE is_over = FALSE",
    "CREATE INDEX notifyflow_outage_ended ON notifyflow_outage (ended_at) WHERE ended_at IS NOT NULL",
    """
    CREATE INDEX notifyflow_attempt_awaited ON notifyflow_attempt (provider, started_at)
        WHERE receipt_due_at IS NOT NULL
    """,
)
