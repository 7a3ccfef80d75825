"""Schema 2: rows that were quarantined at adoption have a mark, which begins the indexes of the searches for work.

Code of schema 1 would release an incident from quarantine and leave the marks.
"""

VERSION = 2
OLDEST = 2

STATEMENTS = (
    "ALTER TABLE notifyflow_escalation ADD COLUMN is_quarantined BOOLEAN NOT NULL DEFAULT FALSE",
    "ALTER TABLE notifyflow_notification ADD COLUMN is_quarantined BOOLEAN NOT NULL DEFAULT FALSE",
    """
    UPDATE notifyflow_escalation SET is_quarantined = TRUE
        WHERE incident_id IN (SELECT incident_id FROM notifyflow_quarantine)
    """,
    """
    UPDATE notifyflow_notification SET is_quarantined = TRUE
        WHERE incident_id IN (SELECT incident_id FROM notifyflow_quarantine)
    """,
    "DROP INDEX notifyflow_escalation_next_decision",
    """
    CREATE INDEX notifyflow_escalation_next_decision ON notifyflow_escalation (is_quarantined, next_decision_at)
        WHERE next_decision_at IS NOT NULL AND is_current
    """,
    "DROP INDEX notifyflow_escalation_round",
    """
    CREATE INDEX notifyflow_escalation_round ON notifyflow_escalation (is_quarantined, next_round_at)
        WHERE next_round_at IS NOT NULL AND is_current
    """,
    "DROP INDEX notifyflow_notification_unrung",
    """
    CREATE INDEX notifyflow_notification_unrung
        ON notifyflow_notification (is_quarantined, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), due_at)
        WHERE state = 'QUEUED' AND rung_at IS NULL
    """,
    "DROP INDEX notifyflow_notification_rung",
    """
    CREATE INDEX notifyflow_notification_rung
        ON notifyflow_notification (is_quarantined, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), rung_at)
        WHERE state = 'QUEUED' AND rung_at IS NOT NULL
    """,
    "DROP INDEX notifyflow_notification_claim",
    """
    CREATE INDEX notifyflow_notification_claim
        ON notifyflow_notification
        (channel, is_quarantined, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), due_at, id)
        WHERE state = 'QUEUED'
    """,
    "DROP INDEX notifyflow_notification_turn",
    """
    CREATE INDEX notifyflow_notification_turn
        ON notifyflow_notification
        (channel, is_quarantined, (CASE WHEN severity = 'CRITICAL' THEN 0 ELSE 1 END), namespace, due_at, id)
        WHERE state = 'QUEUED'
    """,
)
