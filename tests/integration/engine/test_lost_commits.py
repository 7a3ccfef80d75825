"""A commit whose response is lost, through a real relay before PostgreSQL: consequences are logged, and due pages rung for."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from notifyflow.core.intake.validation import Admitted
from notifyflow.core.messages import OutboundMessage
from notifyflow.core.model import Contact, NotificationState, Notified, Receipt, Result, Severity, Via
from notifyflow.core.policy import DEFAULT
from notifyflow.core.references import ByKey
from notifyflow.errors import CommitUnknown, PermanentProviderError
from notifyflow.pipeline.acknowledge import acknowledge
from notifyflow.pipeline.notify import Submitted, notify, store_all
from notifyflow.pipeline.receive import receive
from notifyflow.pipeline.sweep import sweep
from notifyflow.storage.store import Store
from tests.builders import a_recipient, an_incident
from tests.integration.engine.test_deliver import Scene
from tests.integration.storage.samples import begin, count
from tests.log_lines import capture_logs
from tests.patience import PatientStore
from tests.servers.postgres import Postgres
from tests.servers.relay import Deaf


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
        Submitted(admitted=Admitted(incident=an_incident(key=key), contacts=(ada,), faults=()), policy=DEFAULT)
        for key in ("db-1", "db-2")
    ]
    if is_done:
        relay.swallows = 1
        settled = store_all(scene.deps, some)
        assert [type(each) for each in settled.results] == [Notified, Notified]
        assert len(settled.consequences.due) == 2
    else:
        relay.loses = 1
        with pytest.raises(CommitUnknown):
            store_all(scene.deps, some)
    assert len(scene.store.read(lambda reads: reads.incidents(10))) == (2 if is_done else 0)


def test_a_claim_that_was_done_after_all_is_sent_and_leaves_no_doubt(scene: Scene, relay: Deaf) -> None:
    (email,) = scene.notify("ada")
    relay.swallows = 1
    scene.deliverer.deliver("email", [email])
    assert relay.swallowed == 1
    assert scene.states() == [NotificationState.SENT]
    assert len(scene.provider.messages) == 1
    assert not scene.attempt().is_doubted


def test_a_commit_that_was_not_done_does_not_count_as_done(scene: Scene, relay: Deaf) -> None:
    relay.loses = 1
    with pytest.raises(CommitUnknown):
        scene.notify("ada")
    assert scene.store.read(lambda reads: reads.incidents(10)) == ()
    assert len(scene.notify("ada")) == 1


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
    (email,) = [due.notification_id for due in accepted.consequences.due if due.channel == "email"]
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
