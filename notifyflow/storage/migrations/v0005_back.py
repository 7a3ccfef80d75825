"""Schema 5: API keys, answers given again, short codes and opt-outs, what is asked about recipients and providers, changes.

It only adds: code that was written for an older schema works on.
"""

VERSION = 5
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    """
    CREATE TABLE notifyflow_api_key (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        scopes TEXT NOT NULL,
        digest TEXT NOT NULL,
        created_at {instant} NOT NULL,
        expires_at {instant},
        revoked_at {instant},
        last_used_at {instant}
    )
    """,
    """
    CREATE TABLE notifyflow_answer (
        api_key_id TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        notified TEXT NOT NULL,
        expires_at {instant} NOT NULL,
        PRIMARY KEY (api_key_id, idempotency_key)
    )
    """,
    "CREATE INDEX notifyflow_answer_expiry ON notifyflow_answer (expires_at)",
    # the newest contact of a recipient, and what became of their last pages
    "CREATE INDEX notifyflow_contact_recipient ON notifyflow_contact (recipient_id, incident_id)",
    "CREATE INDEX notifyflow_escalation_recipient ON notifyflow_escalation (recipient_id, started_at)",
    "ALTER TABLE notifyflow_attempt ADD COLUMN times_asked INTEGER NOT NULL DEFAULT 0",
    """
    CREATE INDEX notifyflow_attempt_silent ON notifyflow_attempt (started_at)
    WHERE word = 'accepted' AND times_asked < 3 AND receipt_due_at IS NOT NULL AND provider_ref <> ''
    """,
    # lists of what is not resolved, the newest first, however much is kept
    "CREATE INDEX notifyflow_incident_unresolved ON notifyflow_incident (id) WHERE state <> 'RESOLVED'",
    "CREATE INDEX notifyflow_receipt_body ON notifyflow_receipt (received_at) WHERE body <> ''",
    # what somebody answers to which number: personal (address, theirs)
    """
    CREATE TABLE notifyflow_code (
        address TEXT NOT NULL,
        code TEXT NOT NULL,
        incident_id TEXT NOT NULL,
        recipient_id TEXT NOT NULL,
        is_shown BOOLEAN NOT NULL,
        given_at {instant} NOT NULL,
        PRIMARY KEY (address, code),
        UNIQUE (address, incident_id, recipient_id)
    )
    """,
    "CREATE INDEX notifyflow_code_age ON notifyflow_code (given_at)",
    """
    CREATE TABLE notifyflow_opt_out (
        ours TEXT NOT NULL,
        theirs TEXT NOT NULL,
        at {instant} NOT NULL,
        PRIMARY KEY (ours, theirs)
    )
    """,
    """
    CREATE TABLE notifyflow_environment (
        one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
        name TEXT NOT NULL,
        since {instant} NOT NULL
    )
    """,
    """
    CREATE TABLE notifyflow_held (
        incident_id TEXT NOT NULL PRIMARY KEY,
        held_at {instant} NOT NULL
    )
    """,
    """
    CREATE TABLE notifyflow_spent (
        channel TEXT NOT NULL,
        scope TEXT NOT NULL,
        hour {instant} NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (channel, scope, hour)
    )
    """,
    "ALTER TABLE notifyflow_notification ADD COLUMN change TEXT",
    "{transition_guard}",
    "{transition_keeper}",
)
