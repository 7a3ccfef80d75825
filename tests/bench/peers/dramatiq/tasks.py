"""A notification queue on dramatiq and Peewee: a row and a message for each channel."""

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from peewee import AutoField, Model, TextField
from playhouse.db_url import connect
from playhouse.postgres_ext import DateTimeTZField

from tests.bench.peers.provider import send

CHUNK = 1_000

database = connect(os.environ["PEEWEE_URL"])
if os.environ["PEEWEE_URL"].startswith("sqlite"):
    database.init(database.database, pragmas={"journal_mode": "wal", "synchronous": "full"}, timeout=30)
broker = RedisBroker(url=os.environ["REDIS_URL"])
dramatiq.set_broker(broker)


class Notification(Model):
    """One message to one person over one channel."""

    id = AutoField()
    incident = TextField(index=True)
    channel = TextField()
    address = TextField()
    body = TextField()
    state = TextField(default="QUEUED")
    created_at = DateTimeTZField(default=lambda: datetime.now(UTC))
    sent_at = DateTimeTZField(null=True)

    class Meta:
        database = database


def notify(incident: str, recipients: Sequence[str], channels: Sequence[str]) -> float:
    """Accept an incident; return the time of its commit."""
    rows = [
        {"incident": incident, "channel": channel, "address": recipient, "body": f"{incident}: orders db is down"}
        for recipient in recipients
        for channel in channels
    ]
    ids = []
    with database.atomic():
        for begin in range(0, len(rows), CHUNK):
            inserted = Notification.insert_many(rows[begin : begin + CHUNK]).returning(Notification.id).execute()
            ids += [row.id for row in inserted]
    committed_at = time.time()
    for id_ in ids:
        carry.send(id_)
    return committed_at


@dramatiq.actor(max_retries=4, min_backoff=30_000, priority=10)
def carry(notification_id: int) -> None:
    """Carry one notification."""
    mine = (Notification.id == notification_id) & (Notification.state != "SENT")
    returned = Notification.update(state="SENDING").where(mine).returning(Notification).execute()
    for row in returned:  # none: a repetition of a message that is done
        send(row.channel, row.address, row.body)
        Notification.update(state="SENT", sent_at=datetime.now(UTC)).where(Notification.id == row.id).execute()
