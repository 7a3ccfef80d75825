"""The dashboard in a night in which much goes wrong, for its pictures; the clock is a driver's, so that each run looks alike."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from messages import INCIDENTS

from notifyflow import Recipient
from notifyflow.cli.frame import serving
from notifyflow.core.accounts.users import Role
from notifyflow.core.oncall.overrides import Wish
from notifyflow.pipeline.rollup import roll_up_all
from notifyflow.testing import Driver
from tests.browser import Browser
from tests.dashboard import PASSWORD

_OPERATIONS = json.dumps([{"id": "ops", "name": "Operations", "email": "ops@example.com"}])
_NIGHT = (
    "email to ada@example.com: 550; slack: 503; sms to +15005550011: 30006; call: rings; "
    "email to ben@example.com: 450 once, then ok; email to cleo@example.com: 550"
)
_DIRECTORY = """
[recipients.ada]
name = "Ada"
email = "ada@example.com"
[recipients.ben]
name = "Ben"
email = "ben@example.com"
[recipients.cleo]
name = "Cleo"
email = "cleo@example.com"

[schedules.primary]
timezone = "Europe/Berlin"
[[schedules.primary.layers]]
who = ["ada", "ben", "cleo"]
from = 2026-11-02T09:00:00
every = "1w"

[schedules.office]
timezone = "America/New_York"
[[schedules.office.layers]]
who = ["cleo", ["ada", "ben"]]
from = 2026-11-02T08:00:00
every = "1d"
only = "Mon-Fri 08:00-18:00"

[[routes]]
match = { team = "orders" }
to = ["@primary"]

[default]
to = ["ada"]
"""


def dashboard(page: Browser) -> Iterator[tuple[str, str]]:
    """Serve the dashboard, and yield its pages, name and URL: first those of nobody, then, logged in, all the others."""
    with serving.listen("127.0.0.1", 0) as web, TemporaryDirectory() as folder:
        url, directory = serving.url_of(web), Path(folder) / "directory.toml"
        directory.write_text(_DIRECTORY)
        variables = {"NOTIFYFLOW_PUBLIC_URL": url, "NOTIFYFLOW_OPS_RECIPIENTS": _OPERATIONS}
        with Driver(variables | {"NOTIFYFLOW_DIRECTORY": str(directory)}) as driver:
            incident_id = _let_happen(driver)
            _take_over(driver)
            roll_up_all(driver.flow._deps)
            users = driver.flow.users()
            with serving.served(driver.flow.asgi(), web):
                yield "setup", f"{url}/setup/{users.offer_setup()}"
                users.add("grace", Role.ADMIN, password=PASSWORD)
                yield "login", f"{url}/login"
                page.open(f"{url}/login")
                page.write("#name", "grace")
                page.write("#password", PASSWORD)
                page.click("form.fields button")
                paths = {"incidents": "incidents", "incident": f"incidents/{incident_id}", "messages": "messages"}
                paths |= {"people": "people", "person": "people/ada", "oncall": "oncall", "health": "health?window=hour"}
                for name, path in paths.items():
                    yield name, f"{url}/{path}"


def _take_over(driver: Driver) -> None:
    """Let Cleo cover for Ben for two days."""
    oncall = driver.flow.oncall
    begin = oncall.now() + timedelta(days=2)
    oncall.change(
        Wish(
            people=("cleo",),
            instead_of="ben",
            schedules=("primary",),
            begins_at=begin,
            ends_at=begin + timedelta(days=2),
            by="cleo",
        )
    )


def _let_happen(driver: Driver) -> str:
    """Let a night pass; return the id of the incident that is still open."""
    ada = Recipient(id="ada", name="Ada", email="ada@example.com", phone="+15005550011", slack=driver.sandbox.slack_url("ada"))
    ben = Recipient(id="ben", name="Ben", email="ben@example.com", phone="+15005550012")
    cleo = Recipient(id="cleo", name="Cleo", email="cleo@example.com")
    database, checkout, disk, backup = INCIDENTS
    driver.flow.notify(backup, [ben])
    driver.run_until_settled()
    driver.flow.resolve(backup.key, by="ben")
    driver.advance(minutes=31)
    driver.flow.notify(disk, [ben, cleo])
    driver.advance(minutes=9)
    driver.flow.notify(checkout, [ada, ben])
    driver.run_until_settled()
    driver.flow.acknowledge(checkout.key, by="ada")
    driver.advance(minutes=4)
    driver.sandbox.script(_NIGHT)
    notified = driver.flow.notify(database, [ada, ben, cleo], policy="insistent")
    driver.advance(seconds=45)
    return notified.incident_id
