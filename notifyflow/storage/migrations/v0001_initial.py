"""Schema 1: the tables of the first release. Until it is tagged, columns are added here; afterwards, in migrations.

A migration is frozen once it is released, so it is plain SQL and uses no model. The dialect supplies its types for instants,
growing numbers and numbers of transactions (``{instant}``, ``{serial}``, ``{transaction}``), its triggers on the transition log
(``{transition_guard}``, ``{transition_keeper}``), and its index for counting the log (``{transition_fold}``). Rows are deleted,
so each reference has an index on the referring side.
"""

from notifyflow.storage.migrations import v0001_delivery

VERSION = 1
OLDEST = 1  # the oldest schema whose code may still use a database at this one

STATEMENTS = (
    *v0001_delivery.STATEMENTS,
    # submissions made in the application's transactions, until the first sweep after their commit
    """
    CREATE TABLE notifyflow_outbox (
        id TEXT NOT NULL PRIMARY KEY,
        incident_id TEXT NOT NULL,
        policy TEXT NOT NULL,
        submission TEXT
    )
    """,
    "CREATE INDEX notifyflow_outbox_incident ON notifyflow_outbox (incident_id)",
    # requests that came in through integrations, counted by kind and incident
    """
    CREATE TABLE notifyflow_inbound_entry (
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
    """
    CREATE TABLE notifyflow_lane (
        id TEXT NOT NULL PRIMARY KEY,
        channel TEXT NOT NULL,
        left_at {instant},
        beat_at {instant},
        urgent_from {instant},
        urgent_until {instant},
        calm_from {instant},
        calm_until {instant}
    )
    """,
    """
    CREATE TABLE notifyflow_provider_health (
        channel TEXT NOT NULL,
        provider TEXT NOT NULL,
        version INTEGER NOT NULL,
        spent TEXT NOT NULL,
        throttled_until {instant},
        failures INTEGER NOT NULL,
        circuit_opened_by TEXT,
        circuit_open_until {instant},
        times_opened INTEGER NOT NULL,
        probe_until {instant},
        namespace_slots TEXT NOT NULL DEFAULT '[]',
        PRIMARY KEY (channel, provider)
    )
    """,
    """
    CREATE TABLE notifyflow_pause (
        scope TEXT NOT NULL,
        name TEXT NOT NULL,
        ends_at {instant} NOT NULL,
        paused_at {instant} NOT NULL,
        paused_by TEXT NOT NULL,
        is_for_critical BOOLEAN NOT NULL,
        PRIMARY KEY (scope, name)
    )
    """,
    # pauses that were ended or replaced, and quarantines of incidents: notifications that waited for them are not late
    """
    CREATE TABLE notifyflow_paused_interval (
        scope TEXT NOT NULL,
        name TEXT NOT NULL,
        began_at {instant} NOT NULL,
        ended_at {instant} NOT NULL,
        is_for_critical BOOLEAN NOT NULL
    )
    """,
    "CREATE INDEX notifyflow_paused_interval_ended ON notifyflow_paused_interval (ended_at)",
    # silences; one whose begin or end is still to be carried out has a due_at
    """
    CREATE TABLE notifyflow_silence (
        id TEXT NOT NULL PRIMARY KEY,
        matchers TEXT NOT NULL,
        reason TEXT NOT NULL CHECK (reason <> ''),
        begins_at {instant} NOT NULL,
        ends_at {instant} NOT NULL,
        created_at {instant} NOT NULL,
        author_kind TEXT NOT NULL,
        author_id TEXT NOT NULL,
        author TEXT NOT NULL CHECK (author <> ''),
        namespaces TEXT,
        ended_at {instant},
        ended_by TEXT NOT NULL,
        marked_to TEXT NOT NULL,
        due_at {instant},
        is_begun BOOLEAN NOT NULL,
        CHECK (ends_at > begins_at)
    )
    """,
    "CREATE INDEX notifyflow_silence_due ON notifyflow_silence (due_at) WHERE due_at IS NOT NULL",
    "CREATE INDEX notifyflow_silence_ends ON notifyflow_silence (ends_at)",
    # incidents that a silence holds, or held
    """
    CREATE TABLE notifyflow_silenced_incident (
        incident_id TEXT NOT NULL REFERENCES notifyflow_incident (id),
        silence_id TEXT NOT NULL REFERENCES notifyflow_silence (id),
        began_at {instant} NOT NULL,
        ended_at {instant} NOT NULL,
        PRIMARY KEY (incident_id, silence_id),
        CHECK (ended_at >= began_at)
    )
    """,
    "CREATE INDEX notifyflow_silenced_incident_silence ON notifyflow_silenced_incident (silence_id, ended_at)",
    # one row is not over: it begins at the last sweep, and becomes an outage only if that is long ago
    """
    CREATE TABLE notifyflow_outage (
        began_at {instant} NOT NULL,
        ended_at {instant},
        is_over BOOLEAN NOT NULL,
        CHECK (is_over = (ended_at IS NOT NULL))
    )
    """,
    "CREATE UNIQUE INDEX notifyflow_outage_watch ON notifyflow_outage (is_over) WHERE is_over = FALSE",
    "CREATE INDEX notifyflow_outage_ended ON notifyflow_outage (ended_at) WHERE ended_at IS NOT NULL",
    "CREATE TABLE notifyflow_heartbeat (name TEXT NOT NULL PRIMARY KEY, at {instant} NOT NULL)",
    """
    CREATE TABLE notifyflow_api_key (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        namespace TEXT NOT NULL,
        scopes TEXT NOT NULL,
        heartbeat TEXT,
        digest TEXT NOT NULL,
        created_at {instant} NOT NULL,
        expires_at {instant},
        revoked_at {instant},
        last_used_at {instant}
    )
    """,
    """
    CREATE TABLE notifyflow_idempotent_response (
        api_key_id TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        notified TEXT NOT NULL,
        expires_at {instant} NOT NULL,
        PRIMARY KEY (api_key_id, idempotency_key)
    )
    """,
    "CREATE INDEX notifyflow_idempotent_response_expiry ON notifyflow_idempotent_response (expires_at)",
    # reply codes and opt-outs; the numbers in them are personal
    """
    CREATE TABLE notifyflow_reply_code (
        number TEXT NOT NULL,
        code TEXT NOT NULL,
        incident_id TEXT NOT NULL,
        recipient_id TEXT NOT NULL,
        severity TEXT NOT NULL DEFAULT 'CRITICAL',
        sent_with TEXT NOT NULL DEFAULT '',
        is_shown BOOLEAN NOT NULL,
        issued_at {instant} NOT NULL,
        PRIMARY KEY (number, code),
        UNIQUE (number, incident_id, recipient_id, severity, sent_with)
    )
    """,
    "CREATE INDEX notifyflow_reply_code_age ON notifyflow_reply_code (issued_at)",
    """
    CREATE TABLE notifyflow_opt_out (
        our_number TEXT NOT NULL,
        number TEXT NOT NULL,
        at {instant} NOT NULL,
        PRIMARY KEY (our_number, number)
    )
    """,
    # the numbers that texts went to, and our latest responses to them; the numbers are personal
    """
    CREATE TABLE notifyflow_number (
        number TEXT NOT NULL PRIMARY KEY,
        recipient_id TEXT NOT NULL,
        texted_at {instant} NOT NULL,
        responded_at TEXT NOT NULL
    )
    """,
    "CREATE INDEX notifyflow_number_age ON notifyflow_number (texted_at)",
    """
    CREATE TABLE notifyflow_environment (
        one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
        name TEXT NOT NULL,
        since {instant} NOT NULL
    )
    """,
    """
    CREATE TABLE notifyflow_quarantine (
        incident_id TEXT NOT NULL PRIMARY KEY,
        quarantined_at {instant} NOT NULL
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
    # how many rows each namespace was served, so that none makes the others wait
    """
    CREATE TABLE notifyflow_fair_queue (
        channel TEXT NOT NULL,
        is_urgent BOOLEAN NOT NULL,
        namespace TEXT NOT NULL,
        served BIGINT NOT NULL,
        PRIMARY KEY (channel, is_urgent, namespace)
    )
    """,
    # the roster (one row, locked while any part of it is changed), the calendars of schedules, and overrides
    """
    CREATE TABLE notifyflow_roster (
        one INTEGER NOT NULL PRIMARY KEY,
        digest TEXT NOT NULL,
        document TEXT,
        source TEXT NOT NULL,
        changed_at {instant},
        stored_at {instant}
    )
    """,
    """
    CREATE TABLE notifyflow_calendar (
        schedule TEXT NOT NULL PRIMARY KEY,
        source TEXT NOT NULL,
        shifts TEXT,
        etag TEXT NOT NULL,
        last_modified TEXT NOT NULL,
        fetched_at {instant},
        tried_at {instant},
        fault TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE notifyflow_override (
        id TEXT NOT NULL PRIMARY KEY,
        schedule TEXT NOT NULL,
        people TEXT NOT NULL,
        instead_of TEXT NOT NULL,
        begins_at {instant} NOT NULL,
        ends_at {instant} NOT NULL,
        made_by TEXT NOT NULL,
        made_at {instant} NOT NULL,
        cancelled_at {instant},
        cancelled_by TEXT
    )
    """,
    # the hand-overs of duties that people were told about
    """
    CREATE TABLE notifyflow_hand_over (
        schedule TEXT NOT NULL,
        at {instant} NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        until {instant},
        incident_id TEXT NOT NULL,
        PRIMARY KEY (schedule, at)
    )
    """,
    "CREATE INDEX notifyflow_hand_over_incident ON notifyflow_hand_over (incident_id)",
    # the feeds of calendars, without the tokens in their addresses
    """
    CREATE TABLE notifyflow_feed (
        id TEXT NOT NULL PRIMARY KEY,
        digest TEXT NOT NULL,
        schedule TEXT,
        recipient_id TEXT,
        made_by TEXT NOT NULL,
        made_at {instant} NOT NULL,
        expires_at {instant}
    )
    """,
    "CREATE UNIQUE INDEX notifyflow_feed_digest ON notifyflow_feed (digest)",
    # the watched jobs of the directory with their last pings, and the times in which none could be committed: the row that is not
    # over begins at the last note of the web service
    """
    CREATE TABLE notifyflow_watched_job (
        name TEXT NOT NULL PRIMARY KEY,
        namespace TEXT NOT NULL,
        timetable TEXT NOT NULL,
        methods TEXT NOT NULL,
        declared_at {instant} NOT NULL,
        expected_at {instant} NOT NULL,
        wake_at {instant} NOT NULL,
        version INTEGER NOT NULL,
        succeeded_at {instant},
        runs TEXT NOT NULL,
        miss TEXT,
        missed_at {instant},
        passed TEXT NOT NULL,
        silent_since {instant},
        exit_status INTEGER,
        is_untold BOOLEAN NOT NULL,
        back_at {instant},
        incident_id TEXT,
        misses INTEGER NOT NULL,
        pings TEXT NOT NULL,
        output TEXT NOT NULL,
        removed_at {instant}
    )
    """,
    "CREATE INDEX notifyflow_watched_job_wake ON notifyflow_watched_job (wake_at)",
    "CREATE INDEX notifyflow_watched_job_incident ON notifyflow_watched_job (incident_id) WHERE incident_id IS NOT NULL",
    """
    CREATE TABLE notifyflow_absence (
        began_at {instant} NOT NULL,
        ended_at {instant},
        is_over BOOLEAN NOT NULL,
        CHECK (is_over = (ended_at IS NOT NULL))
    )
    """,
    "CREATE UNIQUE INDEX notifyflow_absence_watch ON notifyflow_absence (is_over) WHERE is_over = FALSE",
    "CREATE INDEX notifyflow_absence_ended ON notifyflow_absence (ended_at) WHERE ended_at IS NOT NULL",
    # the users of the dashboard, the browsers in which they are logged in, and the links that make the first one
    """
    CREATE TABLE notifyflow_user (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        namespaces TEXT,
        recipient_id TEXT,
        password TEXT,
        created_at {instant} NOT NULL,
        disabled_at {instant},
        logged_in_at {instant}
    )
    """,
    "CREATE UNIQUE INDEX notifyflow_user_name ON notifyflow_user (name)",
    """
    CREATE TABLE notifyflow_session (
        digest TEXT NOT NULL PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES notifyflow_user (id) ON DELETE CASCADE,
        created_at {instant} NOT NULL,
        used_at {instant} NOT NULL
    )
    """,
    "CREATE INDEX notifyflow_session_user ON notifyflow_session (user_id)",
    """
    CREATE TABLE notifyflow_setup (
        digest TEXT NOT NULL PRIMARY KEY,
        expires_at {instant} NOT NULL
    )
    """,
    # the figures, in total and by periods for charts
    """
    CREATE TABLE notifyflow_metric_total (
        name TEXT NOT NULL,
        labels TEXT NOT NULL,
        count BIGINT NOT NULL,
        sum_s DOUBLE PRECISION NOT NULL,
        buckets TEXT NOT NULL,
        PRIMARY KEY (name, labels)
    )
    """,
    """
    CREATE TABLE notifyflow_metric_period (
        minutes INTEGER NOT NULL,
        at {instant} NOT NULL,
        name TEXT NOT NULL,
        labels TEXT NOT NULL,
        count BIGINT NOT NULL,
        sum_s DOUBLE PRECISION NOT NULL,
        buckets TEXT NOT NULL,
        PRIMARY KEY (minutes, at, name, labels)
    )
    """,
    # up to where the log is counted: one row, locked while lines are counted
    """
    CREATE TABLE notifyflow_rollup (
        one INTEGER NOT NULL PRIMARY KEY,
        xid BIGINT NOT NULL,
        line_id BIGINT NOT NULL,
        after_id BIGINT NOT NULL,
        rolled_up_at {instant}
    )
    """,
    "INSERT INTO notifyflow_rollup (one, xid, line_id, after_id) VALUES (1, 0, 1, 0)",
)
