"""The watched jobs of a directory file: what they are by default, and every fault with its place."""

from datetime import timedelta

import pytest

from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.core.oncall.directory import Directory, read_directory
from notifyflow.core.oncall.timetables import Timetable
from notifyflow.errors import InvalidDirectory

PEOPLE = """
default.to = ["ada"]
recipients = { ada = {}, ben = {} }
[[routes]]
match = { team = "orders" }
to = ["ben"]
[[routes]]
match = { heartbeat = "night-*" }
to = ["ben"]
"""


def read(table: str, name: str = "backup") -> Directory:
    return read_directory(f"{PEOPLE}\n[heartbeats.{name}]\n{table}", SHIPPED)


def places(table: str, name: str = "backup") -> list[str]:
    with pytest.raises(InvalidDirectory) as invalid:
        read(table, name)
    return [fault.where for fault in invalid.value.faults]


def test_a_job_needs_a_timetable_only() -> None:
    job = read('every = "1d"').heartbeats["backup"]
    assert job.timetable == Timetable(every=timedelta(days=1), grace=timedelta(hours=1))
    assert read('every = "1d"\nmethods = ["POST"]').heartbeats["backup"].methods == ("POST",)
    assert (job.severity, job.methods, job.namespace, job.all_labels) == (Severity.ERROR, (), "", {"heartbeat": "backup"})


def test_its_labels_its_name_or_a_route_of_its_own_say_who_is_paged() -> None:
    directory = read('every = "1d"')
    assert directory.route_of(directory.heartbeats["backup"]) is directory.default
    directory = read('cron = "0 3 * * *"\ntimezone = "Europe/Berlin"\nlabels = { team = "orders" }')
    assert directory.route_of(directory.heartbeats["backup"]) is directory.routes[0]
    directory = read('every = "1d"', "night-run")
    assert directory.route_of(directory.heartbeats["night-run"]) is directory.routes[1]
    directory = read('every = "1d"\nroute = { to = ["ben"], then = [{ after = "10m", to = ["ada"] }] }')
    route = directory.route_of(directory.heartbeats["backup"])
    assert (route.to, directory.place(route)) == (("ben",), "heartbeats.backup.route")
    assert directory.policies_for("ben") == ("insistent",)


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ('grace = "5m"', "heartbeats.backup"),
        ("every = 5", "heartbeats.backup.every"),
        ('every = "1d"\nsince = "now"', "heartbeats.backup.since"),
        ('every = "1d"\nseverity = "BAD"', "heartbeats.backup.severity"),
        ('every = "1d"\nmethods = ["PUT"]', "heartbeats.backup.methods"),
        ('every = "1d"\nnamespace = "notifyflow"', "heartbeats.backup.namespace"),
        ('every = "1d"\nlabels = { team = "a" }\nroute = { to = ["ben"] }', "heartbeats.backup.labels"),
        ('every = "1d"\nroute = { to = ["eve"] }', "heartbeats.backup.route.to"),
        ('every = "1d"\nroute = { to = [] }', "heartbeats.backup.route.to"),
        ('every = "1d"\nroute = { to = ["ben"], policy = "x" }', "heartbeats.backup.route.policy"),
        ('cron = "0 3"', "heartbeats.backup.cron"),
    ],
)
def test_every_fault_has_its_place(table: str, where: str) -> None:
    assert places(table) == [where]


@pytest.mark.parametrize("name", ["start", "7", "nf_x", '"a b"', '"a/b"', '""'])
def test_a_name_must_fit_a_url_and_be_no_part_of_a_ping(name: str) -> None:
    assert len(places('every = "1d"', name)) == 1
