"""Receipts commute, also over HTTP: any order and any repetition of them ends in the same state."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from notifyflow.app import NotifyFlow
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Severity
from notifyflow.settings import Settings
from notifyflow.storage.store import Store
from tests import mails
from tests.asgi import Client
from tests.builders import ACCEPTED, UNKNOWN, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.engine.test_deliver import NotedBell
from tests.servers.sns import Sns, body_of, sns

PUBLIC_URL = "https://notify.example"
TOKEN = "token-of-the-account"
TEXTED = ("queued", "sent", "delivered", "read", "canceled", "undelivered 30003", "failed 30006", "something-new")
CALLED = ("initiated", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "key 1", "key 5")
EVENTS = {"email": tuple(mails.DETAILS), "sms": TEXTED, "voice": CALLED}


class Callbacks:
    """A flow whose pages the test sends, and the callbacks of their providers."""

    def __init__(self, driver: Driver, client: Client, amazon: Sns) -> None:
        self._driver = driver
        self._client = client
        self._amazon = amazon
        self._numbers = count(1)

    def page(self, channel: str, *, attempts: int) -> tuple[str, list[str]]:
        """Send a new page with so many accepted attempts; return its key and their ids."""
        self._driver.clock.pass_time(timedelta(minutes=1))  # a provider's limit is per minute
        number = next(self._numbers)
        key = f"incident-{number}"
        person = a_recipient(f"p{number}", channel)  # the call to another may go on
        self._driver.notify(an_incident(key, severity=Severity.CRITICAL), person)
        provider = "ses" if channel == "email" else "twilio"
        ids: list[str] = []
        while len(ids) < attempts:
            (claimed,) = self._driver.claim(channel, self.row(key).id, providers=[provider], limit=1)
            assert claimed.message.notification_id == self.row(key).id
            ids.append(claimed.message.attempt_id)
            is_last = len(ids) == attempts
            self._driver.record(claimed, replace(ACCEPTED, provider_ref=claimed.message.attempt_id) if is_last else UNKNOWN)
            if not is_last:
                self._driver.clock.at = self.row(key).due_at or self._driver.clock.at
        return key, ids

    def row(self, key: str) -> NotificationFacts:
        return self._driver.status(key).escalations[0].notifications[0]

    def forget(self, key: str) -> None:
        """Stop sending a page."""
        self._driver.resolve(key=key)

    def call_back(self, channel: str, attempt_id: str, event: str) -> None:
        if channel == "email":
            body = body_of(self._amazon.message(mails.event(event, attempt_id, message_id=attempt_id)))
            response = self._client.post("/callbacks/sns", content=body)
        else:
            path, form = _twilio(channel, attempt_id, *event.split())
            signature = RequestValidator(TOKEN).compute_signature(PUBLIC_URL + path, form)
            headers = {"x-twilio-signature": signature, "content-type": "application/x-www-form-urlencoded"}
            response = self._client.post(path, content=urlencode(form), headers=headers)
        assert response.status_code == 200


def _twilio(channel: str, attempt_id: str, status: str, code: str = "") -> tuple[str, dict[str, str]]:
    path = f"/callbacks/twilio/{channel}/{attempt_id}"
    if channel == "sms":
        return path, {"MessageSid": f"SM{attempt_id}", "MessageStatus": status} | ({"ErrorCode": code} if code else {})
    if status == "key":
        return path + "/key", {"CallSid": f"CA{attempt_id}", "Digits": code}
    return path, {"CallSid": f"CA{attempt_id}", "CallStatus": status}


@pytest.fixture(scope="module")
def callbacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callbacks]:
    folder: Path = tmp_path_factory.mktemp("callbacks")
    store = Store(f"sqlite:///{folder / 'test.db'}")
    store.upgrade()
    with sns(folder) as amazon:
        variables = {
            **amazon.settings,
            "NOTIFYFLOW_PUBLIC_URL": PUBLIC_URL,
            "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC0",
            "NOTIFYFLOW_TWILIO_AUTH_TOKEN": TOKEN,
            "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550006",
            "NOTIFYFLOW_TWILIO_VOICE_FROM": "+15005550006",
        }
        driver = Driver(store)
        flow = NotifyFlow(
            Settings.from_variables(variables), clock=driver.clock, ids=driver.deps.ids, store=store, bell=NotedBell()
        )
        with flow:
            yield Callbacks(driver, Client(flow.asgi()), amazon)
    store.close()


@st.composite
def _scenarios(draw: st.DrawFn) -> tuple[str, int, list[Sequence[tuple[int, str]]]]:
    """Draw a channel, a number of attempts, and receipts of them in two orders with repetitions."""
    channel = draw(st.sampled_from(sorted(EVENTS)))
    attempts = draw(st.integers(1, 2))
    events = st.tuples(st.integers(0, attempts - 1), st.sampled_from(EVENTS[channel]))
    once = draw(st.lists(events, min_size=1, max_size=4, unique=True))
    orders = [draw(st.permutations(once + draw(st.lists(st.sampled_from(once), max_size=2)))) for _ in range(2)]
    return channel, attempts, orders


@pytest.mark.usefixtures("unmeasured")
@settings(max_examples=30)
@given(scenario=_scenarios())
def test_any_order_and_any_repetition_of_receipts_ends_in_the_same_state(
    callbacks: Callbacks, scenario: tuple[str, int, list[Sequence[tuple[int, str]]]]
) -> None:
    channel, attempts, orders = scenario
    ends = []
    for order in orders:
        key, ids = callbacks.page(channel, attempts=attempts)
        for number, event in order:
            callbacks.call_back(channel, ids[number], event)
        row = callbacks.row(key)
        callbacks.forget(key)
        ends.append((row.state, [(each.result, each.evidence, each.is_doubted) for each in row.attempts]))
    assert ends[0] == ends[1]
