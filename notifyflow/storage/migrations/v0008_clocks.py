"""Schema 8: a timer of rounds for each recipient, and the times in which clocks stood still on purpose.

It only adds: code that was written for an older schema works on. What that code opens meanwhile has its timer on the incident,
from where the sweeper takes it over when it is due.
"""

VERSION = 8
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    "ALTER TABLE notifyflow_escalation ADD COLUMN next_round_at {instant}",
    "ALTER TABLE notifyflow_escalation ADD COLUMN repetition INTEGER NOT NULL DEFAULT 1",
    """
    CREATE INDEX notifyflow_escalation_round ON notifyflow_escalation (next_round_at)
        WHERE next_round_at IS NOT NULL AND is_current
    """,
    # pauses that were ended or replaced, and incidents that were held: what they kept waiting does not count as late
    """
    CREATE TABLE notifyflow_stop (
        scope TEXT NOT NULL,
        name TEXT NOT NULL,
        began_at {instant} NOT NULL,
        ended_at {instant} NOT NULL,
        is_for_critical BOOLEAN NOT NULL
    )
    """,
    "CREATE INDEX notifyflow_stop_ended ON notifyflow_stop (ended_at)",
    # from when until when pauses kept a page from being sent
    "ALTER TABLE notifyflow_notification ADD COLUMN paused_since {instant}",
    "ALTER TABLE notifyflow_notification ADD COLUMN paused_until {instant}",
)
