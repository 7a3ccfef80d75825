"""Schema 15: one call may carry attempts of several notifications.

Code of schema 3 to 14 sends each alone. It applies the receipts of a gathered message to one attempt only, the one that made the
call.
"""

VERSION = 15
OLDEST = 3

STATEMENTS = (
    "ALTER TABLE notifyflow_attempt ADD COLUMN carried_by TEXT",
    "CREATE INDEX notifyflow_attempt_carried ON notifyflow_attempt (carried_by) WHERE carried_by IS NOT NULL",
)
