"""The test page at the end: this process delivers it by itself, since perhaps no worker runs yet."""

from rich.prompt import Confirm
from rich.text import Text

import notifyflow
from notifyflow.cli.frame import screen
from notifyflow.cli.frame.progress import watch
from notifyflow.cli.setup.draft import BROKER_URL
from notifyflow.core.delivery.model import NotificationState, Via
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.settings import PREFIX, Settings
from notifyflow.settings.settings_file import SettingsFile

_BROKER = PREFIX + "BROKER_URL"
_LEFT = (NotificationState.SENT, NotificationState.DELIVERED)
_TIMEOUT_S = 60.0


def send(file: SettingsFile, recipient_id: str, *, is_asking: bool) -> bool:
    """Send a person one page as a test, with the settings of a file alone; return whether a provider accepted it.

    If ``is_asking``, the person is asked whether it has arrived, which acknowledges it, and decides instead.
    """
    variables = {name: text for name, text in file.variables.items() if name != f"{_BROKER}_FILE"}
    settings = Settings.from_variables({**variables, _BROKER: BROKER_URL})
    with notifyflow.NotifyFlow(settings) as flow:
        key = flow.test_page(recipient_id, by="notifyflow setup", policy="default").incident_id
        status = watch(
            screen.out,
            lambda: flow.status(key),
            lambda step_s: flow.wait(key, timeout_s=step_s) or _has_left(flow.status(key)),
            timeout_s=_TIMEOUT_S,
        )
        is_good = _has_left(status)
        if is_good and is_asking:
            try:
                is_good = Confirm.ask(Text("Has it arrived?"), console=screen.err, default=True)
            except EOFError:
                screen.warn(f"Nobody said whether the test page has arrived; `notifyflow status {status.facts.key} -v` shows it.")
                return False
            if is_good:
                flow.acknowledge(key, by=recipient_id, via=Via.CLI)
    if not is_good:
        screen.warn(f"The test page has not arrived; `notifyflow status {status.facts.key} -v` says why.")
    return is_good


def _has_left(status: IncidentStatus) -> bool:
    return any(each.state in _LEFT for escalation in status.escalations for each in escalation.notifications)
