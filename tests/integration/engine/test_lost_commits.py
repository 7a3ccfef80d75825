"""A commit whose answer is lost, through a real relay before PostgreSQL: what it led to is said and rung for all the same."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from notifyflow.core.model import NotificationState, Severity
from notifyflow.core.policy import DEFAULT
from notifyflow.errors import CommitUnknown, PermanentProviderError
from notifyflow.pipeline.notify import notify
from notifyflow.pipeline.sweep import sweep
from notifyflow.storage.store import Store
from tests.builders import a_recipient, an_incident
from tests.integration.engine.test_deliver import Scene
from tests.integration.storage.samples import begin, count
from tests.servers.postgres import Postgres
from tests.servers.relay import Deaf


@pytest.fixture
def relay(postgres_server: Postgres) -> Iterator[Deaf]:
    with Deaf(postgres_server.port) as running:
        yield running


@pytest.fixture
def store(relay: Deaf, postgres_url: str) -> Iterator[Store]:
    database = postgres_url.rpartition("/")[2]
    opened = Store(f"postgresql://postgres@127.0.0.1:{relay.port}/{database}")
    yield opened
    opened.close()


@pytest.fixture
def scene(store: Store) -> Scene:
    return Scene(store)


def _swallow_when_sent(scene: Scene, relay: Deaf, answer: Exception, *, loses: int = 0) -> None:
    """Let the provider answer, then some requests for a commit be lost, and then the answer to one."""

    def send(_letter: object) -> None:
        relay.loses, relay.swallows = loses, 1
        raise answer

    scene.provider.script.append(send)


def test_a_lost_answer_is_said_with_what_the_use_case_returned(store: Store, relay: Deaf) -> None:
    begin(store)
    relay.swallows = 1
    with pytest.raises(CommitUnknown, match="may have been done") as caught:
        store.run(lambda ledger: [count(ledger), "returned"][1])
    assert caught.value.result == "returned"
    assert store.read(lambda reads: reads.incidents(1)[0].times_seen) == 2


@pytest.mark.parametrize("loses", [0, 2])
def test_a_failure_is_logged_and_its_tier_rung_for(scene: Scene, relay: Deaf, loses: int) -> None:
    ada = a_recipient("ada", "email", "slack")
    accepted = notify(scene.tools, an_incident(severity=Severity.CRITICAL), [ada], policy=DEFAULT)
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

    def send(_letter: object) -> None:
        scene.clock.at += timedelta(minutes=2)
        sweep(scene.tools)

    scene.provider.script.append(send)
    with capture_logs() as lines:
        scene.deliverer.deliver("email", [email])
    assert "engine.attempt_fenced" in [line["event"] for line in lines]
    assert scene.attempt().token == ""
