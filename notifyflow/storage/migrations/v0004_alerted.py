"""Schema 4: an escalation says when operations was paged for its failure, which may come after the failure was linked.

Code of schema 3 leaves the column empty, so that a failure it marks may be paged for twice.
"""

VERSION = 4
OLDEST = 3

STATEMENTS = (
    "ALTER TABLE notifyflow_escalation ADD COLUMN alerted_at {instant}",
    "UPDATE notifyflow_escalation SET alerted_at = critical_at WHERE critical_at IS NOT NULL",
)
