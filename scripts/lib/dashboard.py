"""The dashboard in a night in which much goes wrong, for its pictures; the clock is a driver's, so that each run looks alike."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from messages import INCIDENTS

from notifyflow import Incident, Recipient, Severity
from notifyflow.cli.frame import serving
from notifyflow.cli.oncall.heartbeats import SIGNS
from notifyflow.core.accounts.users import Role
from notifyflow.core.copies import replace
from notifyflow.core.limits.silences import Author, AuthorKind, read_matchers
from notifyflow.core.oncall.overrides import Wish
from notifyflow.core.oncall.pings import Mark, Ping, Signal, entry
from notifyflow.core.oncall.watched_jobs import WatchedJob
from notifyflow.pipeline.rollup import roll_up_all
from notifyflow.storage.ledger import Ledger
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

[heartbeats.nightly-backup]
cron = "0 3 * * *"
timezone = "Europe/Berlin"

[heartbeats.invoices]
every = "1h"
grace = "10m"

[heartbeats.orders-export]
every = "15m"
grace = "5m"

[heartbeats.search-index]
every = "6h"
"""
_MARKS = {
    "invoices": "." * 41 + "L" + "." * 37 + "ML" + "." * 19,
    "nightly-backup": ">." * 17 + ">F" + ">L" + ">." * 31,
    "orders-export": "." * 60 + "?L" + "." * 38,
    "search-index": "." * 12,
}
"""The last pings of each heartbeat, the newest at the end."""


def dashboard(page: Browser) -> Iterator[tuple[str, str]]:
    """Serve the dashboard, and yield its pages, name and URL: first those of nobody, then, logged in, all the others."""
    with serving.listen("127.0.0.1", 0) as web, TemporaryDirectory() as folder:
        url, directory = serving.url_of(web), Path(folder) / "directory.toml"
        directory.write_text(_DIRECTORY)
        variables = {"NOTIFYFLOW_PUBLIC_URL": url, "NOTIFYFLOW_OPS_RECIPIENTS": _OPERATIONS}
        with Driver(variables | {"NOTIFYFLOW_DIRECTORY": str(directory)}) as driver:
            incident_id = _let_happen(driver)
            _take_over(driver)
            _let_ping(driver)
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
                paths |= {"people": "people", "person": "people/ada", "oncall": "oncall", "heartbeats": "heartbeats"}
                paths |= {"heartbeat": "heartbeats/orders-export", "health": "health?window=hour"}
                for name, path in paths.items():
                    yield name, f"{url}/{path}"
                stock_id = _silence(driver)
                for name, path in {"silences": "silences", "silenced incident": f"incidents/{stock_id}"}.items():
                    yield name, f"{url}/{path}"


def _silence(driver: Driver) -> str:
    """Let Grace silence an upgrade, plan another one and end a third; return the id of a silenced incident."""
    silences, grace = driver.flow.silences, Author(kind=AuthorKind.COMMAND, id="", name="Grace")
    hour = timedelta(hours=1)
    stock, late = read_matchers(["team=stock", "severity<=ERROR"]), read_matchers(["service=checkout", "zone=eu-*"])
    ended = silences.start(read_matchers(["key=backup-*"]), span=hour, why="the disk is replaced", by=grace)
    driver.advance(minutes=20)
    silences.end(ended.id, by=Author(kind=AuthorKind.COMMAND, id="", name="Ada"))
    silences.start(stock, span=2 * hour, why="upgrade of the stock database", by=grace)
    silences.start(late, span=4 * hour, why="the network of eu-1 moves", by=grace, begins_at=silences.now() + 20 * hour)
    incident = Incident(key="stock-1", title="stock db does not answer", severity=Severity.ERROR, labels={"team": "stock"})
    notified = driver.flow.notify(incident, [Recipient(id="ben", name="Ben", email="ben@example.com", phone="+15005550012")])
    driver.advance(seconds=30)
    return notified.incident_id


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


def _let_ping(driver: Driver) -> None:
    """Let the jobs of the directory have pinged for some time; the last run of one fails."""
    marks = {SIGNS[mark]: mark for mark in Mark}
    watch, now = driver.flow._service.watched_jobs, driver.clock.now()

    def fill(ledger: Ledger) -> None:
        jobs = ledger.watched_jobs.lock_all()
        ledger.watched_jobs.put(
            [(job, _with_history(job, [marks[each] for each in _MARKS[name]], now)) for name, job in jobs.items()]
        )

    driver.flow.deps.transactions.run(fill)
    output = "export: 48,201 orders\nexport: upload failed: 507 Insufficient Storage"
    watch.receive("orders-export", Ping(signal=Signal.FAIL, at=now, exit_status=1, output=output), "POST")
    watch.sweep()


def _with_history(job: WatchedJob, marks: Sequence[Mark], now: datetime) -> WatchedJob:
    every = job.timetable.every or timedelta(hours=12)
    times = [now - timedelta(minutes=7) - every * number for number in range(len(marks))][::-1]
    succeeded_at, pings = times[-1], tuple(map(entry, times, marks))
    misses = marks.count(Mark.MISSED) + marks.count(Mark.FAILED)
    return replace(
        job, pings=pings, misses=misses, succeeded_at=succeeded_at, expected_at=job.timetable.after_success(succeeded_at)
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
