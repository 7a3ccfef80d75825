"""Schema 17: what each namespace took of a provider's slots is stored, and feeds of calendars may expire.

What code of schema 3 to 16 takes counts for the limits of a provider, and for no namespace. Feeds that it makes do not expire,
and it shows those that have expired.
"""

VERSION = 17
OLDEST = 3

STATEMENTS = (
    "ALTER TABLE notifyflow_provider_health ADD COLUMN taken TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE notifyflow_feed ADD COLUMN expires_at {instant}",
)
