"""Everything inside one process, on memory://."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.core.delivery.model import EscalationState, IncidentState, NotificationState
from notifyflow.core.delivery.policy import DEFAULT, Policy, Retries, RetrySchedule, Tier
from notifyflow.errors import InvalidIncident, InvalidPolicy, NotFound, PermanentProviderError, TemporaryProviderError
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.log_lines import capture_logs

DEADLINE_S = 30
INCIDENT = Incident(key="db-1", title="orders db is down")
ADA = Recipient(id="ada", email="ada@example.com")


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def open_flow(sqlite_url: str, provider: ScriptedProvider) -> Iterator[Callable[..., NotifyFlow]]:
    flows: list[NotifyFlow] = []

    def open_(**settings: float) -> NotifyFlow:
        everything = {"database_url": SecretStr(sqlite_url), "drain_s": DEADLINE_S, "bundling": False, **settings}
        flow = NotifyFlow(Settings(**everything), channels=channels(provider))  # type: ignore[arg-type]
        flows.append(flow)
        return flow

    yield open_
    for flow in flows:
        flow.close()


def states(flow: NotifyFlow, key: str = "db-1") -> list[NotificationState]:
    status = flow.status(key)
    return [row.state for escalation in status.escalations for row in escalation.notifications]


def test_a_notification_is_delivered_without_any_server(open_flow: Callable[..., NotifyFlow], provider: ScriptedProvider) -> None:
    flow = open_flow()
    notified = flow.notify(INCIDENT, [ADA])
    assert notified.is_new
    assert flow.wait("db-1", timeout_s=DEADLINE_S)
    assert [message.address for message in provider.messages] == ["ada@example.com"]
    assert states(flow) == [NotificationState.SENT]


def test_close_delivers_due_notifications(open_flow: Callable[..., NotifyFlow], provider: ScriptedProvider) -> None:
    with open_flow() as flow:
        flow.notify(INCIDENT, [Recipient(id=f"p{number}", email=f"p{number}@example.com") for number in range(30)])
    assert len(provider.messages) == 30


def test_close_does_not_wait_for_a_distant_retry_and_logs_it(
    open_flow: Callable[..., NotifyFlow], provider: ScriptedProvider
) -> None:
    provider.script.extend([TemporaryProviderError("busy")] * 5)
    flow = open_flow(drain_s=0.5)
    flow.notify(INCIDENT, [ADA])
    with capture_logs() as lines:
        flow.close()
    assert {"event": "app.left_for_next_start", "notifications": 1, "log_level": "warning"} in lines


def test_the_next_start_delivers_what_the_last_process_left(
    open_flow: Callable[..., NotifyFlow], provider: ScriptedProvider
) -> None:
    left = threading.Event()
    provider.script.append(lambda _message: left.wait(DEADLINE_S) and None)
    first = open_flow(drain_s=0, concurrent_sends=1)
    first.notify(INCIDENT, [ADA, Recipient(id="bob", email="bob@example.com")])
    closing = threading.Thread(target=first.close)
    closing.start()
    left.set()
    closing.join()
    second = open_flow()
    assert second.wait("db-1", timeout_s=DEADLINE_S)
    assert sorted(message.address for message in provider.messages) == ["ada@example.com", "bob@example.com"]


def test_rings_of_a_dead_process_are_repeated_at_once(
    open_flow: Callable[..., NotifyFlow], sqlite_url: str, provider: ScriptedProvider
) -> None:
    class Deaf:
        def ring(self, *_: object) -> None: ...

    with NotifyFlow(Settings(database_url=SecretStr(sqlite_url)), channels=channels(provider), bell=Deaf()) as gone:
        assert not gone.is_embedded
        gone.notify(INCIDENT, [ADA])
    assert open_flow().wait("db-1", timeout_s=20)  # a ring is repeated after 30 s only


def test_two_flows_share_a_file_and_none_sends_twice(open_flow: Callable[..., NotifyFlow], provider: ScriptedProvider) -> None:
    flows = [open_flow(), open_flow()]
    for number, flow in enumerate(flows * 10):
        flow.notify(Incident(key=f"k{number}", title="t"), [ADA])
    for number in range(20):
        assert flows[number % 2].wait(f"k{number}", timeout_s=DEADLINE_S)
    assert len(provider.messages) == 20


def test_a_retry_comes_when_it_is_due(open_flow: Callable[..., NotifyFlow], provider: ScriptedProvider) -> None:
    soon = RetrySchedule(delays=DEFAULT.retries.critical.delays[:1], jitter=0)
    policy = Policy(name="soon", tiers=(Tier(name="primary", channels=("email",)),), retries=Retries(normal=soon))
    provider.script.append(TemporaryProviderError("busy"))
    flow = open_flow()
    flow.notify(INCIDENT, [ADA], policy=policy)
    assert flow.wait("db-1", timeout_s=DEADLINE_S)
    assert len(provider.messages) == 2


def test_an_incident_is_acknowledged_once(open_flow: Callable[..., NotifyFlow]) -> None:
    flow = open_flow()
    flow.notify(INCIDENT, [ADA, Recipient(id="bob", email="bob@example.com")])
    assert flow.acknowledge("db-1", by="ada")
    assert not flow.acknowledge("db-1", by="bob")
    status = flow.status("db-1")
    assert status.facts.state is IncidentState.ACKNOWLEDGED
    assert {each.facts.state for each in status.escalations} == {EscalationState.ACKNOWLEDGED}


def test_resolve_ends_an_incident_and_page_again_starts_a_round(
    open_flow: Callable[..., NotifyFlow], provider: ScriptedProvider
) -> None:
    flow = open_flow()
    flow.notify(INCIDENT, [ADA])
    assert flow.wait("db-1", timeout_s=DEADLINE_S)
    flow.page_again("db-1", "ada", by="ops")
    assert flow.wait("db-1", timeout_s=DEADLINE_S)
    assert [message.content.title for message in provider.messages] == ["orders db is down"] * 2
    assert flow.resolve("db-1", by="ops")
    assert not flow.resolve("db-1", by="ops")


def test_a_critical_failure_is_logged_with_ids_only(open_flow: Callable[..., NotifyFlow], provider: ScriptedProvider) -> None:
    provider.script.append(PermanentProviderError("no such address", code="404"))
    flow = open_flow()
    with capture_logs() as lines:
        flow.notify(INCIDENT, [ADA])
        assert flow.wait("db-1", timeout_s=DEADLINE_S)
        flow.close()
    events = {line["event"]: line for line in lines}
    assert events["engine.notification_failed"]["log_level"] == "warning"
    assert events["engine.critical_failure"]["log_level"] == "error"
    assert "ada@example.com" not in str(lines)
    assert "orders db" not in str(lines)


def test_an_unknown_incident_has_no_status_and_is_not_waited_for(open_flow: Callable[..., NotifyFlow]) -> None:
    flow = open_flow()
    assert flow.find("nothing") is None
    for read in (flow.status, flow.wait):
        with pytest.raises(NotFound, match="'nothing'"):
            read("nothing")


def test_waiting_ends_at_its_timeout(open_flow: Callable[..., NotifyFlow], provider: ScriptedProvider) -> None:
    provider.script.append(TemporaryProviderError("busy"))
    flow = open_flow(drain_s=0)
    flow.notify(INCIDENT, [ADA])
    assert not flow.wait("db-1", timeout_s=0.2)


def test_a_policy_that_is_unknown_or_contradicts_itself_is_refused(open_flow: Callable[..., NotifyFlow]) -> None:
    flow = open_flow()
    with pytest.raises(InvalidPolicy, match="Use default, if that was meant"):
        flow.notify(INCIDENT, [ADA], policy="defualt")
    with pytest.raises(InvalidPolicy):
        flow.notify(INCIDENT, [ADA], policy=Policy(name="empty", tiers=()))
    assert flow.find("db-1") is None


def test_a_refused_incident_creates_no_database(tmp_path: Path) -> None:
    settings = Settings(database_url=SecretStr(f"sqlite:///{tmp_path}/notifyflow.db"))
    with NotifyFlow(settings, channels={}) as flow, pytest.raises(InvalidIncident, match=r"(?m)^title: (.|\n)*^policy: "):
        flow.notify(Incident(key="db-1", title=""), [ADA], policy="nope")
    assert list(tmp_path.iterdir()) == []


def test_many_threads_may_share_a_flow(open_flow: Callable[..., NotifyFlow], provider: ScriptedProvider) -> None:
    flow = open_flow()

    def notify(number: int) -> None:
        flow.notify(Incident(key=f"k{number}", title="t"), [ADA])
        assert flow.wait(f"k{number}", timeout_s=DEADLINE_S)

    threads = [threading.Thread(target=notify, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(provider.messages) == 12


def test_a_closed_flow_leaves_no_thread(open_flow: Callable[..., NotifyFlow]) -> None:
    before = set(threading.enumerate())
    flow = open_flow()
    flow.notify(INCIDENT, [ADA])
    flow.close()
    assert set(threading.enumerate()) <= before


FORK = """
import os, sys
from pydantic import SecretStr
from notifyflow import Incident, NotifyFlow, Recipient, Settings
from tests.integration.engine.scripted import ScriptedProvider, channels

