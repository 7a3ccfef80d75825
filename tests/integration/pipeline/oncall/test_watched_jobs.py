"""Missed jobs page the people of their route, once; a success resolves; nobody else touches their incidents."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import product

import pytest

from notifyflow.core.copies import replace
from notifyflow.core.delivery.model import IncidentState, Recipient, Severity
from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.oncall.pings import Mark, Ping, Signal, read_entries
from notifyflow.core.oncall.watched_jobs import JobState, Miss, WatchedJob, state
from notifyflow.errors import HeartbeatNotFound, InvalidIncident
from notifyflow.pipeline.delivery.outages import pause
from notifyflow.pipeline.oncall import watched_jobs
from notifyflow.pipeline.oncall.roster import store_directory
from notifyflow.pipeline.upkeep.forget import forget
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.oncall.directory import DirectoryFile
from notifyflow.service.oncall.roster import Rosters
from notifyflow.service.oncall.routes import Routes
from notifyflow.service.oncall.watched_jobs import JobWatch
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.builders import START, a_contact, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.pipeline.delivery.test_silences import silence

DIRECTORY = """
default.to = ["ada"]
[recipients.ada]
email = "ada@example.com"
timezone = "Europe/Berlin"
[recipients.ben]
email = "ben@example.com"
[[routes]]
match = { team = "orders" }
to = ["ben"]
[heartbeats.backup]
every = "1h"
grace = "10m"
severity = "CRITICAL"
[heartbeats.export]
every = "1h"
grace = "10m"
labels = { team = "orders" }
methods = ["POST"]
[heartbeats.report]
cron = "30 3 * * *"
timezone = "Europe/Berlin"
route = { to = ["ben"] }
namespace = "team"
"""
MINUTE = timedelta(minutes=1)
NOTED_EVERY = timedelta(seconds=14)
DUE = 71
"""The first minute in which a sweep finds that the hourly jobs were missed."""


class Watch(Driver):
    """A driver with watched jobs, whose web service listens unless a test stops it."""

    def __init__(self, store: Store, directory: str = DIRECTORY) -> None:
        super().__init__(store, operations=[a_contact("ops", "email")])
        self.declare(directory)
        self.jobs = self.another()
        self.listens = True

    def another(self) -> JobWatch:
        """Return the watched jobs as another process has them."""
        use_cases = UseCases(self.deps, self._note)
        file = DirectoryFile(None, SHIPPED, self.clock, tell=lambda reason: None)
        return JobWatch(self.store, use_cases, Routes(self.deps, SHIPPED, Rosters(self.store, use_cases, file)))

    def declare(self, directory: str) -> None:
        store_directory(self.deps, directory, changed_at=self.clock.at)

    def ping(self, name: str, signal: Signal = Signal.SUCCESS, *, method: str = "POST", **fields: str) -> None:
        self.jobs.receive(name, Ping(signal=signal, at=self.clock.at, **fields), method)  # type: ignore[arg-type]

    def at(self, minutes: float) -> "Watch":
        """Let time pass; the web service notes that it listens, and everything that is due is done."""
        instants = []
        while self.clock.at < START + minutes * MINUTE:
            self.clock.at = min(self.clock.at + NOTED_EVERY, START + minutes * MINUTE)
            instants.append(self.clock.at)
        if self.listens:
            self.store.run(lambda ledger: [ledger.watched_jobs.note_listening(at=each) for each in instants])
        for _ in range(3):
            self.jobs.sweep()
        self.deliver()
        return self

    def job(self, name: str = "backup") -> WatchedJob:
        return next(each for each in self.jobs.all()[0] if each.name == name)

    def incident(self, key: str = "heartbeat/backup") -> IncidentStatus | None:
        return self.store.read(lambda reads: reads.status(key))

    def mails(self) -> list[tuple[str, str]]:
        """Return who was mailed what, but for operations."""
        found = [(each.message.address, each.message.content.title) for each in self.seen]
        return [each for each in found if each[0] != "ops@email"]


@pytest.fixture
def watch(store: Store) -> Watch:
    return Watch(store)


def found(status: IncidentStatus | None) -> IncidentStatus:
    assert status is not None
    return status


def test_a_missed_job_pages_its_route_and_a_success_resolves_with_how_long_it_was_silent(watch: Watch) -> None:
    watch.at(DUE - 1)
    assert watch.incident() is None
    watch.at(DUE)
    incident = found(watch.incident())
    assert (incident.facts.state, incident.facts.severity, incident.facts.namespace) == (
        IncidentState.OPEN,
        Severity.CRITICAL,
        "",
    )
    assert incident.content.labels == {"heartbeat": "backup"}
    assert "Deadline: Wed 25 Nov 04:10 UTC" in incident.content.body
    assert sorted(watch.mails()) == [("ada@example.com", "backup has not pinged"), ("ben@example.com", "export has not pinged")]
    watch.at(80).ping("backup")
    watch.at(81)
    resolved = found(watch.incident())
    assert (resolved.facts.state, resolved.facts.resolved_by) == (IncidentState.RESOLVED, "backup")
    assert "backup succeeded Wed 25 Nov 04:20 UTC, after 1 h 20 m without a success." in resolved.content.body
    assert (watch.job().miss, watch.job().incident_id) == (None, None)
    assert [mark for _, mark in read_entries(watch.job().pings)] == [Mark.MISSED, Mark.LATE]


def test_a_job_that_pings_in_time_pages_nobody(watch: Watch) -> None:
    for hour in range(1, 6):
        watch.at(hour * 60)
        for name in ("backup", "export"):
            watch.ping(name)
    assert watch.mails() == []
    assert watch.job().due_at == START + 370 * MINUTE


def test_a_failure_pages_at_once_with_what_the_job_said(watch: Watch) -> None:
    watch.at(5)
    watch.jobs.receive("backup", Ping(signal=Signal.FAIL, at=watch.clock.at, exit_status=3, output="disk full"), "GET")
    watch.at(5.1)
    assert found(watch.incident()).content.title == "backup failed (exit status 3)"
    assert found(watch.incident()).content.body.endswith("disk full")


def test_a_further_miss_is_counted_and_pages_nobody_again_unless_a_person_has_resolved(watch: Watch) -> None:
    watch.at(DUE).at(DUE + 60)
    incident = found(watch.incident())
    assert (incident.facts.times_seen, len(watch.mails())) == (2, 2)
    watch.resolve(key="heartbeat/backup")
    watch.at(DUE + 119)
    assert found(watch.incident()).facts.state is IncidentState.RESOLVED
    watch.at(DUE + 121)
    assert found(watch.incident()).facts.id != incident.facts.id
    watch.ping("backup")
    assert found(watch.at(DUE + 122).incident()).facts.state is IncidentState.RESOLVED


def test_two_sweepers_open_one_incident(watch: Watch) -> None:
    watch.clock.at = START + DUE * MINUTE
    watched_jobs.note_listening(watch.deps)
    watch.store.run(lambda ledger: ledger.watched_jobs.note_listening(at=watch.clock.at))
    others = [watch.another() for _ in range(4)]
    watch.at(DUE + 20)  # nobody listened for an hour, so that all are judged a quarter of an hour later
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: each.sweep(), others * 3))
    assert found(watch.incident("heartbeat/unknown/default")).facts.times_seen == 1


def test_what_came_due_while_nobody_listened_is_one_incident_a_route_and_never_missed(watch: Watch) -> None:
    watch.declare(DIRECTORY + '[heartbeats.other]\nevery = "1h"\ngrace = "5m"\nlabels = { team = "orders" }\n')
    watch.at(50)
    watch.listens = False
    watch.at(100)
    watch.listens = True
    watch.at(114)
    assert watch.mails() == []
    watch.ping("backup")
    watch.at(116)
    title = "Unknown: export and other; we could not listen from 03:50 to 04:40 UTC"
    assert watch.mails() == [("ben@example.com", title)]
    unknown = found(watch.incident("heartbeat/unknown/routes[0]"))
    assert "- export\n- other" in unknown.content.body
    assert (watch.incident(), watch.job().miss) == (None, None)
    watch.ping("export")
    assert found(watch.at(117).incident("heartbeat/unknown/routes[0]")).facts.state is IncidentState.OPEN
    watch.ping("other")
    assert found(watch.at(118).incident("heartbeat/unknown/routes[0]")).facts.state is IncidentState.RESOLVED


def test_an_unknown_job_that_stays_silent_is_missed_at_its_next_deadline(watch: Watch) -> None:
    watch.at(50)
    watch.listens = False
    watch.at(100)
    watch.listens = True
    watch.at(116).at(129)
    assert watch.incident() is None
    watch.at(131)
    assert found(watch.incident()).facts.state is IncidentState.OPEN
    assert found(watch.incident("heartbeat/unknown/default")).facts.state is IncidentState.RESOLVED


def test_operations_is_told_if_nobody_listens_for_long(watch: Watch) -> None:
    watch.at(50)
    watch.listens = False
    watch.at(100)
    assert watch.incident() is None
    assert [each.message.content.title for each in watch.seen if each.message.address == "ops@email"] == [
        "heartbeats: no ping has been stored for a quarter of an hour, since no web service listens"
    ]


def test_a_removed_name_resolves_its_incident_and_says_so(watch: Watch) -> None:
    watch.at(DUE)
    watch.declare('default.to = ["ada"]\n[recipients.ada]\nemail = "ada@example.com"\n')
    watch.at(DUE + 1)
    incident = found(watch.incident())
    assert (incident.facts.state, incident.facts.resolved_by) == (IncidentState.RESOLVED, "backup")
    assert incident.content.body.endswith("The directory no longer declares backup: nothing is expected of it.")
    assert watch.jobs.all()[0] == []
    with pytest.raises(HeartbeatNotFound):
        watch.ping("backup")
    assert len(watch.at(DUE + 300).mails()) == 4  # two of them say that it is resolved


def test_a_changed_timetable_counts_from_its_load(watch: Watch) -> None:
    watch.at(60)
    watch.declare(DIRECTORY.replace('every = "1h"\ngrace = "10m"\nseverity', 'every = "2h"\ngrace = "10m"\nseverity'))
    assert watch.job().due_at == START + 190 * MINUTE
    assert watch.at(189).incident() is None
    assert watch.at(191).incident() is not None


def test_a_pause_defers_the_page_and_the_miss_is_found(watch: Watch) -> None:
    at = START + 60 * MINUTE
    watch.at(60)
    span = Pause(scope=PauseScope.ALL, name="", paused_at=at, ends_at=at + 60 * MINUTE, paused_by="ops", is_for_critical=True)
    pause(watch.deps, span)
    watch.at(DUE)
    assert found(watch.incident()).facts.state is IncidentState.OPEN
    assert watch.mails() == []
    watch.at(125)
    assert len(watch.mails()) == 2


def test_a_method_that_is_not_declared_does_not_count(watch: Watch) -> None:
    assert watch.jobs.receive("export", Ping(signal=Signal.SUCCESS, at=START), "GET") is watched_jobs.Counted.OTHER_METHOD
    assert watch.job("export").succeeded_at is None


def test_a_job_of_a_namespace_has_its_incidents_there_by_its_own_route(watch: Watch) -> None:
    assert watch.job("report").due_at == START + (23 * 60 + 30 + 60) * MINUTE
    watch.clock.at += timedelta(hours=24)
    watched_jobs.note_listening(watch.deps)
    watch.at(24 * 60 + 32)
    status = found(watch.incident("heartbeat/unknown/heartbeats.report.route"))
    assert (status.facts.namespace, [each.facts.recipient_id for each in status.escalations]) == ("team", ["ben"])


def test_nobody_submits_under_its_key(watch: Watch) -> None:
    with pytest.raises(InvalidIncident):
        watch.notify(an_incident("heartbeat/backup"), a_recipient("ada", "email"))
    assert watch.incident() is None


def test_a_flapping_job_is_a_series(watch: Watch) -> None:
    watch.at(DUE).ping("backup")
    watch.at(DUE + 1)
    watch.jobs.receive("backup", Ping(signal=Signal.FAIL, at=watch.clock.at), "GET")
    watch.at(DUE + 2)
    series = found(watch.incident()).facts.series
    assert series is not None
    assert series.openings


def test_the_answer_of_people_counts_as_for_any_incident(watch: Watch) -> None:
    watch.at(DUE)
    watch.acknowledge("ada", key="heartbeat/backup")
    assert found(watch.incident()).facts.state is IncidentState.ACKNOWLEDGED
    assert len(watch.at(DUE + 61).mails()) == 2


def test_many_sweepers_open_one_incident_for_each_missed_job(watch: Watch) -> None:
    names = [f"job-{number}" for number in range(12)]
    watch.declare(DIRECTORY + "".join(f'[heartbeats.{name}]\nevery = "1h"\ngrace = "10m"\n' for name in names))
    watch.clock.at = START + DUE * MINUTE
    watch.store.run(
        lambda ledger: [ledger.watched_jobs.note_listening(at=START + each * NOTED_EVERY) for each in range(DUE * 60 // 14 + 1)]
    )
    watched_jobs.note_listening(watch.deps)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda each: each.sweep(), [watch.another() for _ in range(6)] * 3))
    for name in names:
        status = found(watch.incident(f"heartbeat/{name}"))
        assert (status.facts.times_seen, watch.job(name).misses) == (1, 1)


def test_a_note_that_is_late_does_not_take_back_that_of_another_process(watch: Watch) -> None:
    """One process has read the last note, and writes when another has found that nobody listened meanwhile."""
    watch.at(10)
    late_at, now = watch.clock.at + timedelta(seconds=4), watch.clock.at + timedelta(seconds=30)

    def write_late(ledger: Ledger) -> None:
        read = ledger.watched_jobs.noted_at()
        watch.store.run(lambda other: other.watched_jobs.note_listening(at=now))
        ledger.watched_jobs.noted_at = lambda: read  # type: ignore[method-assign]
        ledger.watched_jobs.note_listening(at=late_at)

    if not watch.store.is_embedded:
        watch.store.run(write_late)
        assert watch.store.read(lambda reads: reads.watched_jobs.noted_at()) == now


def test_what_a_job_said_is_forgotten_with_the_person_it_names(watch: Watch) -> None:
    watch.at(10)
    for name, output in (("backup", "mailed ada@example.com"), ("report", "mailed ben@example.com")):
        watch.jobs.receive(name, Ping(signal=Signal.SUCCESS, at=watch.clock.at, output=output), "POST")
    watch.notify(an_incident("db-1"), Recipient(id="ada", email="ada@example.com"))
    watch.resolve(key="db-1")
    watch.deliver()
    forget(watch.deps, "ada")
    assert (watch.job("backup").output, watch.job("report").output) == ("", "mailed ben@example.com")
    watch.ping("backup")
    assert [mark for _, mark in read_entries(watch.job("backup").pings)] == [Mark.ON_TIME, Mark.ON_TIME]


def test_a_silence_holds_the_pages_of_a_missed_job_until_its_end(watch: Watch) -> None:
    watch.at(60)
    silence(watch, "heartbeat=export", "severity<=ERROR", span=30 * MINUTE)
    watch.at(DUE)
    assert found(watch.incident("heartbeat/export")).facts.state is IncidentState.OPEN
    assert watch.mails() == [("ada@example.com", "backup has not pinged")]
    watch.at(91)
    watch.sweep()
    watch.deliver()
    assert ("ben@example.com", "export has not pinged") in watch.mails()


def test_jobs_are_counted_by_the_states_that_they_have(store: Store) -> None:
    at = START.isoformat()
    fields = {
        "miss": (None, *Miss),
        "back_at": (None, START),
        "succeeded_at": (None, START),
        "expected_at": tuple(START + minutes * MINUTE for minutes in (-1, 0, 1)),
        "passed": ((), (f"{at} {at}",)),
        "runs": ({}, {"": at}),
    }
    wanted = {f"job-{number:03}": dict(zip(fields, each, strict=True)) for number, each in enumerate(product(*fields.values()))}
    watch = Watch(store, 'default.to = ["ada"]\n' + "".join(f'[heartbeats.{name}]\nevery = "1h"\n' for name in wanted))

    def fill(ledger: Ledger) -> list[WatchedJob]:
        known = ledger.watched_jobs.lock_all()
        changed = [replace(known[name], **values) for name, values in wanted.items()]
        ledger.watched_jobs.put([(known[job.name], job) for job in changed])
        return changed

    jobs, now = watch.store.run(fill), START
    counted = watch.store.read(lambda reads: reads.watched_jobs.states(now))
    assert counted == Counter(state(job, now) for job in jobs)
    assert counted.keys() == set(JobState)
