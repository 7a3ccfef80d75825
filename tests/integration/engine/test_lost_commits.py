"""A commit whose response is lost, through a real relay before PostgreSQL: follow-ups are logged, and due pages rung for."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import Contact, NotificationState, Notified, Receipt, Result, Severity, Via
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.core.references import ByKey
from notifyflow.errors import CommitUnknown, PermanentProviderError, StorageUnavailable
from notifyflow.pipeline.delivery.acknowledge import acknowledge
from notifyflow.pipeline.delivery.notify import Submitted, store_all
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.pipeline.transaction.ports import FollowUps
from notifyflow.service.delivery.submissions import Submissions
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.storage.dialects.deadline import Deadline
from notifyflow.storage.store import Store
from tests.builders import a_recipient, an_incident
from tests.driver import Driver
from tests.integration.engine.test_deliver import Scene
from tests.integration.storage.samples import begin, count
from tests.log_lines import capture_logs
from tests.notifying import notify
from tests.patience import PatientStore
from tests.servers.postgres import Postgres
from tests.servers.relay import Dawdling, Deaf


@pytest.fixture
def relay(postgres_server: Postgres) -> Iterator[Deaf]:
    with Deaf(postgres_server.port) as running:
        yield running


@pytest.fixture
def store(relay: Deaf, postgres_url: str) -> Iterator[Store]:
    database = postgres_url.rpartition("/")[2]
    opened = PatientStore(f"postgresql://postgres@127.0.0.1:{relay.port}/{database}")
    yield opened
    opened.close()


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store)


def _swallow_when_sent(scene: Scene, relay: Deaf, outcome: Exception, *, loses: int = 0) -> None:
    """Let the provider respond, then lose some requests for a commit, and then the response to one."""

    def send(_message: object) -> None:
        relay.loses, relay.swallows = loses, 1
        raise outcome

    scene.provider.script.append(send)


def test_a_lost_response_to_a_commit_is_reported_with_the_use_cases_value(store: Store, relay: Deaf) -> None:
    begin(store)
    relay.swallows = 1
    with pytest.raises(CommitUnknown, match="may have been done") as caught:
        store.run(lambda ledger: [count(ledger), "returned"][1])
    assert caught.value.result == "returned"
    assert store.read(lambda reads: reads.incidents(1)[0].times_seen) == 2


def test_a_commit_that_was_done_after_all_counts_as_done(scene: Scene, relay: Deaf) -> None:
    """Its line in the log says so, which no other transaction can have written."""
    relay.swallows = 1
    ids = scene.notify("ada", "bob")
    assert (len(ids), relay.swallowed) == (2, 1)
    assert len(scene.rows()) == 2
    relay.swallows = 1
    assert acknowledge(scene.deps, ByKey("db-1"), by="ada", via=Via.LIBRARY).value
    assert relay.swallowed == 2


@pytest.mark.parametrize("is_done", [True, False])
def test_a_set_of_submissions_is_looked_up_as_a_whole(scene: Scene, relay: Deaf, *, is_done: bool) -> None:
    ada = Contact(recipient_id="ada", name="Ada", addresses={"email": "ada@example.com"})
    some = [
        Submitted(checked=CheckedIncident(incident=an_incident(key=key), contacts=(ada,), faults=()), policy=DEFAULT)
        for key in ("db-1", "db-2")
    ]
    relay.swallows, relay.loses = (1, 0) if is_done else (0, 1)
    settled = store_all(scene.deps, some)
    assert (relay.swallows, relay.loses) == (0, 0)
    assert [type(each) for each in settled.results] == [Notified, Notified]
    assert len(settled.follow_ups.due) == 2
    assert [each.times_seen for each in scene.store.read(lambda reads: reads.incidents(10))] == [1, 1]


def test_a_claim_that_was_done_after_all_is_sent_and_leaves_no_doubt(scene: Scene, relay: Deaf) -> None:
    (email,) = scene.notify("ada")
    relay.swallows = 1
    scene.deliverer.deliver("email", [email])
    assert relay.swallowed == 1
    assert scene.states() == [NotificationState.SENT]
    assert len(scene.provider.messages) == 1
    assert not scene.attempt().is_doubted


def test_a_commit_that_was_not_done_is_made_again(scene: Scene, relay: Deaf) -> None:
    relay.loses = 2
    assert len(scene.notify("ada")) == 1
    assert relay.loses == 0
    assert [each.times_seen for each in scene.store.read(lambda reads: reads.incidents(10))] == [1]


def test_a_commit_that_is_lost_again_and_again_is_given_up(scene: Scene, relay: Deaf) -> None:
    relay.loses = 1_000
    with pytest.raises(StorageUnavailable, match="nothing was stored") as caught:
        scene.notify("ada")
    assert not isinstance(caught.value, CommitUnknown)
    relay.loses = 0
    assert scene.store.read(lambda reads: reads.incidents(10)) == ()


def test_a_repetition_whose_commit_is_unknown_is_counted_and_pages_nobody(scene: Scene, store: Store, relay: Deaf) -> None:
    scene.notify("ada")
    submissions = Submissions(UseCases(scene.deps, print), within=store.within)
    ada = Contact(recipient_id="ada", name="Ada", addresses={"email": "ada@email"})
    submitted = Submitted(checked=CheckedIncident(incident=an_incident(), contacts=(ada,), faults=()), policy=DEFAULT)
    relay.swallows = 1
    assert not submissions.store(submitted, Deadline(5)).is_new
    assert relay.swallowed == 1
    assert len(scene.rows()) == 1


THREADS = 40


@pytest.mark.parametrize("is_done", [True, False])
def test_each_of_many_callers_gets_its_result_whether_the_request_or_the_response_was_lost(
    store: Store, relay: Deaf, *, is_done: bool
) -> None:
    driver = Driver(store)
    reported: list[FollowUps] = []
    submissions = Submissions(UseCases(driver.deps, reported.append), within=store.within)
    ada = Contact(recipient_id="ada", name="Ada", addresses={"email": "ada@email"})
    relay.swallows, relay.loses = (3, 0) if is_done else (0, 3)

    def submit(number: int) -> Notified:
        checked = CheckedIncident(incident=an_incident(key=f"db-{number}"), contacts=(ada,), faults=())
        return submissions.store(Submitted(checked=checked, policy=DEFAULT), Deadline(60))

    with ThreadPoolExecutor(THREADS) as pool:
        notified = list(pool.map(submit, range(THREADS)))
    assert all(each.is_new for each in notified)
    incidents = store.read(lambda reads: reads.incidents(2 * THREADS))
    assert [each.times_seen for each in incidents] == [1] * THREADS
    rung = [due.notification_id for each in reported for due in each.due]
    assert len(rung) == len(set(rung)) == THREADS


def test_a_commit_that_the_server_does_late_is_waited_for(postgres_server: Postgres, postgres_url: str) -> None:
    """What the log denies while the session still exists may be in it a moment later."""
    with Dawdling(postgres_server.port) as relay:
        store = Store(f"postgresql://postgres@127.0.0.1:{relay.port}/{postgres_url.rpartition('/')[2]}")
        driver = Driver(store)
        relay.dawdles = 1
        notified = driver.notify(an_incident(), a_recipient("ada", "email"))
        assert relay.dawdles == 0
        assert notified.is_new
        assert driver.status().facts.times_seen == 1
        assert len(driver.outcome.due) == 1
        store.close()


def test_the_consequences_of_a_sweep_are_logged_even_if_its_commit_is_unknown(scene: Scene, relay: Deaf) -> None:
    scene.notify("ada", severity=Severity.INFO)
    scene.clock.at += timedelta(days=30)
    relay.swallows = 1
    with capture_logs() as lines:
        scene.deliverer.deliver("email", [row.id for row in scene.rows()])
    assert relay.swallowed == 1
    assert scene.states() == [NotificationState.FAILED]
    assert "engine.notification_failed" in [line["event"] for line in lines]


def test_a_record_that_moved_nothing_is_found_by_its_token(scene: Scene, relay: Deaf) -> None:
    """The receipt was faster, so that recording the acceptance leaves no line in the log."""
    (email,) = scene.notify("ada")

    def send(message: OutboundMessage) -> None:
        receive(
            scene.deps, Receipt(provider="scripted", event_id="1", result=Result.DELIVERED, attempt_id=message.attempt_id), raw=""
        )
        relay.swallows = 1

    scene.provider.script.append(send)
    with capture_logs() as lines:
        scene.deliverer.deliver("email", [email])
    assert relay.swallowed == 1
    assert scene.states() == [NotificationState.DELIVERED]
    events = [line["event"] for line in lines]
    assert "engine.attempt_recorded" in events
    assert "engine.attempt_fenced" not in events


@pytest.mark.parametrize("loses", [0, 2])
def test_a_failure_is_logged_and_its_tier_rung_for(scene: Scene, relay: Deaf, loses: int) -> None:
    ada = a_recipient("ada", "email", "slack")
    accepted = notify(scene.deps, an_incident(severity=Severity.CRITICAL), [ada], policy=DEFAULT)
    (email,) = [due.notification_id for due in accepted.follow_ups.due if due.channel == "email"]
    _swallow_when_sent(scene, relay, PermanentProviderError("no such mailbox", code="550"), loses=loses)
    with capture_logs() as lines:
        scene.deliverer.deliver("email", [email])
    assert (relay.loses, relay.swallowed) == (0, 1)
    events = [line["event"] for line in lines]
    assert events.count("engine.notification_failed") == 1
    assert "engine.attempt_recorded" in events
    assert "engine.attempt_fenced" not in events


def test_a_critical_failure_is_an_error_line(scene: Scene, relay: Deaf) -> None:
    (email,) = scene.notify("ada")
    _swallow_when_sent(scene, relay, PermanentProviderError("no such mailbox", code="550"))
    with capture_logs() as lines:
        scene.deliverer.deliver("email", [email])
    assert scene.states() == [NotificationState.FAILED]
    assert relay.swallowed == 1
    assert [line["event"] for line in lines if line["log_level"] in ("warning", "error")] == [
        "engine.notification_failed",
        "engine.critical_failure",
    ]


def test_whoever_lost_the_lease_is_fenced_off_and_its_token_is_gone(scene: Scene) -> None:
    (email,) = scene.notify("ada")

    def send(_message: object) -> None:
        scene.clock.at += timedelta(minutes=2)
        sweep(scene.deps)

    scene.provider.script.append(send)
    with capture_logs() as lines:
        scene.deliverer.deliver("email", [email])
    assert "engine.attempt_fenced" in [line["event"] for line in lines]
    assert scene.attempt().token == ""
