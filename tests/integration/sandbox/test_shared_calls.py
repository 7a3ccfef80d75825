"""A call about several incidents, from a real flow to the sandbox's phone and back: each prompt asks for a key of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from notifyflow.app import NotifyFlow
from notifyflow.cli.frame import serving
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Incident, IncidentState, NotificationState, Recipient, Severity
from notifyflow.core.delivery.policy import DEFAULT, Policy, Tier
from notifyflow.sandbox.inbox import Call, Message
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from tests.waiting import wait_until

VOICE = Policy(name="voice", tiers=(Tier(name="phone", channels=("voice",)),), retries=DEFAULT.retries)
ADA = Recipient(id="ada", name="Ada", phone="+15005550011")


class Scene:
    """A flow that calls the sandbox's phone, and is called back."""

    def __init__(self, flow: NotifyFlow, sandbox: Sandbox) -> None:
        self.flow = flow
        self.sandbox = sandbox

    def notify(self, *keys: str) -> None:
        for key in keys:
            self.flow.notify(Incident(key=key, title=f"{key} is down", severity=Severity.CRITICAL), [ADA], policy=VOICE)

    def page(self, key: str) -> NotificationFacts:
        return self.flow.status(key).escalations[0].notifications[0]

    @property
    def calls(self) -> tuple[Message, ...]:
        return self.sandbox.inbox.messages(channel="voice")

    def said(self) -> tuple[str, ...]:
        assert isinstance(self.calls[-1].content, Call)
        return self.calls[-1].content.said

    def press(self, key: str, line: str) -> None:
        """Press a key on the sandbox's page while a line is said, the last time it is said."""
        number = max(place for place, said in enumerate(self.said()) if said.startswith(line))
        form = {"message": self.calls[-1].number, "line": number, "key": key}
        response = requests.post(f"{self.sandbox.url}/press", data=form, timeout=30, allow_redirects=False)
        assert response.status_code == 303


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with Sandbox(receipts_after_s=0.05) as sandbox, serving.listen("127.0.0.1", 0) as web:
        variables = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'calls.db'}",
            "NOTIFYFLOW_PUBLIC_URL": serving.url_of(web),
            "NOTIFYFLOW_DRAIN_S": "0",
        }
        with NotifyFlow(Settings.from_variables(variables)) as flow, serving.served(flow.asgi(), web):
            yield Scene(flow, sandbox)


def test_what_waits_for_a_call_leaves_in_the_next_one_and_keys_count_for_what_was_said(scene: Scene) -> None:
    scene.sandbox.script("call: rings once, then machine")
    scene.notify("db-1")
    scene.sandbox.inbox.wait_for(lambda message: message.status == "ringing")
    scene.notify("db-2", "db-3", "db-4")
    wait_until(lambda: all(scene.page(key).waits_until for key in ("db-2", "db-3", "db-4")))
    assert len(scene.calls) == 1
    scene.flow.acknowledge("db-1", by="ada")  # which ends the call that rings
    scene.sandbox.inbox.wait_for(lambda message: message.status == "completed")
    assert len(scene.calls) == 2
    said = scene.said()
    assert said[0].startswith("sandbox. 3 critical alerts for Ada.")
    assert said[1:4] == (
        "Critical: db 2 is down.",
        "Critical: db 3 is down.",
        "Critical: db 4 is down. Press 4 to acknowledge all 3.",
    )
    scene.press("1", "Critical: db 2")
    assert scene.flow.status("db-2").facts.state is IncidentState.ACKNOWLEDGED
    assert scene.said()[len(said)] == "Thank you. 1 of 3 are acknowledged."
    assert [scene.page(key).state is NotificationState.DELIVERED for key in ("db-2", "db-3", "db-4")] == [True, False, False]
    scene.press("4", "Critical: db 3")  # before all CRITICAL titles were said
    assert scene.flow.status("db-4").facts.state is IncidentState.OPEN
    scene.press("4", "Critical: db 4")
    assert {scene.flow.status(key).facts.state for key in ("db-2", "db-3", "db-4")} == {IncidentState.ACKNOWLEDGED}
    assert scene.said()[-1] == "Thank you. 3 of 3 are acknowledged. Goodbye."


def test_a_script_presses_a_key_at_a_title(scene: Scene) -> None:
    scene.sandbox.script("call: rings once, then key 1 at 2")
    scene.notify("db-1")
    scene.sandbox.inbox.wait_for(lambda message: message.status == "ringing")
    scene.notify("db-2", "db-3", "db-4")
    wait_until(lambda: all(scene.page(key).waits_until for key in ("db-2", "db-3", "db-4")))
    scene.flow.acknowledge("db-1", by="ada")
    wait_until(lambda: scene.page("db-4").state is NotificationState.QUEUED and bool(scene.page("db-4").attempts))
    states = [scene.flow.status(key).facts.state for key in ("db-2", "db-3", "db-4")]
    assert states == [IncidentState.ACKNOWLEDGED, IncidentState.ACKNOWLEDGED, IncidentState.OPEN]
    assert scene.page("db-4").attempts[0].code == "unsaid"
