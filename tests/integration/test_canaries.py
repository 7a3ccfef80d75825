"""Nothing secret or personal stands in a log line, a broker's message, an exception's text or the log of moves.

Marked values go through everything: a real broker, every channel against its stand-in, each in several ways to fail, receipts,
what people answer, callbacks that are forged, links that are not ours, an API that is asked wrongly, settings that are wrong.
"""

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from slack_sdk.signature import SignatureVerifier
from twilio.request_validator import RequestValidator

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Severity
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import DETAILS, NotificationState
from notifyflow.core.delivery.policy import Policy, Retries, RetrySchedule, Tier
from notifyflow.errors import NotifyflowError
from notifyflow.sandbox.system import Sandbox
from notifyflow.sandbox.twilio import SMS_FROM
from notifyflow.storage.dialects import dialect_for, execute
from notifyflow.storage.dialects.deadline import Deadline
from tests.asgi import Client
from tests.servers.redis import Redis, redis_server
from tests.waiting import wait_until

DEADLINE_S = 60
MARK = "canary"
NUMBER = "+15005550123"
QUICK = RetrySchedule(delays=(timedelta(milliseconds=10),), jitter=0)
ALL_AT_ONCE = Policy(
    name="all",
    tiers=(Tier(name="primary", channels=("email", "slack", "teams", "push", "sms", "voice")),),
    retries=Retries(normal=QUICK, critical=QUICK, by_channel={"voice": QUICK}),
)
FAULTS = (
    "email: ok; slack: ok; teams: ok; push: ok; sms: ok; voice: key 1",
    "email: 550; slack: 404; teams: 404; push: EndpointDisabled; sms: 21211; voice: 21211",
    "email: 451; slack: 500; teams: 500; push: 500; sms: 500; voice: 500",
    "email: hang; slack: cut; teams: garbage; push: cut; sms: cut; voice: garbage",
    "email: refuse; slack: refuse; teams: refuse; push: refuse; sms: refuse; voice: refuse",
)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Everything that is logged: our lines of every level, and those of libraries as an operator sees them."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    handler.addFilter(lambda record: record.name not in ("mail.log", "httpx"))  # the stand-in, the test's own client
    logging.root.addHandler(handler)
    ours = logging.getLogger("notifyflow")
    before = logging.root.level, ours.level
    logging.root.setLevel(logging.INFO)
    ours.setLevel(logging.DEBUG)
    yield written
    logging.root.removeHandler(handler)
    logging.root.setLevel(before[0])
    ours.setLevel(before[1])


def an_incident(key: str) -> Incident:
    return Incident(
        key=key,
        title=f"title {MARK}",
        body=f"body {MARK}",
        severity=Severity.CRITICAL,
        **dict.fromkeys(DETAILS, f"detail-{MARK}"),
        url=f"https://example.com/{MARK}",
        labels={"team": MARK},
    )


def a_recipient(sandbox: Sandbox) -> Recipient:
    return Recipient(
        id="r1",
        name=f"Name {MARK}",
        email=f"{MARK}@example.com",
        phone=NUMBER,
        slack=sandbox.slack_url(MARK),
        teams=sandbox.teams_url(MARK),
        push=sandbox.push_arn(MARK),
    )


def secrets_of(settings: dict[str, str]) -> list[str]:
    names = ("SECRET_KEY", "TWILIO_AUTH_TOKEN", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "AWS_SECRET_ACCESS_KEY")
    return [settings[f"NOTIFYFLOW_{name}"] for name in names]


def pages(flow: NotifyFlow, key: str) -> list[NotificationFacts]:
    status = flow.status(key)
    return [row for each in status.escalations for row in each.notifications]


def is_settled(flow: NotifyFlow, key: str) -> bool:
    """Return whether nothing of an incident is about to leave; what waits for others or for a call leaves much later."""
    states = {row.state for row in pages(flow, key) if row.waits_until is None}
    return not states & {NotificationState.QUEUED, NotificationState.SENDING}


