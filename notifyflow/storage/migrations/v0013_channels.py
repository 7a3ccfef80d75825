"""Schema 13: a recipient prefers channels by severity.

Code of schema 3 to 12 does not know these preferences, and pages as the policy says.
"""

VERSION = 13
OLDEST = 3

STATEMENTS = (
    "ALTER TABLE notifyflow_contact ADD COLUMN channels TEXT",
    "ALTER TABLE notifyflow_step_contact ADD COLUMN channels TEXT",
)
