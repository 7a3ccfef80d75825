"""A notification queue on Celery and psycopg: a row and a task for each channel."""

import os
import threading
import time
from collections.abc import Sequence

import psycopg
from celery import Celery, Task

from tests.bench.peers.provider import send

app = Celery("notifications", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_default_priority=5,
    broker_transport_options={"queue_order_strategy": "priority"},
    broker_connection_retry_on_startup=True,
)

_local = threading.local()


def connection() -> psycopg.Connection:
    """Return the connection of this thread."""
    if not hasattr(_local, "connection"):
        _local.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return _local.connection


def notify(incident: str, recipients: Sequence[str], channels: Sequence[str]) -> float:
    """Accept an incident; return the time of its commit."""
    rows = [(channel, recipient) for recipient in recipients for channel in channels]
    inserted = connection().execute(
        "INSERT INTO notification (incident, channel, address, body)"
        " SELECT %s, channel, address, %s FROM unnest(%s::text[], %s::text[]) AS t (channel, address) RETURNING id",
        (incident, f"{incident}: orders db is down", [channel for channel, _ in rows], [address for _, address in rows]),
    )
    ids = [id_ for (id_,) in inserted]
    committed_at = time.time()
    with app.producer_pool.acquire(block=True) as producer:
        for id_ in ids:
            carry.apply_async((id_,), producer=producer)
    return committed_at


@app.task(bind=True, autoretry_for=(Exception,), max_retries=4, retry_backoff=30)
def carry(self: Task, notification_id: int) -> None:
    """Carry one notification."""
    del self
    row = connection().execute(
        "UPDATE notification SET state = 'SENDING' WHERE id = %s AND state <> 'SENT' RETURNING channel, address, body",
        (notification_id,),
    )
    found = row.fetchone()
    if found is None:  # a repetition of a task that is done
        return
    send(*found)
    connection().execute("UPDATE notification SET state = 'SENT', sent_at = now() WHERE id = %s", (notification_id,))
