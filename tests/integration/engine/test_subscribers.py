"""Another system follows an incident: from `notify()` to what arrives there, over HTTP."""

from pathlib import Path

from notifyflow.app.flow import NotifyFlow
from notifyflow.core.delivery.model import Incident, NotificationState, Recipient
from notifyflow.sandbox.inbox import Card
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings


def test_a_subscriber_hears_of_an_incident_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        variables = {
            **sandbox.settings(),
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path}/test.db",
            "NOTIFYFLOW_WEBHOOKS": sandbox.webhooks("status"),
        }
        with NotifyFlow(Settings.from_variables(variables)) as flow:
            flow.notify(Incident(key="db-1", title="orders db is down"), [Recipient(id="ada", email="ada@example.com")])
            flow.acknowledge("db-1", by="ada")
            flow.resolve("db-1", by="ada")
            for event in ("opened", "acknowledged", "resolved"):
                message = sandbox.inbox.wait_for(lambda message, event=event: _summary(message.content) == f"incident.{event}")
                assert (message.channel, message.to, message.is_accepted) == ("webhook", "status", True)
        with NotifyFlow(Settings.from_variables(variables)) as flow:
            events = flow.status("db-1").incident_events
        assert [row.state for row in events] == [NotificationState.SENT] * 3
        references = {message.reference for message in sandbox.inbox.messages() if message.channel == "webhook"}
        assert references == {row.id for row in events}


def _summary(content: object) -> str:
    return content.summary if isinstance(content, Card) else ""