provider = ScriptedProvider()
flow = NotifyFlow(Settings(database_url=SecretStr(sys.argv[1]), bundling=False), channels=channels(provider))
flow.notify(Incident(key="parent", title="t"), [Recipient(id="ada", email="ada@example.com")])
assert flow.wait("parent", timeout_s=30)
child = os.fork()
key = "parent 2" if child else "child"
flow.notify(Incident(key=key, title="t"), [Recipient(id="ada", email="ada@example.com")])
assert flow.wait(key, timeout_s=30)
flow.close()
if not child:
    os._exit(0)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def assert_runs(script: str, *arguments: str) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr


def test_a_forked_child_starts_an_engine_of_its_own(sqlite_url: str) -> None:
    assert_runs(FORK, sqlite_url)


WATCH = """
import os, sys
from pathlib import Path
from pydantic import SecretStr
from notifyflow import NotifyFlow, Settings
from notifyflow.core.oncall.pings import Ping, Signal
from tests.integration.engine.scripted import ScriptedProvider, channels

settings = Settings(database_url=SecretStr(sys.argv[1]), directory=Path(sys.argv[2]))
flow = NotifyFlow(settings, channels=channels(ScriptedProvider()))
flow.start()
is_alone, closed = os.pipe()
child = os.fork()
if child:
    flow.close()
    os.write(closed, b"1")
    _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))
os.read(is_alone, 1)
flow.start()
flow._service.rosters.read()
flow._service.watched_jobs.receive("backup", Ping(signal=Signal.FAIL, at=flow._deps.clock.now()), "GET")
assert flow._runtime.wait_until(lambda: flow.find("heartbeat/backup") is not None, 30)
flow.close()
os._exit(0)
"""


def test_a_forked_child_watches_the_jobs(sqlite_url: str, tmp_path: Path) -> None:
    directory = tmp_path / "directory.toml"
    directory.write_text(
        'recipients.ada = { email = "ada@example.com" }\ndefault.to = ["ada"]\nheartbeats.backup = { every = "1h" }\n'
    )
    assert_runs(WATCH, sqlite_url, str(directory))


def test_a_script_that_never_closes_still_delivers_due_notifications(sqlite_url: str) -> None:
    assert_runs(FORK.split("assert flow.wait")[0] + "import atexit\natexit.register(lambda: None)\n", sqlite_url)
    with NotifyFlow(Settings(database_url=SecretStr(sqlite_url)), channels={}) as flow:
        assert states(flow, "parent") == [NotificationState.SENT]
