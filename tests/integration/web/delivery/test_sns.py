"""Messages over SNS against a real flow: verified with a test authority and committed; forged ones cause no request."""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifyflow.app import NotifyFlow
from notifyflow.channels.aws.events import MAIL_EVENTS
from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import Evidence, Incident, NotificationState, Recipient, Result
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from tests import mails
from tests.asgi import Client
from tests.servers.sns import CERTIFICATE_PATH, HOST, TOPIC, Sns, body_of, signed, sns

ELSEWHERE = {
    "another host": "https://sns.eu-central-1.amazonaws.com.example.com" + CERTIFICATE_PATH,
    "a bucket": "https://sns-certificates.s3.amazonaws.com" + CERTIFICATE_PATH,
    "another region": "https://sns.us-east-1.amazonaws.com" + CERTIFICATE_PATH,
    "another port": f"https://{HOST}:8443{CERTIFICATE_PATH}",
    "no TLS": f"http://{HOST}{CERTIFICATE_PATH}",
    "a user": f"https://{HOST}@example.com{CERTIFICATE_PATH}",
    "another path": f"https://{HOST}/ConfirmSubscription.pem",
    "a path that climbs": f"https://{HOST}/x/..{CERTIFICATE_PATH}",
    "a query": f"https://{HOST}{CERTIFICATE_PATH}?x",
    "a host inside": "https://169.254.169.254" + CERTIFICATE_PATH,
    "nothing": "",
}


class LaterClock:
    """The system's time, plus what a test adds."""

    def __init__(self) -> None:
        self.later = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.later


class System:
    """A flow with a sent mail, and a client of its endpoint for SNS."""

    def __init__(self, flow: NotifyFlow, amazon: Sns, database: Path, clock: "LaterClock") -> None:
        self.client = Client(flow.asgi())
        self.amazon = amazon
        self.clock = clock
        self.database = database
        self._flow = flow

    @property
    def status(self) -> IncidentStatus:
        return self._flow.status("db-1")

    @property
    def page(self) -> NotificationFacts:
        return self.status.escalations[0].notifications[0]

    @property
    def attempt(self) -> AttemptFacts:
        return self.page.attempts[0]

    def post(self, fields: Mapping[str, object]) -> int:
        return self.client.post("/callbacks/sns", content=body_of(fields)).status_code

    def report(self, code: str) -> int:
        return self.post(self.amazon.message(mails.event(code, self.attempt.id, message_id=self.attempt.provider_ref)))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Sns]]:
    with Sandbox(mail_over="ses") as sandbox, sns(tmp_path_factory.mktemp("sns")) as amazon:
        yield sandbox, amazon


@contextmanager
def mailed(running: tuple[Sandbox, Sns], folder: Path) -> Iterator[System]:
    """Bring a mail to SENT."""
    sandbox, amazon = running
    variables = {
        **sandbox.settings(),
        **amazon.settings,
        "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{folder / 'test.db'}",
        "NOTIFYFLOW_SES_CONFIGURATION_SET": "notifyflow",
        "NOTIFYFLOW_DRAIN_S": "0",
    }
    clock = LaterClock()
    with NotifyFlow(Settings.from_variables(variables), clock=clock) as flow:
        flow.notify(Incident(key="db-1", title="down"), [Recipient(id="ada", email="ada@example.com")])
        system = System(flow, amazon, folder / "test.db", clock)
        ends_at = time.monotonic() + 30
        while system.page.state is not NotificationState.SENT:
            assert time.monotonic() < ends_at, "the mail did not go out within 30 s"
            time.sleep(0.02)
        yield system


@pytest.fixture
def system(running: tuple[Sandbox, Sns], tmp_path: Path) -> Iterator[System]:
    amazon = running[1]
    usual = dict(amazon.responses)
    with mailed(running, tmp_path) as system:
        amazon.requests.clear()
        yield system
    amazon.responses = usual


