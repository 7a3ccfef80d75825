"""Concurrent callbacks, repeated and out of order: each text ends in its one right state, and none is lost."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest
from peewee import Value

from notifyflow.app import NotifyFlow
from notifyflow.settings import Settings
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from notifyflow.storage.tables import AttemptRow, NotificationRow, ReceiptRow
from tests.asgi import Client
from tests.bench.texts import PUBLIC_URL, TOKEN, Callback, Texts, in_disorder, states
from tests.integration.engine.test_deliver import NotedBell
from tests.patience import PatientStore
from tests.waiting import wait_until

DEADLINE_S = 30

VARIABLES = {
    "NOTIFYFLOW_PUBLIC_URL": PUBLIC_URL,
    "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC0",
    "NOTIFYFLOW_TWILIO_AUTH_TOKEN": TOKEN,
    "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550006",
}


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    opened = PatientStore(postgres_url)
    yield opened
    opened.close()


def _call_back(client: Client, callback: Callback) -> int:
    post = callback.signed()
    headers = {"x-twilio-signature": post.signature, "content-type": "application/x-www-form-urlencoded"}
    return client.post(post.path, content=post.body, headers=headers).status_code


def test_callbacks_out_of_order_leave_every_text_in_the_right_state(store: Store) -> None:
    receipts = in_disorder(Texts(store).send(20), number=200, seed=1)
    with NotifyFlow(Settings.from_variables(VARIABLES), store=store, bell=NotedBell()) as flow:
        client = Client(flow.asgi())
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(partial(_call_back, client), receipts)) == {200}
    is_its = NotificationRow.id == AttemptRow.notification_id
    rows = NotificationRow.select(AttemptRow.id, NotificationRow.state).join(AttemptRow, on=is_its)
    inbox = ReceiptRow.select(ReceiptRow.event_id, ReceiptRow.matched_attempt_id)
    found = store.run(lambda ledger: (ledger._unit.rows(rows), ledger._unit.rows(inbox)))
    assert {row["id"]: row["state"] for row in found[0]} == states(receipts)
    assert sorted(tuple(row.values()) for row in found[1]) == sorted({(each.event_id, each.attempt_id) for each in receipts})


def test_receipts_that_come_while_one_commits_are_committed_together_and_a_bad_one_harms_no_other(store: Store) -> None:
    first, bad, *others = (Callback(each, "delivered") for each in Texts(store).send(6))
    row = AttemptRow.select(AttemptRow.notification_id).where(AttemptRow.id == first.attempt_id)
    damaged = AttemptRow.select(AttemptRow.notification_id).where(AttemptRow.id == bad.attempt_id)
    damage = NotificationRow.update(severity=Value("LOUD", converter=False)).where(NotificationRow.id.in_(damaged))
    store.run(lambda ledger: damage.execute(ledger._unit.db))
    with NotifyFlow(Settings.from_variables(VARIABLES), store=store, bell=NotedBell()) as flow, ThreadPoolExecutor(6) as pool:
        client = Client(flow.asgi())
        receipts = flow._service._receipts

        def post_meanwhile(ledger: Ledger) -> list[Future[int]]:
            """Hold the row of the first receipt until the others have come."""
            ledger.notifications.lock(ledger._unit.scalar(row))
            leads = pool.submit(_call_back, client, first)
            wait_until(lambda: receipts._has_leader and not receipts._waiting)
            rest = [pool.submit(_call_back, client, each) for each in (bad, *others)]
            wait_until(lambda: len(receipts._waiting) == len(rest))
            return [leads, *rest]

        responses = [each.result(DEADLINE_S) for each in store.run(post_meanwhile)]
    assert responses == [200, 503, 200, 200, 200, 200]  # the provider repeats it
    inbox = ReceiptRow.select(ReceiptRow.matched_attempt_id)
    found = store.run(lambda ledger: ledger._unit.rows(inbox))
    assert {each["matched_attempt_id"] for each in found} == {each.attempt_id for each in (first, *others)}
