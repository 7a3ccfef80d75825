"""Schema 14: the hand-overs of duties that people were told about.

Code of schema 3 to 13 does not know them, and may go on.
"""

VERSION = 14
OLDEST = 3

STATEMENTS = (
    """
    CREATE TABLE notifyflow_hand_over (
        schedule TEXT NOT NULL,
        at {instant} NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        until {instant},
        incident_id TEXT NOT NULL,
        PRIMARY KEY (schedule, at)
    )
    """,
    "CREATE INDEX notifyflow_hand_over_incident ON notifyflow_hand_over (incident_id)",
)
