"""Concurrent callbacks, repeated and out of order: each text ends in its one right state, and none is lost."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.settings import Settings
from notifyflow.storage.models import AttemptRow, NotificationRow, ReceiptRow
from notifyflow.storage.store import Store
from tests.asgi import Client
from tests.bench.load import Post
from tests.bench.texts import PUBLIC_URL, TOKEN, Texts, in_disorder, states
from tests.integration.engine.test_deliver import NotedBell

VARIABLES = {
    "NOTIFYFLOW_PUBLIC_URL": PUBLIC_URL,
    "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC0",
    "NOTIFYFLOW_TWILIO_AUTH_TOKEN": TOKEN,
    "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550006",
}


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    opened = Store(postgres_url)
    yield opened
    opened.close()


def test_callbacks_out_of_order_leave_every_text_in_the_right_state(store: Store) -> None:
    receipts = in_disorder(Texts(store).send(20), number=200, seed=1)
    with NotifyFlow(Settings.from_variables(VARIABLES), store=store, bell=NotedBell()) as flow:
        client = Client(flow.asgi())

        def call_back(post: Post) -> int:
            headers = {"x-twilio-signature": post.signature, "content-type": "application/x-www-form-urlencoded"}
            return client.post(post.path, content=post.body, headers=headers).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(call_back, [each.signed() for each in receipts])) == {200}
    is_its = NotificationRow.id == AttemptRow.notification_id
    rows = NotificationRow.select(AttemptRow.id, NotificationRow.state).join(AttemptRow, on=is_its)
    inbox = ReceiptRow.select(ReceiptRow.event_id, ReceiptRow.matched_attempt_id)
    found = store.run(lambda ledger: (ledger._rows(rows), ledger._rows(inbox)))
    assert {row["id"]: row["state"] for row in found[0]} == states(receipts)
    assert sorted(tuple(row.values()) for row in found[1]) == sorted({(each.event_id, each.attempt_id) for each in receipts})
