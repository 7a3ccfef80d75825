"""Fills a PostgreSQL database with a long history, by statements alone: incidents, rounds, notifications, attempts, the log.

Everything follows from a row's number, so that two databases of one size hold the same.
"""

import json
from collections.abc import Iterable, Iterator

from psycopg import sql

from notifyflow.core.delivery.model import Severity
from notifyflow.core.metrics import families
from notifyflow.core.metrics.charts import SPANS
from notifyflow.core.metrics.families import CallOutcome, Family, names_of
from tests.servers.postgres import Postgres

PEOPLE = 500
CHANNELS = ("email", "slack", "sms", "voice")
DAYS = 30
_PAGES_OF_AN_INCIDENT = 5
_OPEN = 200
"""How many of the newest incidents are not resolved."""

_AT = "now() - ({total} - i) * interval '{days} days' / {total}"
_ID = "lpad(to_hex((extract(epoch FROM {at}) * 1000)::bigint), 12, '0') || '7{kind}' || lpad(to_hex({number}), 17, '0')"
_WAYS = (("email", "smtp"), ("slack", "slack"), ("sms", "twilio"), ("voice", "twilio"))
_SERIES = """
    INSERT INTO notifyflow_metric_total (name, labels, count, sum_s, buckets)
    SELECT name, labels, 10, 5, buckets
    FROM unnest({names}::text[], {labels}::text[], {buckets}::text[]) AS f (name, labels, buckets)
"""
_PERIODS = """
    INSERT INTO notifyflow_metric_period (minutes, at, name, labels, count, sum_s, buckets)
    SELECT {span}, to_timestamp(floor(extract(epoch FROM now()) / {span} / 60 - n) * {span} * 60), name, labels, 10, 5, buckets
    FROM generate_series(0, 150) AS n, unnest({names}::text[], {labels}::text[], {buckets}::text[]) AS f (name, labels, buckets)
"""
_STATEMENTS = (
    """
    CREATE TABLE filled AS
        SELECT i, {at} AS at, {incident} AS incident_id, i > {total} - {open} AS is_open, i % 7 = 0 AS is_failing
        FROM generate_series(1, {total}) AS i
    """,
    """
    INSERT INTO notifyflow_incident (id, namespace, key, state, version, severity, policy, is_operations, opened_at, last_seen_at,
        times_seen, run_number, acknowledged_at, acknowledged_by, acknowledged_via, resolved_at, resolved_by, content_title,
        content_body, content_severity, content_source, content_labels)
    SELECT incident_id, CASE WHEN i % 10 = 0 THEN 'web' ELSE '' END, 'service-' || i % 5000 || '-' || i,
        CASE WHEN is_open THEN 'OPEN' ELSE 'RESOLVED' END, 3, (ARRAY['CRITICAL', 'ERROR', 'WARNING', 'INFO'])[1 + i % 4],
        '{policy}', FALSE, at, at, 1, CASE WHEN is_open THEN 1 ELSE 0 END,
        CASE WHEN is_open THEN NULL ELSE at + interval '90 s' END,
        CASE WHEN is_open THEN '' ELSE 'p1' END, CASE WHEN is_open THEN '' ELSE 'link' END,
        CASE WHEN is_open THEN NULL ELSE at + interval '1 h' END, CASE WHEN is_open THEN '' ELSE 'p1' END,
        'service ' || i % 5000 || ' is down', '', 'ERROR', 'grafana', '{{"team":"' || i % 20 || '"}}'
    FROM filled
    """,
    """
    INSERT INTO notifyflow_contact (incident_id, recipient_id, position, name, addresses, timezone)
    SELECT incident_id, 'p' || (i * 7 + who) % {people}, who, 'Person ' || (i * 7 + who) % {people},
        '{{"email":"p@example.com","slack":"D01","sms":"+15005550006","voice":"+15005550006"}}', 'UTC'
    FROM filled, generate_series(0, 1) AS who
    """,
    """
    INSERT INTO notifyflow_escalation (id, incident_id, recipient_id, round, state, version, tier, severity, policy, started_at,
        repetition, is_current, reason)
    SELECT {escalation}, incident_id, 'p' || (i * 7 + who) % {people}, 1,
        CASE WHEN is_failing AND who = 1 THEN 'EXHAUSTED' WHEN is_open THEN 'REACHED' ELSE 'ACKNOWLEDGED' END, 3, 1, 'ERROR',
        '{policy}', at, 1, is_open, ''
    FROM filled, generate_series(0, 1) AS who
    """,
    """
    INSERT INTO notifyflow_step (id, incident_id, run_number, number, "to", after, state, version, waits_since, due_at,
        started_at, paged, reason)
    SELECT incident_id || '-' || number, incident_id, 1, number, (ARRAY['["@rota0"]', '["@rota1","p1"]', '["p2"]', '[]'])[number],
        '10m', CASE number WHEN 1 THEN 'STARTED' ELSE 'WAITING' END, 1, CASE number WHEN 2 THEN now() END,
        CASE number WHEN 2 THEN now() + interval '10 min' END, CASE number WHEN 1 THEN at END,
        CASE number WHEN 1 THEN '["p0"]' ELSE '[]' END, ''
    FROM filled, generate_series(1, 4) AS number WHERE is_open
    """,
    """
    INSERT INTO notifyflow_notification (id, incident_id, escalation_id, namespace, channel, kind, tier, state, version, severity,
        max_attempts, created_at, is_stopped, reason)
    SELECT {notification}, incident_id, {escalation}, CASE WHEN i % 10 = 0 THEN 'web' ELSE '' END,
        (ARRAY['email', 'slack', 'sms', 'voice'])[1 + way], 'page', 1 + way / 2,
        CASE WHEN is_failing AND who = 1 THEN 'FAILED' WHEN way = 0 OR way = 2 THEN 'DELIVERED' ELSE 'SENT' END, 3, 'ERROR', 5,
        at + way * interval '1 s', NOT is_open,
        CASE WHEN is_failing AND who = 1 THEN 'a landline, cannot receive texts' ELSE '' END
    FROM filled, generate_series(0, 1) AS who, generate_series(0, 2 - who) AS way
    """,
    """
    INSERT INTO notifyflow_attempt (id, notification_id, number, provider, token, state, started_at, lease_until, ended_at,
        result, evidence, is_doubted, is_our_fault, code, reason, provider_ref, times_polled)
    SELECT id, id, 1, CASE channel WHEN 'email' THEN 'smtp' WHEN 'slack' THEN 'slack' ELSE 'twilio' END,
        't', 'RECORDED', created_at, created_at + interval '60 s', created_at + interval '300 ms',
        CASE state WHEN 'FAILED' THEN 'permanent_failure' WHEN 'DELIVERED' THEN 'delivered' ELSE 'accepted' END,
        CASE state WHEN 'FAILED' THEN NULL WHEN 'DELIVERED' THEN 'carrier' ELSE 'accepted' END, FALSE, FALSE,
        CASE state WHEN 'FAILED' THEN '30006' ELSE '' END, reason, 'ref-' || id, 0
    FROM notifyflow_notification
    """,
    """
    INSERT INTO notifyflow_transition (incident_id, machine, row_id, version, event, source, target, at, detail)
    SELECT incident_id, 'notification', id, 1, 'queued', '', 'QUEUED', created_at, '{{}}' FROM notifyflow_notification
    """,
    """
    INSERT INTO notifyflow_provider_health (channel, provider, version, spent, failures, times_opened)
    VALUES ('email', 'smtp', 1, '[]', 0, 0), ('slack', 'slack', 1, '[]', 0, 0), ('sms', 'twilio', 1, '[]', 0, 0),
        ('voice', 'twilio', 1, '[]', 0, 0)
    """,
    "DROP TABLE filled",
)


