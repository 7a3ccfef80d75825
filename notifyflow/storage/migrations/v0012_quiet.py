"""Schema 12: a recipient has quiet hours.

Code of schema 3 to 11 does not know them, and pages at any time.
"""

VERSION = 12
OLDEST = 3

STATEMENTS = (
    "ALTER TABLE notifyflow_contact ADD COLUMN quiet TEXT",
    "ALTER TABLE notifyflow_step_contact ADD COLUMN quiet TEXT",
)
