"""Receipts out of a queue: SES, SNS and SQS are moto's; a message is deleted after its commit, and not before."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.channels.aws.sqs import FeedbackQueue
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Evidence, Incident, NotificationState, Recipient
from notifyflow.engine.feedback_poller import Poller
from notifyflow.engine.reporter import Reporter
from notifyflow.errors import StorageUnavailable
from notifyflow.settings import Settings
from notifyflow.storage.store import Store
from notifyflow.testing.scripted_http import HttpServer, http_server
from tests import mails
from tests.builders import CountingIds
from tests.driver import Driver
from tests.integration.engine.scripted import Faulty
from tests.integration.engine.test_deliver import NotedBell
from tests.log_lines import capture_logs
from tests.servers.moto import Moto, moto
from tests.waiting import wait_until

FROM = "pager@example.com"


@pytest.fixture(scope="module")
def amazon() -> Iterator[Moto]:
    with moto() as running:
        running.client("ses").verify_email_identity(EmailAddress=FROM)
        running.client("sesv2").create_configuration_set(ConfigurationSetName="notifyflow")
        yield running


class Scene:
    """A flow that mails over SES and polls a queue."""

    def __init__(self, amazon: Moto, flow: NotifyFlow, topic: str, queue: str, database: Path) -> None:
        self.amazon = amazon
        self.flow = flow
        self.topic = topic
        self.database = database
        self._queue = queue

    @property
    def page(self) -> NotificationFacts:
        status = self.flow.status("db-1")
        return status.escalations[0].notifications[0]

    def mail(self) -> None:
        self.flow.notify(Incident(key="db-1", title="down"), [Recipient(id="ada", email="ada@example.com")])
        wait_until(lambda: self.page.state is NotificationState.SENT)

    def publish(self, code: str) -> None:
        self.say(mails.event(code, self.page.attempts[0].id, message_id=self.page.attempts[0].provider_ref))

    def say(self, text: str) -> None:
        self.amazon.client("sns").publish(TopicArn=self.topic, Message=text)

    def counts(self) -> tuple[int, int]:
        """How many messages wait in the queue, and how many are taken."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.amazon.client("sqs").get_queue_attributes(QueueUrl=self._queue, AttributeNames=names)["Attributes"]
        return int(counts[names[0]]), int(counts[names[1]])

    def is_queue_empty(self) -> bool:
        return self.counts() == (0, 0)


@pytest.fixture
def scene(amazon: Moto, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Scene]:
    topic, queue = amazon.make_topic_with_queue(f"receipts-{tmp_path.name}"[:80], is_raw=getattr(request, "param", "") == "raw")
    variables = {
        **amazon.settings,
        "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
        "NOTIFYFLOW_SNS_IS_CONFIGURED": "true",
        "NOTIFYFLOW_SES_FROM": FROM,
        "NOTIFYFLOW_SES_CONFIGURATION_SET": "notifyflow",
        "NOTIFYFLOW_SQS_QUEUE_URL": queue,
        "NOTIFYFLOW_READ_TIMEOUT_S": "3",
        "NOTIFYFLOW_DRAIN_S": "0",
    }
    with NotifyFlow(Settings.from_variables(variables)) as flow:
        yield Scene(amazon, flow, topic, queue, tmp_path / "test.db")


@pytest.mark.parametrize("scene", ["enveloped", "raw"], indirect=True)
def test_a_delivery_moves_its_page_and_leaves_the_queue(scene: Scene) -> None:
    scene.mail()
    scene.publish("Send")
    scene.publish("Delivery")
    wait_until(lambda: scene.page.state is NotificationState.DELIVERED)
    assert scene.page.attempts[0].evidence is Evidence.CARRIER
    wait_until(scene.is_queue_empty)


def test_what_nobody_understands_leaves_the_queue_and_holds_up_nothing(scene: Scene) -> None:
    scene.mail()
    scene.say("Successfully validated SNS topic for Amazon SES event publishing.")
    scene.say(json.dumps({"eventType": "Bounce", "mail": []}))
    scene.publish("Delivery")
    wait_until(lambda: scene.page.state is NotificationState.DELIVERED)
    wait_until(scene.is_queue_empty)


def test_a_message_stays_in_the_queue_until_the_database_has_it(scene: Scene) -> None:
    scene.mail()
    blocker = sqlite3.connect(scene.database, isolation_level=None)
    try:
        blocker.execute("BEGIN IMMEDIATE")
        scene.publish("Delivery")
        wait_until(lambda: scene.counts() == (0, 1))  # taken, and not yet deleted
        blocker.execute("ROLLBACK")
    finally:
        blocker.close()
    wait_until(lambda: scene.page.state is NotificationState.DELIVERED)
    wait_until(scene.is_queue_empty)


