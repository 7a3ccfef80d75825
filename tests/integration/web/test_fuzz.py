"""Any callback, signed or not, gets 2xx, 400, 401, 403 or 413; an unsigned one causes no request."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, quote_from_bytes

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from tests.integration.web.delivery.test_ways import sign
from tests.integration.web.test_access import SECRETS, TOKENS, URL, System, opened
from tests.servers.sns import body_of
from tests.strategies import any_text, json_values

FAIR = {200, 204, 400, 401, 403, 413}
WORDS = ("delivered", "completed", "1", "ack", "ack 12", "STOP", "START", "+15005550006", "30006", "SM1", "en-route")
texts = any_text.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.sampled_from(WORDS).map(str.encode)
forms = st.fixed_dictionaries(
    {**dict.fromkeys(("MessageSid", "MessageStatus", "CallSid", "From"), texts), "To": st.just(b"+15005550006") | texts},
    optional=dict.fromkeys(("Body", "OptOutType", "ErrorCode", "CallStatus", "AnsweredBy", "Digits"), texts),
).map(lambda form: "&".join(f"{name}={quote_from_bytes(value)}" for name, value in form.items()).encode())
presses = st.fixed_dictionaries(
    {},
    optional={
        "type": st.just("block_actions"),
        "actions": st.lists(
            st.fixed_dictionaries({}, optional={"action_id": st.just("acknowledge"), "value": any_text | json_values}), max_size=2
        ),
        "user": st.fixed_dictionaries({}, optional={"id": any_text}) | json_values,
    },
)
events = st.fixed_dictionaries(
    {},
    optional={
        "eventType": st.sampled_from(("Delivery", "Bounce", "Complaint", "Send")) | json_values,
        "mail": st.fixed_dictionaries({"messageId": any_text}, optional={"tags": json_values, "headers": json_values}),
        "bounce": json_values,
        "delivery": json_values,
    },
)


@pytest.fixture(scope="module")
def system(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with opened(_sqlite_template, tmp_path_factory.mktemp("fuzz")) as system:
        yield system


def from_twilio(system: System, body: bytes, where: str) -> httpx.Response:
    path = f"/callbacks/twilio/{where}"
    try:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    except ValueError:
        form = {}
    signature = RequestValidator(TOKENS["right"]).compute_signature(URL + path, form)
    return system.client.post(path, content=body, headers={"x-twilio-signature": signature})


def from_slack(system: System, body: bytes) -> httpx.Response:
    return system.client.post("/callbacks/slack/actions", content=body, headers=sign(body, secret=SECRETS["right"]))


@settings(max_examples=40)
@given(forms | st.binary(max_size=60), st.sampled_from(("sms", "sms/a1", "voice/a1", "voice/a1/key")))
def test_any_body_that_twilio_signs_is_accepted_or_refused(system: System, body: bytes, where: str):
    assert from_twilio(system, body, where).status_code in FAIR


@settings(max_examples=40)
@given((presses | json_values).map(lambda value: b"payload=" + quote_from_bytes(json.dumps(value).encode()).encode()) | forms)
def test_any_body_that_slack_signs_is_accepted_or_refused(system: System, body: bytes):
    assert from_slack(system, body).status_code in FAIR


@settings(max_examples=40)
@given((events | json_values).map(json.dumps) | any_text.map(lambda text: text.encode("utf-8", "replace").decode()))
def test_any_message_that_sns_signs_is_accepted_or_refused(system: System, text: str):
    assert system.client.post("/callbacks/sns", content=body_of(system.amazon.message(text))).status_code in FAIR


@settings(max_examples=20)
@given(forms | st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_an_unsigned_body_changes_nothing_and_sends_no_request(system: System, body: bytes):
    before, requests = system.trace, len(system.amazon.requests)
    for path in ("/callbacks/twilio/sms", "/callbacks/twilio/sms/a1", "/callbacks/slack/actions", "/callbacks/sns"):
        assert system.client.post(path, content=body).status_code in FAIR - {200, 204}
    assert (system.trace, len(system.amazon.requests)) == (before, requests)
