"""Schema 6: requests that came in through integrations, counted by kind and incident.

Code of schema 3 and later may go on; requests that it receives are not counted.
"""

VERSION = 6
OLDEST = 3

STATEMENTS = (
    """
    CREATE TABLE notifyflow_arrival (
        incident_id TEXT NOT NULL,
        integration TEXT NOT NULL,
        api_key TEXT NOT NULL,
        route TEXT NOT NULL,
        did TEXT NOT NULL,
        why TEXT NOT NULL,
        left_out TEXT NOT NULL,
        first_at {instant} NOT NULL,
        last_at {instant} NOT NULL,
        times INTEGER NOT NULL,
        PRIMARY KEY (incident_id, integration, api_key, route, did, why)
    )
    """,
)