def test_a_push_that_failed_fails_its_page(scene: Scene) -> None:
    sns = scene.amazon.client("sns")
    app = sns.create_platform_application(Name="pager", Platform="GCM", Attributes={})["PlatformApplicationArn"]
    device = sns.create_platform_endpoint(PlatformApplicationArn=app, Token=scene.topic)["EndpointArn"]
    scene.flow.notify(Incident(key="db-1", title="down"), [Recipient(id="ada", push=device)])
    wait_until(lambda: scene.page.state is NotificationState.SENT)
    failure = {"EventType": "DeliveryFailure", "FailureType": "InvalidPlatformToken", "EndpointArn": device}
    scene.say(json.dumps(failure | {"MessageId": scene.page.attempts[0].provider_ref}))
    wait_until(lambda: scene.page.state is NotificationState.FAILED)
    assert scene.page.reason == "the app is gone, or its token has changed"


@pytest.fixture
def scripted() -> Iterator[HttpServer]:
    with http_server() as server:
        server.respond(200, json.dumps({"Messages": [{"Body": mails.event("Send", "a" * 32), "ReceiptHandle": "h"}]}).encode())
        yield server


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("fault", "event"),
    [(StorageUnavailable(waited_s=5.0), "engine.storage_unavailable"), (RuntimeError("a bug"), "engine.message_broke")],
)
def test_what_was_not_committed_is_not_deleted_and_is_received_again(
    scripted: HttpServer, store: Store, fault: Exception, event: str
) -> None:
    with capture_logs() as lines, _polling(scripted, store, fault):
        wait_until(lambda: "DeleteMessage" in _operations(scripted))
    assert _operations(scripted)[:3] == ["ReceiveMessage", "ReceiveMessage", "DeleteMessage"]
    assert [line["event"] for line in lines][:2] == [event, "engine.receipt_received"]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_message_that_breaks_us_holds_up_none_that_came_with_it(scripted: HttpServer, store: Store) -> None:
    both = [{"Body": mails.event("Send", each * 32), "ReceiptHandle": each} for each in ("a", "b")]
    scripted.respond(200, json.dumps({"Messages": both}).encode())
    with capture_logs() as lines, _polling(scripted, store, RuntimeError("a bug")):
        wait_until(lambda: "DeleteMessage" in _operations(scripted))
    assert _operations(scripted)[:2] == ["ReceiveMessage", "DeleteMessage"]
    assert [line.get("attempt_id") for line in lines][:2] == [None, "b" * 32]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_queue_that_is_away_is_polled_again(scripted: HttpServer, store: Store) -> None:
    message = scripted.body
    scripted.respond(503)
    with capture_logs() as lines, _polling(scripted, store):
        wait_until(lambda: bool(lines))
        scripted.respond(200, message)
        wait_until(lambda: "DeleteMessage" in _operations(scripted))
    assert (lines[0]["event"], lines[0]["error"]) == ("engine.queue_not_polled", "TemporaryProviderError")


@pytest.mark.parametrize(
    ("fraction", "pauses_s"),
    [(0.0, [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]), (0.5, [0.75, 1.5, 3.0, 6.0, 12.0, 22.5, 22.5])],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_pauses_grow_with_the_failures_and_chance_takes_off_a_part(
    scripted: HttpServer, store: Store, fraction: float, pauses_s: list[float]
) -> None:
    paused: list[float] = []
    scripted.respond(503)
    with capture_logs(), _polling(scripted, store, pause=paused.append, fraction=fraction):
        wait_until(lambda: len(paused) >= len(pauses_s))
    assert paused[: len(pauses_s)] == pauses_s


class _Fraction(CountingIds):
    """Ids, and the same chance each time."""

    def __init__(self, fraction: float) -> None:
        super().__init__()
        self._fraction = fraction

    def fraction(self) -> float:
        return self._fraction


@contextmanager
def _polling(
    server: HttpServer,
    store: Store,
    *faults: Exception,
    pause: Callable[[float], object] | None = None,
    fraction: float = 0.5,
) -> Iterator[None]:
    variables = {
        "NOTIFYFLOW_AWS_REGION": "eu-central-1",
        "NOTIFYFLOW_AWS_ACCESS_KEY_ID": "testing",
        "NOTIFYFLOW_AWS_SECRET_ACCESS_KEY": "testing",
        "NOTIFYFLOW_AWS_ENDPOINT_URL": server.url,
        "NOTIFYFLOW_SQS_QUEUE_URL": f"{server.url}/queue",
        "NOTIFYFLOW_TRUSTED_ENDPOINTS": server.endpoint,
    }
    queue = FeedbackQueue.from_settings(Settings.from_variables(variables))
    assert queue is not None
    deps = replace(Driver(store).deps, transactions=Faulty(store, faults), ids=_Fraction(fraction))
    poller = Poller(queue, deps, Reporter(NotedBell(), Driver(store).deps), pause=pause)
    poller.start()
    try:
        yield
    finally:
        poller.stop()


def _operations(server: HttpServer) -> list[str]:
    return [request.headers["X-Amz-Target"].partition(".")[2] for request in list(server.requests)]