def fill(server: Postgres, database: str, *, notifications: int, policy: str) -> None:
    """Add a history of so many notifications over the last days, all under one stored policy."""
    total = notifications // _PAGES_OF_AN_INCIDENT
    at = _AT.format(total=total, days=DAYS)
    values = {
        "total": total,
        "open": _OPEN,
        "people": PEOPLE,
        "policy": policy,
        "at": at,
        "incident": _ID.format(at=at, kind="0", number="i"),
        "escalation": _ID.format(at="at", kind="1", number="i * 2 + who"),
        "notification": _ID.format(at="(at + way * interval '1 s')", kind="2", number="(i * 2 + who) * 4 + way"),
    }
    for statement in _STATEMENTS:
        server.execute(sql.SQL(statement.format(**values)), database)
    server.execute(sql.SQL(_SERIES).format(**_arrays(_counted())), database)
    for span in SPANS:
        server.execute(sql.SQL(_PERIODS).format(span=span, **_arrays(_charted())), database)
    server.execute(sql.SQL("UPDATE notifyflow_rollup SET rolled_up_at = now()"), database)
    server.execute(sql.SQL("VACUUM ANALYZE"), database)


def _arrays(found: Iterable[tuple[str, str, str]]) -> dict[str, sql.Literal]:
    names, labels, buckets = zip(*found, strict=True)
    return {"names": sql.Literal(list(names)), "labels": sql.Literal(list(labels)), "buckets": sql.Literal(list(buckets))}


def _counted() -> Iterator[tuple[str, str, str]]:
    """Yield the metrics that a scrape reads: name, labels, and the counts of the buckets."""
    for name, labels in families.expected(_WAYS, told=frozenset()):
        yield _figure(families.FAMILIES[name], *labels, is_charted=False)


def _charted() -> Iterator[tuple[str, str, str]]:
    """Yield the figures that the charts read."""
    for family in (families.ACCEPTED_S, families.DELIVERED_S, families.HUMAN_S):
        yield from (_figure(family, severity.value) for severity in Severity)
    for way in _WAYS:
        yield _figure(families.REQUEST_S, *way)
        yield from (_figure(families.ATTEMPTS, *way, outcome.value) for outcome in CallOutcome)


def _figure(family: Family, *labels: str, is_charted: bool = True) -> tuple[str, str, str]:
    named = dict(zip(names_of(family.name, is_charted=is_charted), labels, strict=True))
    counts = [1 + number % 4 for number, _ in enumerate((*family.bounds_s, 0))] if family.bounds_s else []
    return family.name, json.dumps(named, separators=(",", ":")), json.dumps(counts, separators=(",", ":"))
