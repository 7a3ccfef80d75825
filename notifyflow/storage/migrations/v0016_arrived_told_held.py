"""Schema 16: an escalation says when operations was told that every way left was held up.

Code of schema 3 to 15 leaves the column empty, and tells operations of none.
"""

VERSION = 16
OLDEST = 3

STATEMENTS = ("ALTER TABLE notifyflow_escalation ADD COLUMN held_up_at {instant}",)
