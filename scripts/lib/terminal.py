"""Pictures what ``notifyflow status`` prints after a night on a driver's clock, so that each run looks alike."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from notifyflow import Incident, Recipient, Severity
from notifyflow.cli.frame.picture import picture
from notifyflow.testing import Driver

_NIGHT = "email to ada@example.com: 550; sms: 30006; call: key 1"


def picture_the_status(file: Path) -> None:
    """Let it happen, and picture it."""
    with Driver() as driver:
        driver.sandbox.script(_NIGHT)
        ada = Recipient(id="ada", name="Ada", email="ada@example.com", phone="+15005550011")
        ben = Recipient(id="ben", name="Ben", slack=driver.sandbox.slack_url("ben"))
        driver.flow.notify(Incident(key="db-1", title="orders db is down", severity=Severity.CRITICAL), [ada, ben])
        driver.run_until_settled()
        status, overview = driver.flow.status("db-1"), driver.flow.overview
        console = Console(record=True, width=110, file=StringIO())
        console.print(picture(status, next_events=overview.next_events(status), entries=overview.timeline(status)))
        console.save_svg(str(file), title="notifyflow status db-1")
