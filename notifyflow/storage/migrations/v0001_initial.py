"""Schema 1: everything that the first release keeps.

A migration is frozen once released: it is written in SQL of its own and knows no model. ``{instant}`` is the database's word
for an instant, ``{serial}`` for a number that grows by itself. Everything else is spelt the same on SQLite and PostgreSQL.
"""

VERSION = 1
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    """
    CREATE TABLE notifyflow_incident (
        id TEXT NOT NULL PRIMARY KEY,
        key TEXT NOT NULL,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        severity TEXT NOT NULL,
        policy TEXT NOT NULL,
        is_operations BOOLEAN NOT NULL,
        opened_at {instant} NOT NULL,
        last_seen_at {instant} NOT NULL,
        times_seen INTEGER NOT NULL,
        round_at {instant},
        rounds INTEGER NOT NULL,
        acknowledged_at {instant},
        acknowledged_by TEXT NOT NULL,
        acknowledged_via TEXT NOT NULL,
        resolved_at {instant},
        resolved_by TEXT NOT NULL,
        said_title TEXT NOT NULL,
        said_body TEXT NOT NULL,
        said_severity TEXT NOT NULL,
        said_source TEXT NOT NULL,
        said_url TEXT,
        said_labels TEXT NOT NULL,
        said_occurred_at {instant}
    )
    """,
    # one unresolved incident a key, one open operations incident
    "CREATE UNIQUE INDEX notifyflow_incident_key ON notifyflow_incident (key) WHERE state <> 'RESOLVED'",
    """
    CREATE UNIQUE INDEX notifyflow_incident_operations ON notifyflow_incident (is_operations)
        WHERE is_operations AND state <> 'RESOLVED'
    """,
    "CREATE INDEX notifyflow_incident_newest ON notifyflow_incident (key, opened_at, id)",
    "CREATE INDEX notifyflow_incident_seen ON notifyflow_incident (last_seen_at, id)",
    "CREATE INDEX notifyflow_incident_round ON notifyflow_incident (round_at) WHERE round_at IS NOT NULL",
    """
    CREATE TABLE notifyflow_contact (
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        recipient_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        addresses TEXT NOT NULL,
        timezone TEXT NOT NULL,
        PRIMARY KEY (incident_id, recipient_id)
    )
    """,
    """
    CREATE TABLE notifyflow_escalation (
        id TEXT NOT NULL PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        recipient_id TEXT NOT NULL,
        round INTEGER NOT NULL,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        tier INTEGER NOT NULL,
        severity TEXT NOT NULL,
        policy TEXT NOT NULL,
        started_at {instant} NOT NULL,
        look_at {instant},
        critical_at {instant},
        is_current BOOLEAN NOT NULL,
        reason TEXT NOT NULL,
        UNIQUE (incident_id, recipient_id, round)
    )
    """,
    "CREATE INDEX notifyflow_escalation_look ON notifyflow_escalation (look_at) WHERE look_at IS NOT NULL AND is_current",
    "CREATE INDEX notifyflow_escalation_active ON notifyflow_escalation (incident_id) WHERE state = 'ACTIVE'",
    """
    CREATE TABLE notifyflow_notification (
        id TEXT NOT NULL PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        escalation_id TEXT NOT NULL REFERENCES notifyflow_escalation (id),
        channel TEXT NOT NULL,
        kind TEXT NOT NULL,
        tier INTEGER,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        severity TEXT NOT NULL,
        max_attempts INTEGER NOT NULL,
        created_at {instant} NOT NULL,
        due_at {instant},
        rung_at {instant},
        held_since {instant},
        ended TEXT,
        ended_at {instant},
        is_stopped BOOLEAN NOT NULL,
        reason TEXT NOT NULL,
        UNIQUE (escalation_id, tier, channel),
        CHECK ((state = 'QUEUED') = (due_at IS NOT NULL))
    )
    """,
    "CREATE INDEX notifyflow_notification_incident ON notifyflow_notification (incident_id)",
    # claiming: the urgent ones of a channel first, then by the time they became due
    """
    CREATE INDEX notifyflow_notification_claim
        ON notifyflow_notification (channel, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), due_at)
        WHERE state = 'QUEUED'
    """,
    # sweeping: those never rung for, and those rung for long ago
    """
    CREATE INDEX notifyflow_notification_unrung
        ON notifyflow_notification ((CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), due_at)
        WHERE state = 'QUEUED' AND rung_at IS NULL
    """,
    """
    CREATE INDEX notifyflow_notification_rung
        ON notifyflow_notification ((CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), rung_at)
        WHERE state = 'QUEUED' AND rung_at IS NOT NULL
    """,
    """
    CREATE TABLE notifyflow_attempt (
        id TEXT NOT NULL PRIMARY KEY,
        notification_id TEXT NOT NULL REFERENCES notifyflow_notification (id),
        number INTEGER NOT NULL,
        provider TEXT NOT NULL,
        token TEXT NOT NULL,
        state TEXT NOT NULL,
        started_at {instant} NOT NULL,
        lease_until {instant} NOT NULL,
        ended_at {instant},
        word TEXT,
        evidence TEXT,
        is_doubted BOOLEAN NOT NULL,
        is_our_fault BOOLEAN NOT NULL,
        code TEXT NOT NULL,
        reason TEXT NOT NULL,
        provider_ref TEXT NOT NULL,
        retry_after_s DOUBLE PRECISION,
        receipt_due_at {instant},
        UNIQUE (notification_id, number)
    )
    """,
    # two workers never hold a lease on the same notification
    "CREATE UNIQUE INDEX notifyflow_attempt_running ON notifyflow_attempt (notification_id) WHERE state = 'RUNNING'",
    "CREATE INDEX notifyflow_attempt_lease ON notifyflow_attempt (lease_until) WHERE state = 'RUNNING'",
    "CREATE INDEX notifyflow_attempt_reference ON notifyflow_attempt (provider, provider_ref) WHERE provider_ref <> ''",
    """
    CREATE TABLE notifyflow_transition (
        id {serial} PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        machine TEXT NOT NULL,
        row_id TEXT NOT NULL,
        version INTEGER NOT NULL,
        event TEXT NOT NULL,
        source TEXT NOT NULL,
        target TEXT NOT NULL,
        at {instant} NOT NULL,
        detail TEXT NOT NULL,
        UNIQUE (row_id, version)
    )
    """,
    "CREATE INDEX notifyflow_transition_incident ON notifyflow_transition (incident_id, id)",
    """
    CREATE TABLE notifyflow_receipt (
        provider TEXT NOT NULL,
        event_id TEXT NOT NULL,
        word TEXT,
        attempt_id TEXT,
        provider_ref TEXT,
        evidence TEXT,
        code TEXT NOT NULL,
        reason TEXT NOT NULL,
        is_acknowledgement BOOLEAN NOT NULL,
        is_heard BOOLEAN NOT NULL,
        received_at {instant} NOT NULL,
        standing TEXT NOT NULL,
        matched_attempt_id TEXT REFERENCES notifyflow_attempt (id),
        body TEXT NOT NULL,
        PRIMARY KEY (provider, event_id)
    )
    """,
    "CREATE INDEX notifyflow_receipt_waiting ON notifyflow_receipt (received_at) WHERE standing = 'waiting'",
    "CREATE INDEX notifyflow_receipt_reference ON notifyflow_receipt (provider, provider_ref) WHERE standing = 'waiting'",
    """
    CREATE TABLE notifyflow_critical (
        escalation_id TEXT NOT NULL PRIMARY KEY REFERENCES notifyflow_escalation (id),
        operations_incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        reason TEXT NOT NULL,
        at {instant} NOT NULL,
        is_counted BOOLEAN NOT NULL
    )
    """,
    "CREATE INDEX notifyflow_critical_uncounted ON notifyflow_critical (operations_incident_id) WHERE is_counted = FALSE",
    """
    CREATE TABLE notifyflow_notice (
        reason TEXT NOT NULL,
        provider TEXT NOT NULL,
        day TEXT NOT NULL,
        at {instant} NOT NULL,
        is_counted BOOLEAN NOT NULL,
        PRIMARY KEY (reason, provider, day)
    )
    """,
    "CREATE INDEX notifyflow_notice_uncounted ON notifyflow_notice (at) WHERE is_counted = FALSE",
)