@pytest.fixture(scope="module")
def shared(running: tuple[Sandbox, Sns], tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with mailed(running, tmp_path_factory.mktemp("shared")) as system:
        yield system


@pytest.fixture
def guarded(shared: System) -> Iterator[System]:
    """A system in which nothing may change."""
    shared.amazon.requests.clear()
    yield shared
    assert shared.page.state is NotificationState.SENT
    assert _rows(shared, "SELECT result FROM notifyflow_receipt WHERE result <> 'accepted'") == []


def test_a_signed_delivery_moves_its_page_once_and_its_certificate_is_fetched_once(system: System) -> None:
    assert system.attempt.receipt_due_at is not None
    assert [system.report(code) for code in ("Delivery", "Delivery", "Send")] == [200, 200, 200]
    assert system.page.state is NotificationState.DELIVERED
    assert (system.attempt.result, system.attempt.evidence) == (Result.DELIVERED, Evidence.CARRIER)
    assert system.amazon.requests == [(f"{HOST}:443", CERTIFICATE_PATH)]


def test_the_older_format_is_matched_by_the_id_that_ses_assigned(system: System) -> None:
    assert system.post(system.amazon.message(mails.notification("Delivery", message_id=system.attempt.provider_ref))) == 200
    assert system.page.state is NotificationState.DELIVERED


def test_after_a_delivery_a_transient_bounce_changes_nothing_and_a_permanent_one_fails(system: System) -> None:
    for code in ("Delivery", "Bounce Transient"):
        system.report(code)
    assert system.page.state is NotificationState.DELIVERED
    system.report("Bounce Permanent")
    assert system.page.state is NotificationState.FAILED
    system.report("Delivery")
    assert system.page.state is NotificationState.FAILED


def test_complaints_automatic_replies_and_opens_are_noted(system: System) -> None:
    codes = ["Complaint", "Bounce Automatic", "Open", "Click"]
    assert [system.report(code) for code in codes] == [200] * 4
    assert (system.page.state, system.attempt.result) == (NotificationState.SENT, Result.ACCEPTED)
    assert [(note.attempt_id, note.code, note.reason) for note in system.status.notes] == [
        (system.attempt.id, code, MAIL_EVENTS[code].meaning) for code in codes
    ]


@pytest.mark.parametrize("url", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("kind", ["message", "confirmation"])
def test_a_certificate_from_another_host_is_never_fetched(guarded: System, url: str, kind: str) -> None:
    fields = signed({**guarded.amazon.confirmation(), "SigningCertURL": url})
    if kind == "message":
        fields = guarded.amazon.message(mails.event("Delivery", guarded.attempt.id), SigningCertURL=url)
    assert guarded.post(fields) == 403
    assert guarded.amazon.requests == []


@pytest.mark.parametrize("name", ["SigningCertURL", "Signature", "SignatureVersion", "TopicArn", "Type", "Message", "MessageId"])
def test_a_message_without_a_field_or_with_a_wrong_one_is_refused_without_a_request(guarded: System, name: str) -> None:
    fields = guarded.amazon.message(mails.event("Delivery", guarded.attempt.id))
    assert guarded.post({each: value for each, value in fields.items() if each != name}) == 403
    assert guarded.post({**fields, name: [fields[name]]}) == 403
    assert guarded.post({**fields, name: None}) == 403
    assert {path for _, path in guarded.amazon.requests} <= {CERTIFICATE_PATH}


@pytest.mark.parametrize("version", ["1", "3", ""])
def test_another_signature_version_is_refused_without_a_request(guarded: System, version: str) -> None:
    fields = guarded.amazon.message(mails.event("Delivery", guarded.attempt.id), SignatureVersion=version)
    assert guarded.post(fields) == 403
    assert guarded.amazon.requests == []


@pytest.mark.parametrize("name", ["Message", "MessageId", "Timestamp", "Type", "Signature", "Subject"])
def test_a_message_changed_after_signing_is_refused(guarded: System, name: str) -> None:
    fields = guarded.amazon.message(mails.event("Send", guarded.attempt.id), Subject="a mail")
    changed = {"Message": mails.event("Delivery", guarded.attempt.id), "Type": "UnsubscribeConfirmation", "Signature": "AAAA"}
    assert guarded.post({**fields, "Token": "t", "SubscribeURL": "u", name: changed.get(name, "another")}) == 403
    assert guarded.post(fields) == 200


def test_a_topic_that_is_not_allowed_is_refused_without_a_request(guarded: System) -> None:
    other = TOPIC + "-of-somebody-else"
    assert guarded.post(guarded.amazon.message(mails.event("Delivery", guarded.attempt.id), TopicArn=other)) == 403
    assert guarded.post(guarded.amazon.confirmation(TopicArn=other)) == 403
    assert guarded.amazon.requests == []


def test_a_subscription_is_confirmed_at_its_regions_host_and_not_at_its_url(system: System) -> None:
    assert system.post(system.amazon.confirmation(SubscribeURL="http://169.254.169.254/latest/meta-data")) == 200
    certificate, confirmation = system.amazon.requests
    assert certificate == (f"{HOST}:443", CERTIFICATE_PATH)
    assert confirmation[0] == f"{HOST}:443"
    assert confirmation[1].startswith("/?Action=ConfirmSubscription&TopicArn=arn%3Aaws%3Asns%3A")
    assert confirmation[1].endswith("&Token=t0ken")


def test_a_confirmation_that_is_replayed_is_asked_for_once(system: System) -> None:
    confirmation = system.amazon.confirmation()
    assert {system.post(confirmation) for _ in range(20)} == {200}
    assert system.post(system.amazon.confirmation(Token="another")) == 200
    assert [path.rpartition("=")[2] for _, path in system.amazon.requests[1:]] == ["t0ken", "another"]


def test_a_confirmation_that_sns_refuses_is_asked_for_once_and_one_that_fails_again_later(system: System) -> None:
    system.amazon.responses["/"] = (400, b"")
    old = system.amazon.confirmation(Token="old")
    assert [system.post(old) for _ in range(5)] == [403] + [200] * 4
    system.amazon.responses["/"] = (503, b"")
    confirmation = system.amazon.confirmation()
    assert {system.post(confirmation) for _ in range(5)} == {503}
    assert [path.rpartition("=")[2] for _, path in system.amazon.requests[1:]] == ["old", "t0ken"]
    system.amazon.responses["/"] = (200, b"")
    system.clock.later += timedelta(seconds=20)
    assert system.post(confirmation) == 200
    assert system.post(confirmation) == 200
    assert len(system.amazon.requests) == 4


def test_an_unsubscription_is_only_logged(system: System) -> None:
    assert system.post(system.amazon.confirmation(Type="UnsubscribeConfirmation")) == 200
    assert [path for _, path in system.amazon.requests] == [CERTIFICATE_PATH]


def test_a_redirected_invalid_or_missing_certificate_is_refused(system: System) -> None:
    fields = system.amazon.message(mails.event("Delivery", system.attempt.id))
    for response in ((302, b""), (200, b"-----BEGIN CERTIFICATE-----"), (404, b"")):
        system.amazon.responses[CERTIFICATE_PATH] = response
        assert system.post(fields) == 403
        system.clock.later += timedelta(minutes=1)
    assert {path for _, path in system.amazon.requests} == {CERTIFICATE_PATH}


def test_an_unavailable_certificate_is_503_and_the_message_can_be_repeated(system: System) -> None:
    usual = system.amazon.responses[CERTIFICATE_PATH]
    system.amazon.responses[CERTIFICATE_PATH] = (503, b"")
    assert system.report("Delivery") == 503
    system.amazon.responses[CERTIFICATE_PATH] = usual
    system.clock.later += timedelta(minutes=1)
    assert system.report("Delivery") == 200
    assert system.page.state is NotificationState.DELIVERED


def test_a_flood_of_forged_messages_fetches_one_certificate_a_minute(system: System) -> None:
    def forged(number: int) -> int:
        url = f"https://{HOST}/SimpleNotificationService-{number:032x}.pem"
        return system.post(system.amazon.message("a word", SigningCertURL=url))

    assert [forged(number) for number in range(30)] == [403] + [503] * 29
    assert len(system.amazon.requests) == 1
    system.clock.later += timedelta(minutes=1)
    assert system.report("Delivery") == 200  # a genuine message is accepted a minute later, and from then on despite forged ones
    assert [forged(number) for number in range(30)] == [503] * 30
    assert system.report("Delivery") == 200
    assert [path for _, path in system.amazon.requests][1:] == [CERTIFICATE_PATH]


def test_amazon_can_change_its_certificate(system: System) -> None:
    certificate = system.amazon.responses[CERTIFICATE_PATH]
    for number in range(20):
        path = f"/SimpleNotificationService-{number:032x}.pem"
        system.amazon.responses[path] = certificate
        assert system.post(system.amazon.message("a word", SigningCertURL=f"https://{HOST}{path}")) == 200
        system.clock.later += timedelta(minutes=1)
    assert len(system.amazon.requests) == 20


def test_a_message_that_cannot_be_committed_gets_503_and_can_be_repeated(system: System) -> None:
    blocker = sqlite3.connect(system.database, isolation_level=None)
    try:
        blocker.execute("BEGIN IMMEDIATE")
        assert system.report("Delivery") == 503
        blocker.execute("ROLLBACK")
    finally:
        blocker.close()
    assert system.page.state is NotificationState.SENT
    assert system.report("Delivery") == 200
    assert system.page.state is NotificationState.DELIVERED


def test_a_message_that_is_too_large_is_refused(guarded: System) -> None:
    assert guarded.client.post("/callbacks/sns", content=b"x" * (512 * 1024 + 1)).status_code == 413


BODIES = st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Type", "TopicArn", "Message", "MessageId", "Timestamp", "Token", "SubscribeURL", "Signature"]),
            inner | st.sampled_from(["Notification", TOPIC, "SubscriptionConfirmation", "2"]),
            max_size=8,
        )
    ),
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=BODIES)
def test_any_other_body_is_refused_without_a_request(guarded: System, body: bytes) -> None:
    assert guarded.client.post("/callbacks/sns", content=body).status_code == 403
    assert guarded.amazon.requests == []


def test_without_an_allowed_topic_nothing_is_accepted(tmp_path: Path) -> None:
    with NotifyFlow(Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}"})) as flow:
        assert Client(flow.asgi()).post("/callbacks/sns", content=b"{}").status_code == 404


def _rows(system: System, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(system.database)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()
