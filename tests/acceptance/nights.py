"""Nights in simulated time, lived through the real doors: what Alertmanager posts, what Twilio calls back, what a browser sends.

The whole composition runs over the sandbox, on a clock that a test moves (``notifyflow.testing.Driver``).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.model import EscalationState
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.intake.validation import OPERATIONS_KEY
from notifyflow.sandbox import Sandbox
from notifyflow.sandbox.inbox import Message
from notifyflow.testing import PUBLIC_URL, Driver, Response
from tests.dashboard import Visit, visit

ADA, BEN, OPS = "+4930901820", "+4930901821", "+4930901829"
_SECOND = timedelta(seconds=1)


class Night:
    """A night of Ada, Ben, and operations.

    Args:
        driver: The driver of a flow with a directory.

    Attributes:
        driver: The same.
    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._key = driver.flow.access().create("prometheus", [KeyScope.INGEST], valid_for=None)[1]

    def fires(self, alert: str = "f", *, severity: str = "critical", **labels: str) -> None:
        """Let Alertmanager post that an alert fires."""
        self._post_alert(alert, "firing", {"severity": severity, **labels})

    def heals(self, alert: str = "f", *, severity: str = "critical", **labels: str) -> None:
        """Let Alertmanager post that it is resolved."""
        self._post_alert(alert, "resolved", {"severity": severity, **labels})

    def flaps(self, firing: timedelta, resolved: timedelta, *, times: int, alert: str = "f", **labels: str) -> None:
        """Let an alert fire and heal again and again; it is resolved at the end."""
        for _ in range(times):
            self.fires(alert, **labels)
            self.passes(firing)
            self.heals(alert, **labels)
            self.passes(resolved)

    def submits(self, **document: Any) -> None:
        """Submit an incident over the REST API."""
        response = self._post("/v1/incidents", document)
        assert response.status in {200, 201}, response.text

    def _post_alert(self, alert: str, status: str, labels: Mapping[str, str]) -> None:
        group = {
            "version": "4",
            "status": status,
            "alerts": [
                {
                    "status": status,
                    "fingerprint": alert,
                    "labels": {"alertname": alert, **labels},
                    "annotations": {"summary": f"{alert} is down"},
                    "startsAt": self.driver.clock.now().isoformat(),
                }
            ],
        }
        response = self._post("/v1/alertmanager", group)
        assert response.status == 202, response.text

    def _post(self, path: str, document: Mapping[str, Any]) -> Response:
        headers = {"authorization": f"Bearer {self._key}", "content-type": "application/json"}
        return self.driver.request("POST", path, body=json.dumps(document), headers=headers)

    def presses_the_button_of(self, message: Message) -> None:
        """Let a browser open the link of a message, and press the button of its page."""
        link = next(each for each in message.links if each.startswith(f"{PUBLIC_URL}/a/"))
        assert self.driver.request("GET", link).status == 200
        assert self.driver.request("POST", link).status < 400

    def resolves(self, key: str) -> None:
        """Let somebody who is logged in to the dashboard press the button of an incident's page that resolves it."""
        page = f"/incidents/{self.status(key).facts.id}"
        response = self._browser.send(page, f"{page}/resolve")
        assert response.status_code == 303, response.text

    @cached_property
    def _browser(self) -> Visit:
        return visit(self.driver.flow, Role.RESPONDER)

    def passes(self, span: timedelta) -> None:
        """Let time pass, while workers run."""
        self.driver.advance(seconds=span.total_seconds())

    def crashes_again_and_again(self, *, lives: timedelta, every: timedelta, times: int) -> None:
        """Let a worker live for a while, sweep once a second meanwhile, die, and be started anew."""
        for _ in range(times):
            began_at = self.driver.clock.now()
            while self.driver.clock.now() < began_at + lives:
                self.driver.deliver()
                self.driver.clock.pass_time(_SECOND)
            self.driver.clock.move_to(began_at + every)

    def minutes(self, channel: str, to: str) -> list[float]:
        """Return when the messages of a channel to an address reached the provider, in minutes since the night began."""
        return [round(each.after_s / 60, 2) for each in self.driver.inbox.messages(channel=channel, to=to)]

    def messages(self, channel: str, to: str) -> tuple[Message, ...]:
        """Return the messages of a channel to an address, the oldest first."""
        return self.driver.inbox.messages(channel=channel, to=to)

    def status(self, key: str = "alertmanager/f") -> IncidentStatus:
        """Return what became of an incident."""
        return self.driver.flow.status(key)

    def state(self, key: str = "alertmanager/f") -> EscalationState:
        """Return the state of the newest escalation of an incident."""
        return self.status(key).escalations[-1].facts.state

    def operations(self) -> IncidentStatus:
        """Return the newest operations incident."""
        return self.driver.flow.status(OPERATIONS_KEY)

    def told_operations(self) -> list[str]:
        """Return the text of each page of operations that a provider accepted; a status update answers one by mail."""
        everything = self.driver.inbox.messages(is_accepted=True)
        return [each.text for each in everything if each.to in {"ops@example.com", OPS} and not each.text.startswith("Re: ")]


@contextmanager
def a_night(
    folder: Path, routes: str, *, ada: str = "", script: str = "", has_chat: bool = False, policies: str = ""
) -> Iterator[Night]:
    """Make a night, in a folder.

    Args:
        folder: Where the database, the directory and the policies are.
        routes: The routes of the directory, in TOML.
        ada: More of what the directory says of Ada, in TOML.
        script: What providers respond, in the script language of the sandbox.
        has_chat: Whether Ada is in Slack, too.
        policies: A file of policies, in TOML; empty for none.
    """

    def directory(sandbox: Sandbox) -> Mapping[str, str]:
        lines = ["[recipients.ada]", 'email = "ada@example.com"', f'phone = "{ADA}"', ada]
        if has_chat:
            lines.append(f'slack = "{sandbox.slack_url("ada")}"')
        lines += ["[recipients.ben]", 'email = "ben@example.com"', f'phone = "{BEN}"', routes]
        (folder / "directory.toml").write_text("\n".join(lines), encoding="utf-8")
        (folder / "policies.toml").write_text(policies, encoding="utf-8")
        operations = [{"id": "ops", "email": "ops@example.com", "phone": OPS}]
        return {
            "NOTIFYFLOW_DIRECTORY": str(folder / "directory.toml"),
            "NOTIFYFLOW_OPS_RECIPIENTS": json.dumps(operations),
            **({"NOTIFYFLOW_POLICIES": str(folder / "policies.toml")} if policies else {}),
        }

    with Driver(folder=folder, completed=directory) as driver:
        driver.sandbox.script(script)
        yield Night(driver)
