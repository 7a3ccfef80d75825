"""The tables of schema 1 about incidents, pages, and what became of them; see ``v0001_initial``, which creates them first."""

STATEMENTS = (
    """
    CREATE TABLE notifyflow_incident (
        id TEXT NOT NULL PRIMARY KEY,
        namespace TEXT NOT NULL,
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
        acknowledged_at {instant},
        acknowledged_by TEXT NOT NULL,
        acknowledged_via TEXT NOT NULL,
        resolved_at {instant},
        resolved_by TEXT NOT NULL,
        content_title TEXT NOT NULL,
        content_body TEXT NOT NULL,
        content_severity TEXT NOT NULL,
        content_source TEXT NOT NULL,
        content_url TEXT,
        content_labels TEXT NOT NULL,
        content_occurred_at {instant},
        run_number INTEGER NOT NULL DEFAULT 0,
        series TEXT
    )
    """,
    # one open operations incident
    """
    CREATE UNIQUE INDEX notifyflow_incident_operations ON notifyflow_incident (is_operations)
        WHERE is_operations AND state <> 'RESOLVED'
    """,
    "CREATE INDEX notifyflow_incident_newest ON notifyflow_incident (key, opened_at, id)",
    "CREATE INDEX notifyflow_incident_seen ON notifyflow_incident (last_seen_at, id)",
    "CREATE INDEX notifyflow_incident_round ON notifyflow_incident (round_at) WHERE round_at IS NOT NULL",
    "CREATE INDEX notifyflow_incident_resolved ON notifyflow_incident (resolved_at, id) WHERE state = 'RESOLVED'",
    # lists of unresolved incidents, the newest first, however many resolved ones are kept
    "CREATE INDEX notifyflow_incident_unresolved ON notifyflow_incident (id) WHERE state <> 'RESOLVED'",
    # one unresolved incident for each key and namespace
    "CREATE UNIQUE INDEX notifyflow_incident_key ON notifyflow_incident (namespace, key) WHERE state <> 'RESOLVED'",
    # the incidents that an API key may read, the newest first
    "CREATE INDEX notifyflow_incident_namespace ON notifyflow_incident (namespace, id)",
    # a key is also looked up in all namespaces
    "CREATE INDEX notifyflow_incident_open_key ON notifyflow_incident (key) WHERE state <> 'RESOLVED'",
    # whether a policy is used: ``policy`` holds its digest
    "CREATE INDEX notifyflow_incident_policy ON notifyflow_incident (policy)",
    # each policy once, with its JSON
    """
    CREATE TABLE notifyflow_policy (
        digest TEXT NOT NULL PRIMARY KEY,
        document TEXT NOT NULL,
        created_at {instant} NOT NULL,
        unused_since {instant}
    )
    """,
    """
    CREATE TABLE notifyflow_contact (
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        recipient_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        name TEXT NOT NULL,
        addresses TEXT NOT NULL,
        timezone TEXT NOT NULL,
        quiet TEXT,
        channels TEXT,
        PRIMARY KEY (incident_id, recipient_id)
    )
    """,
    # a recipient's newest contact
    "CREATE INDEX notifyflow_contact_recipient ON notifyflow_contact (recipient_id, incident_id)",
    # the steps of chains, and the recipients given with them
    """
    CREATE TABLE notifyflow_step (
        id TEXT NOT NULL PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        run_number INTEGER NOT NULL,
        number INTEGER NOT NULL,
        "to" TEXT NOT NULL,
        after TEXT NOT NULL,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        waits_since {instant},
        due_at {instant},
        started_at {instant},
        paged TEXT NOT NULL,
        reason TEXT NOT NULL,
        waited TEXT NOT NULL DEFAULT '0s'
    )
    """,
    "CREATE UNIQUE INDEX notifyflow_step_number ON notifyflow_step (incident_id, run_number, number)",
    "CREATE INDEX notifyflow_step_due ON notifyflow_step (due_at) WHERE due_at IS NOT NULL",
    """
    CREATE TABLE notifyflow_step_contact (
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        recipient_id TEXT NOT NULL,
        name TEXT NOT NULL,
        addresses TEXT NOT NULL,
        timezone TEXT NOT NULL,
        quiet TEXT,
        channels TEXT,
        PRIMARY KEY (incident_id, recipient_id)
    )
    """,
    "CREATE INDEX notifyflow_step_contact_recipient ON notifyflow_step_contact (recipient_id, incident_id)",
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
        next_decision_at {instant},
        next_round_at {instant},
        repetition INTEGER NOT NULL,
        critical_at {instant},
        is_current BOOLEAN NOT NULL,
        reason TEXT NOT NULL,
        is_quarantined BOOLEAN NOT NULL DEFAULT FALSE,
        alerted_at {instant},
        held_up_at {instant},
        readdressed_at {instant},
        readdress_at {instant},
        reported_at {instant},
        carried TEXT,
        UNIQUE (incident_id, recipient_id, round)
    )
    """,
    "CREATE INDEX notifyflow_escalation_active ON notifyflow_escalation (incident_id) WHERE state = 'ACTIVE'",
    # a recipient's latest pages
    "CREATE INDEX notifyflow_escalation_recipient ON notifyflow_escalation (recipient_id, started_at)",
    """
    CREATE INDEX notifyflow_escalation_next_decision ON notifyflow_escalation (is_quarantined, next_decision_at)
        WHERE next_decision_at IS NOT NULL AND is_current
    """,
    """
    CREATE INDEX notifyflow_escalation_round ON notifyflow_escalation (is_quarantined, next_round_at)
        WHERE next_round_at IS NOT NULL AND is_current
    """,
    "CREATE INDEX notifyflow_escalation_policy ON notifyflow_escalation (policy)",
    """
    CREATE TABLE notifyflow_notification (
        id TEXT NOT NULL PRIMARY KEY,
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        escalation_id TEXT NOT NULL REFERENCES notifyflow_escalation (id),
        namespace TEXT NOT NULL,
        channel TEXT NOT NULL,
        kind TEXT NOT NULL,
        incident_event TEXT,
        tier INTEGER,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        severity TEXT NOT NULL,
        max_attempts INTEGER NOT NULL,
        created_at {instant} NOT NULL,
        due_at {instant},
        rung_at {instant},
        deferred_since {instant},
        deferred_by TEXT,
        paused_since {instant},
        paused_until {instant},
        lane TEXT NOT NULL DEFAULT '',
        waits_until {instant},
        ended TEXT,
        ended_at {instant},
        is_stopped BOOLEAN NOT NULL,
        has_been_silenced BOOLEAN NOT NULL DEFAULT FALSE,
        reason TEXT NOT NULL,
        is_quarantined BOOLEAN NOT NULL DEFAULT FALSE,
        UNIQUE (escalation_id, tier, channel),
        CHECK ((state = 'QUEUED') = (due_at IS NOT NULL))
    )
    """,
    "CREATE INDEX notifyflow_notification_incident ON notifyflow_notification (incident_id)",
    # deferred ones go before later ones
    """
    CREATE INDEX notifyflow_notification_deferred ON notifyflow_notification (channel, due_at, id)
        WHERE state = 'QUEUED' AND deferred_by IS NOT NULL
    """,
    # sweeping: never rung for, or rung for long ago
    """
    CREATE INDEX notifyflow_notification_unrung
        ON notifyflow_notification (is_quarantined, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), due_at)
        WHERE state = 'QUEUED' AND rung_at IS NULL
    """,
    """
    CREATE INDEX notifyflow_notification_rung
        ON notifyflow_notification (is_quarantined, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), rung_at)
        WHERE state = 'QUEUED' AND rung_at IS NOT NULL
    """,
    # claiming: a channel's urgent ones first, then by the time they became due, then by age
    """
    CREATE INDEX notifyflow_notification_claim
        ON notifyflow_notification
        (channel, is_quarantined, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), due_at, id)
        WHERE state = 'QUEUED'
    """,
    # the namespaces with queued notifications on a channel, and claiming by namespace
    """
    CREATE INDEX notifyflow_notification_turn
        ON notifyflow_notification
        (channel, is_quarantined, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), namespace, due_at, id)
        WHERE state = 'QUEUED'
    """,
    # what came to a lane lately, and what waits in it
    "CREATE INDEX notifyflow_notification_lane ON notifyflow_notification (lane, created_at)",
    "CREATE INDEX notifyflow_notification_waiting ON notifyflow_notification (lane) WHERE state = 'QUEUED' AND lane <> ''",
    "CREATE INDEX notifyflow_notification_postponed ON notifyflow_notification (channel, waits_until) "
    "WHERE waits_until IS NOT NULL",
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
        result TEXT,
        evidence TEXT,
        is_doubted BOOLEAN NOT NULL,
        is_our_fault BOOLEAN NOT NULL,
        code TEXT NOT NULL,
        reason TEXT NOT NULL,
        provider_ref TEXT NOT NULL,
        retry_after_s DOUBLE PRECISION,
        receipt_due_at {instant},
        times_polled INTEGER NOT NULL,
        took_s DOUBLE PRECISION,
        sent_with TEXT,
        position INTEGER,
        is_named BOOLEAN NOT NULL DEFAULT TRUE,
        over_at {instant},
        unproven_at {instant},
        half TEXT,
        UNIQUE (notification_id, number)
    )
    """,
    # two workers never hold a lease on the same notification
    "CREATE UNIQUE INDEX notifyflow_attempt_running ON notifyflow_attempt (notification_id) WHERE state = 'RUNNING'",
    "CREATE INDEX notifyflow_attempt_lease ON notifyflow_attempt (lease_until) WHERE state = 'RUNNING'",
    "CREATE INDEX notifyflow_attempt_reference ON notifyflow_attempt (provider, provider_ref) WHERE provider_ref <> ''",
    # how reliable a provider's receipts are
    "CREATE INDEX notifyflow_attempt_awaited ON notifyflow_attempt (provider, started_at) WHERE receipt_due_at IS NOT NULL",
    # accepted messages whose status is to be polled
    "CREATE INDEX notifyflow_attempt_to_poll ON notifyflow_attempt (started_at) "
    "WHERE result = 'accepted' AND times_polled < 3 AND receipt_due_at IS NOT NULL AND provider_ref <> ''",
    # the calls under way
    "CREATE INDEX notifyflow_attempt_call ON notifyflow_attempt (over_at) WHERE over_at IS NOT NULL",
    # the attempts that a call carried besides the one that made it
    "CREATE INDEX notifyflow_attempt_sent_with ON notifyflow_attempt (sent_with) WHERE sent_with IS NOT NULL",
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
        xid {transaction},
        UNIQUE (row_id, version)
    )
    """,
    "CREATE INDEX notifyflow_transition_incident ON notifyflow_transition (incident_id, id)",
    # in which order lines were committed
    "{transition_fold}",
    # the log is append-only
    "{transition_guard}",
    "{transition_keeper}",
    """
    CREATE TABLE notifyflow_receipt (
        provider TEXT NOT NULL,
        event_id TEXT NOT NULL,
        result TEXT,
        attempt_id TEXT,
        provider_ref TEXT,
        evidence TEXT,
        code TEXT NOT NULL,
        reason TEXT NOT NULL,
        is_acknowledgement BOOLEAN NOT NULL,
        is_key_press BOOLEAN NOT NULL,
        is_our_fault BOOLEAN NOT NULL,
        is_general BOOLEAN NOT NULL,
        is_about_content BOOLEAN NOT NULL DEFAULT FALSE,
        is_fetched BOOLEAN NOT NULL,
        received_at {instant} NOT NULL,
        state TEXT NOT NULL,
        matched_attempt_id TEXT REFERENCES notifyflow_attempt (id),
        body TEXT NOT NULL,
        PRIMARY KEY (provider, event_id)
    )
    """,
    "CREATE INDEX notifyflow_receipt_waiting ON notifyflow_receipt (received_at) WHERE state = 'waiting'",
    "CREATE INDEX notifyflow_receipt_reference ON notifyflow_receipt (provider, provider_ref) WHERE state = 'waiting'",
    "CREATE INDEX notifyflow_receipt_attempt ON notifyflow_receipt (matched_attempt_id) WHERE matched_attempt_id IS NOT NULL",
    "CREATE INDEX notifyflow_receipt_foreign ON notifyflow_receipt (received_at) WHERE state = 'foreign'",
    "CREATE INDEX notifyflow_receipt_body ON notifyflow_receipt (received_at) WHERE body <> ''",
    # when a provider last reported anything
    "CREATE INDEX notifyflow_receipt_latest ON notifyflow_receipt (provider, received_at)",
    """
    CREATE TABLE notifyflow_critical (
        escalation_id TEXT NOT NULL PRIMARY KEY REFERENCES notifyflow_escalation (id),
        operations_incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        reason TEXT NOT NULL,
        at {instant} NOT NULL,
        is_counted BOOLEAN NOT NULL,
        is_rolled_up BOOLEAN NOT NULL DEFAULT FALSE,
        is_paging BOOLEAN NOT NULL DEFAULT TRUE,
        is_reported BOOLEAN NOT NULL DEFAULT FALSE,
        path TEXT NOT NULL DEFAULT '',
        is_deferred BOOLEAN NOT NULL DEFAULT FALSE
    )
    """,
    "CREATE INDEX notifyflow_critical_uncounted ON notifyflow_critical (operations_incident_id) WHERE is_counted = FALSE",
    "CREATE INDEX notifyflow_critical_operations ON notifyflow_critical (operations_incident_id)",
    "CREATE INDEX notifyflow_critical_not_rolled_up ON notifyflow_critical (escalation_id) WHERE NOT is_rolled_up",
    "CREATE INDEX notifyflow_critical_path ON notifyflow_critical (path, at) WHERE path <> ''",
    """
    CREATE TABLE notifyflow_notice (
        reason TEXT NOT NULL,
        provider TEXT NOT NULL,
        day TEXT NOT NULL,
        at {instant} NOT NULL,
        is_counted BOOLEAN NOT NULL,
        is_reported BOOLEAN NOT NULL DEFAULT FALSE,
        PRIMARY KEY (reason, provider, day)
    )
    """,
    "CREATE INDEX notifyflow_notice_uncounted ON notifyflow_notice (at) WHERE is_counted = FALSE",
    # damaged rows that are left alone
    """
    CREATE TABLE notifyflow_set_aside (
        row_id TEXT NOT NULL PRIMARY KEY,
        machine TEXT NOT NULL,
        incident_id TEXT NOT NULL,
        escalation_id TEXT NOT NULL,
        severity TEXT NOT NULL,
        relation TEXT NOT NULL,
        code TEXT NOT NULL,
        what TEXT NOT NULL,
        at {instant} NOT NULL,
        until {instant} NOT NULL,
        times INTEGER NOT NULL,
        is_aside BOOLEAN NOT NULL,
        is_paging BOOLEAN NOT NULL,
        is_counted BOOLEAN NOT NULL,
        is_reported BOOLEAN NOT NULL
    )
    """,
    "CREATE INDEX notifyflow_set_aside_until ON notifyflow_set_aside (until)",
    "CREATE INDEX notifyflow_set_aside_at ON notifyflow_set_aside (at, row_id)",
    "CREATE INDEX notifyflow_set_aside_uncounted ON notifyflow_set_aside (at) WHERE is_paging AND is_counted = FALSE",
)