def receive(flow: NotifyFlow, token: str) -> None:
    """Let Twilio report about a text, with its signature, and marked values in every field we do not need."""
    (text,) = [row for row in pages(flow, "k0") if row.channel == "sms"]
    path = f"/callbacks/twilio/sms/{text.attempts[-1].id}"
    form = {"MessageSid": text.attempts[-1].provider_ref, "MessageStatus": "delivered", "To": NUMBER, "Body": MARK}
    signature = RequestValidator(token).compute_signature("https://notify.example" + path, form)
    response = Client(flow.asgi()).post(path, data=form, headers={"x-twilio-signature": signature})
    assert response.status_code == 200


def broker_messages(redis: Redis) -> str:
    return repr([redis.execute("HGETALL", key) for key in redis.execute("KEYS", "*.msgs")])  # type: ignore[attr-defined]


def send_requests(flow: NotifyFlow) -> None:
    """Ask in many wrong ways, with marked values in every place."""
    client = Client(flow.asgi())
    _, key = flow.access().create("pager", [KeyScope.INGEST, KeyScope.READ], valid_for=None)
    stranger, known = ({"authorization": f"Bearer {each}", "x-twilio-signature": MARK} for each in (MARK, key))
    for path in (f"/a/{MARK}", f"/{MARK}?x={MARK}", "/callbacks/twilio/sms/a1", "/callbacks/twilio/voice/a1", "/callbacks/sns"):
        for method in ("GET", "POST"):
            client.request(method, path, content=f"Body={MARK}&From={NUMBER}", headers=stranger)
    wrong = {"key": "k", "title": MARK, "recipients": [{"id": "r1", "phone": f"{NUMBER}{MARK}", MARK: MARK}]}
    for headers in (stranger, known):
        for path in ("/v1/incidents", "/v1/alertmanager", "/v2/enqueue", "/v1/cloudevents"):
            client.post(path, content=f"{{{MARK}", headers=headers)
            client.post(path, json=wrong, headers=headers)
        client.request("GET", f"/v1/incidents?key={MARK}", headers=headers)


def send_reply(flow: NotifyFlow, settings: dict[str, str]) -> None:
    """Let a text and a press of a button come in, signed, with marked values in them."""
    client = Client(flow.asgi())
    form = {"MessageSid": "SM9", "From": f"+{MARK}", "To": SMS_FROM, "Body": MARK, "ProfileName": MARK}
    token = settings["NOTIFYFLOW_TWILIO_AUTH_TOKEN"]
    for path in ("/callbacks/twilio/sms", "/callbacks/twilio/voice/a1/key"):
        signature = RequestValidator(token).compute_signature("https://notify.example" + path, form | {"CallSid": "CA9"})
        client.post(path, data=form | {"CallSid": "CA9"}, headers={"x-twilio-signature": signature})
    press = {
        "type": "block_actions",
        "user": {"id": "U1", "name": MARK},
        "actions": [{"action_id": "acknowledge", "value": MARK}],
    }
    body, at = urlencode({"payload": json.dumps(press)}), str(int(time.time()))
    signature = SignatureVerifier(settings["NOTIFYFLOW_SLACK_SIGNING_SECRET"]).generate_signature(timestamp=at, body=body)
    headers = {"x-slack-request-timestamp": at, "x-slack-signature": str(signature)}
    assert client.post("/callbacks/slack/actions", content=body, headers=headers).status_code == 200


