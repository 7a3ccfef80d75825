"""Schema 5: submissions made in the application's transactions, until the first sweep after their commit.

Code of schema 3 and 4 may go on, but its sweeps leave these rows to newer code.
"""

VERSION = 5
OLDEST = 3

STATEMENTS = (
    """
    CREATE TABLE notifyflow_outbox (
        id TEXT NOT NULL PRIMARY KEY,
        incident_id TEXT NOT NULL,
        policy TEXT NOT NULL,
        submission TEXT
    )
    """,
    "CREATE INDEX notifyflow_outbox_incident ON notifyflow_outbox (incident_id)",
)
