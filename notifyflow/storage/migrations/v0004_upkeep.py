"""Schema 4: when the heartbeat was sent last, and the indexes by which what is old is found and taken away.

Rows are deleted from now on, so that each reference needs an index on the side that refers.
"""

VERSION = 4
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    "CREATE TABLE notifyflow_heartbeat (name TEXT NOT NULL PRIMARY KEY, at {instant} NOT NULL)",
    "CREATE INDEX notifyflow_incident_resolved ON notifyflow_incident (resolved_at, id) WHERE state = 'RESOLVED'",
    "CREATE INDEX notifyflow_critical_operations ON notifyflow_critical (operations_incident_id)",
    "CREATE INDEX notifyflow_receipt_attempt ON notifyflow_receipt (matched_attempt_id) WHERE matched_attempt_id IS NOT NULL",
    "CREATE INDEX notifyflow_receipt_foreign ON notifyflow_receipt (received_at) WHERE standing = 'foreign'",
)