def what_is_raised(flow: NotifyFlow) -> str:
    """Give the texts, with those of their causes, of all the exceptions that bad incidents and settings raise."""
    addresses = ("email", "phone", "slack", "teams", "push")
    bad = [
        f"{MARK}@@example.com",
        f"a@\u2764{MARK}.com",
        f"{NUMBER}{MARK}",
        f"https://u:{MARK}@hooks.slack.com/{MARK}",
        f"C{MARK}",
    ]
    people = [Recipient(id=f"r{number}", **{way: each}) for number, each in enumerate(bad) for way in addresses]
    outputs = Incident(key="k", title=f"{MARK} " * 1000, body=MARK * 20_000, url=f"gopher://{MARK}", labels={"a": MARK * 999})
    secrets = {"DATABASE_URL": f"my://u:{MARK}@h", "TWILIO_BASE_URL": f"https://u:{MARK}@h", "DELIVERY": MARK, "SECRET_KEY": MARK}
    acts: list[Callable[[], object]] = [
        lambda: flow.notify(outputs, people, strict=True),
        lambda: flow.notify(Incident(key="k", title="t"), people, strict=True),
        lambda: Settings.from_variables({f"NOTIFYFLOW_{name}": value for name, value in secrets.items()}),
    ]
    texts = []
    for act in acts:
        with pytest.raises(NotifyflowError) as caught:
            act()
        link: BaseException | None = caught.value
        while link is not None:
            texts.append(str(link))
            link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n".join(texts)


def log_of_moves(url: str) -> str:
    """Read all tables in which nothing personal may stand."""
    db = dialect_for(url).connect(Deadline(600))
    try:
        tables = ("transition", "attempt", "notification", "escalation", "notice", "critical", "provider_health", "spent")
        return "\n".join(str(row) for table in tables for row in execute(db, f"SELECT * FROM notifyflow_{table}").fetchall())
    finally:
        db.close()


def test_what_is_secret_or_personal_stands_in_no_log_and_no_message(sqlite_url: str, lines: io.StringIO) -> None:
    with redis_server() as redis, Sandbox(receipts_after_s=0.01) as sandbox:
        settings = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": sqlite_url,
            "NOTIFYFLOW_PUBLIC_URL": "https://notify.example",
            "NOTIFYFLOW_CONNECT_TIMEOUT_S": "0.3",
            "NOTIFYFLOW_READ_TIMEOUT_S": "0.3",
            "NOTIFYFLOW_LEASE_S": "2",
            "NOTIFYFLOW_DRAIN_S": "0",
            "NOTIFYFLOW_OPS_RECIPIENTS": json.dumps([{"id": "ops", "email": f"ops-{MARK}@example.com"}]),
        }
        with NotifyFlow(Settings.from_variables(settings | {"NOTIFYFLOW_BROKER_URL": redis.url})) as flow:
            flow.notify(an_incident("k0"), [a_recipient(sandbox)], policy=ALL_AT_ONCE)
            messages = broker_messages(redis)
        with NotifyFlow(Settings.from_variables(settings)) as flow:
            for number, script in enumerate(FAULTS):
                sandbox.script(script)
                flow.notify(an_incident(f"k{number}"), [a_recipient(sandbox)], policy=ALL_AT_ONCE)
                wait_until(lambda key=f"k{number}": is_settled(flow, key), within_s=DEADLINE_S)
            receive(flow, settings["NOTIFYFLOW_TWILIO_AUTH_TOKEN"])
            send_reply(flow, settings)
            send_requests(flow)
            errors = what_is_raised(flow)
            flow.acknowledge("k0", by="r1")
            flow.resolve("k0", by="r1")
    outputs = {"lines": lines.getvalue(), "messages": messages, "moves": log_of_moves(sqlite_url), "errors": errors}
    marks = (MARK, NUMBER[1:], "/a/", *secrets_of(settings))
    leaks = [
        (where, line) for where, text in outputs.items() for line in text.splitlines() if any(mark in line for mark in marks)
    ]
    assert leaks == []
    assert len(sandbox.inbox.messages()) >= len(FAULTS)
    signs = {"lines": "app.reply_handled", "messages": "actor_name", "moves": "claimed", "errors": "recipients[0].email"}
    for where, sign in signs.items():
        assert sign in outputs[where]
