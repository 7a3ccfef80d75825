"""Schema 7: what a receipt says about us, and whether it came by itself; a way to see when a provider was last heard of.

It only adds: code that was written for an older schema works on, and its receipts blame nobody.
"""

VERSION = 7
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    "ALTER TABLE notifyflow_receipt ADD COLUMN is_our_fault BOOLEAN NOT NULL DEFAULT FALSE",
    "ALTER TABLE notifyflow_receipt ADD COLUMN is_general BOOLEAN NOT NULL DEFAULT FALSE",
    "ALTER TABLE notifyflow_receipt ADD COLUMN is_asked BOOLEAN NOT NULL DEFAULT FALSE",
    "CREATE INDEX notifyflow_receipt_heard ON notifyflow_receipt (provider, received_at)",
)
