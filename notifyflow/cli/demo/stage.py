"""Runs the demo in one process: a temporary SQLite file, the embedded engine, the web service, the stand-ins."""

import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from notifyflow.app import NotifyFlow, log_output
from notifyflow.cli.demo import story
from notifyflow.cli.demo.claims import Witness
from notifyflow.cli.frame import serving
from notifyflow.core.delivery.model import AT_REST, EscalationState, IncidentState, NotificationState
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings

LONGEST_S = 24.0
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Stage:
    """The parts of a running demo."""

    flow: NotifyFlow
    sandbox: Sandbox
    log: StringIO


@contextmanager
def stage() -> Iterator[Stage]:
    """Start all parts, and remove them in the end."""
    with TemporaryDirectory(prefix="notifyflow-demo-") as folder, Sandbox() as sandbox, serving.listen("127.0.0.1", 0) as web:
        variables = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{Path(folder) / 'demo.db'}",
            "NOTIFYFLOW_BROKER_URL": "memory://",
            "NOTIFYFLOW_DRAIN_S": "2",
            "NOTIFYFLOW_PUBLIC_URL": serving.url_of(web),
            "NOTIFYFLOW_OPS_RECIPIENTS": '[{"id": "operations", "email": "operations@example.com"}]',
        }
        lines = StringIO()
        with log_output.into(lines), NotifyFlow(Settings.from_variables(variables)) as flow, serving.served(flow.asgi(), web):
            yield Stage(flow, sandbox, lines)


def play(on: Stage, show: Callable[[IncidentStatus], None]) -> Witness:
    """Notify, let the escalations run, have Chloe pick up the phone, and return everything that can be observed then.

    It waits until nothing moves, and shows each status of the incident meanwhile.
    """
    key = story.INCIDENT.key
    ends_at = time.monotonic() + LONGEST_S
    on.sandbox.script(story.SCRIPT)
    on.flow.notify(story.INCIDENT, story.people(on.sandbox), policy=story.POLICY)
    for is_time, then in ((_is_time_to_pick_up, story.PICKS_UP), (_is_over, "")):
        status = on.flow.status(key)
        while not is_time(status) and time.monotonic() < ends_at:
            show(status)
            time.sleep(_LOOK_EVERY_S)
            status = on.flow.status(key)
        on.sandbox.script(then)
    show(status)
    return _witness(on, status)


def _is_time_to_pick_up(status: IncidentStatus) -> bool:
    """Return whether the others are finished: Chloe's acknowledgement ends it for all."""
    by_id = {each.facts.recipient_id: each for each in status.escalations}
    rest = chain(by_id["ada"].notifications, by_id["ben"].notifications)
    calls = [each for each in by_id["chloe"].notifications if each.channel == "voice" and each.attempts]
    return (
        by_id["dan"].facts.state is EscalationState.EXHAUSTED
        and by_id["ben"].facts.state is EscalationState.REACHED
        and all(each.state in AT_REST for each in rest)
        and any(each.attempts for each in by_id["eve"].notifications)
        and any(each.attempts[0].result is not None and each.state is NotificationState.QUEUED for each in calls)
    )


def _is_over(status: IncidentStatus) -> bool:
    rows = chain.from_iterable(each.notifications for each in status.escalations)
    return status.facts.state is IncidentState.ACKNOWLEDGED and all(each.state in AT_REST for each in rows)


def _witness(on: Stage, status: IncidentStatus) -> Witness:
    inbox = on.sandbox.inbox.messages()
    links = [link for each in inbox if each.to == "ada@example.com" for link in each.links if "/a/" in link]
    page = ""
    if links:
        with urllib.request.urlopen(links[0], timeout=5) as response:  # noqa: S310 - our own link, on loopback
            page = response.read().decode()
    operations = None if status.operations_key is None else on.flow.status(status.operations_key)
    return Witness(status=status, operations=operations, inbox=inbox, linked_page=page, log=on.log.getvalue())
