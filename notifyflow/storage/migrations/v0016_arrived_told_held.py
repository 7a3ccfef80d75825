"""Schema 16: arrival decides whether a CRITICAL round is reached; changed addresses, held-up ways and series are stored.

Rounds that began before, and rounds that code of schema 3 to 15 starts, are reached by a page that was sent. That code does not
tell operations about held-up ways, and counts a failure as told when it pages for it, accepted or not. Incidents that it opens
start a new series.
"""

VERSION = 16
OLDEST = 3

STATEMENTS = (
    "ALTER TABLE notifyflow_escalation ADD COLUMN held_up_at {instant}",
    "ALTER TABLE notifyflow_attempt ADD COLUMN unproven_at {instant}",
    "ALTER TABLE notifyflow_escalation ADD COLUMN needs_arrival BOOLEAN NOT NULL DEFAULT FALSE",
    "ALTER TABLE notifyflow_escalation ADD COLUMN readdressed_at {instant}",
    "ALTER TABLE notifyflow_escalation ADD COLUMN readdress_at {instant}",
    "ALTER TABLE notifyflow_escalation ADD COLUMN told_at {instant}",
    "ALTER TABLE notifyflow_critical ADD COLUMN is_paging BOOLEAN NOT NULL DEFAULT TRUE",
    "ALTER TABLE notifyflow_critical ADD COLUMN is_told BOOLEAN NOT NULL DEFAULT FALSE",
    "ALTER TABLE notifyflow_notice ADD COLUMN is_told BOOLEAN NOT NULL DEFAULT FALSE",
    "ALTER TABLE notifyflow_critical ADD COLUMN path TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX notifyflow_critical_path ON notifyflow_critical (path, at) WHERE path <> ''",
    "UPDATE notifyflow_critical SET is_told = is_counted",
    "UPDATE notifyflow_notice SET is_told = is_counted",
    "ALTER TABLE notifyflow_incident ADD COLUMN series TEXT",
    "ALTER TABLE notifyflow_escalation ADD COLUMN carried TEXT",
    "ALTER TABLE notifyflow_step ADD COLUMN waited TEXT NOT NULL DEFAULT '0s'",
)
