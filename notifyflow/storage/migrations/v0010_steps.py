"""Schema 10: the steps of chains, and the recipients given with them.

Code of schema 3 to 9 may go on, but its sweeps leave steps to newer code.
"""

VERSION = 10
OLDEST = 3

STATEMENTS = (
    "ALTER TABLE notifyflow_incident ADD COLUMN pass_number INTEGER NOT NULL DEFAULT 0",
    """
    CREATE TABLE notifyflow_step (
        id TEXT NOT NULL PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        pass_number INTEGER NOT NULL,
        number INTEGER NOT NULL,
        "to" TEXT NOT NULL,
        after TEXT NOT NULL,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        waits_since {instant},
        due_at {instant},
        started_at {instant},
        duty TEXT NOT NULL,
        reason TEXT NOT NULL
    )
    """,
    "CREATE UNIQUE INDEX notifyflow_step_number ON notifyflow_step (incident_id, pass_number, number)",
    "CREATE INDEX notifyflow_step_due ON notifyflow_step (due_at) WHERE due_at IS NOT NULL",
    """
    CREATE TABLE notifyflow_step_contact (
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        recipient_id TEXT NOT NULL,
        name TEXT NOT NULL,
        addresses TEXT NOT NULL,
        timezone TEXT NOT NULL,
        PRIMARY KEY (incident_id, recipient_id)
    )
    """,
    "CREATE INDEX notifyflow_step_contact_recipient ON notifyflow_step_contact (recipient_id, incident_id)",
)
