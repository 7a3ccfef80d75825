"""Every door to what is stored, with a damaged row in each table in turn: none fails, and what is not damaged is shown.

No page waits because of it either.
"""

import html
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from peewee import Database
from typer.testing import CliRunner

from notifyflow.cli.commands import app
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.model import LIVE, Incident, IncidentState, NotificationState, Recipient, Severity, Step, Via
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.intake.documents import load_policy
from notifyflow.core.intake.inbound_log import InboundEffect, InboundEntry
from notifyflow.core.limits.pauses import PauseScope as Paused
from notifyflow.core.messages.links import sign as sign_link
from notifyflow.core.namespaces import ALL, SHARED
from notifyflow.core.oncall.hand_overs import HandOver
from notifyflow.core.oncall.overrides import Wish
from notifyflow.core.oncall.schedules import Calendar, DutyReason, Shift
from notifyflow.errors import DamagedIncident, NotifyflowError
from notifyflow.pipeline.rollup import roll_up_all
from notifyflow.storage.dialects import execute
from notifyflow.storage.tables import MetricPeriodRow, MetricTotalRow, SetAsideRow, policies
from notifyflow.testing import Driver
from notifyflow.web.frame.openapi import LEFT_OUT
from tests.builders import ALL_SCOPES
from tests.damage import Damage
from tests.damage import damaged as refused
from tests.dashboard import ORIGIN, Visit, visit
from tests.silencing import a_silence

NEVER, BROKEN, LOUD = "-infinity", "{", "LOUD"
DIRECTORY = """
[recipients.ada]
email = "ada@example.com"
phone = "+15005550011"

[recipients.ben]
email = "ben@example.com"

[schedules.primary]
timezone = "Europe/Berlin"
[[schedules.primary.layers]]
who = ["ada", "ben"]
from = 2026-11-02T09:00:00
every = "1w"

[schedules.office]
ical = "https://calendar.example.com/office.ics"

[heartbeats.nightly]
every = "1d"

[default]
to = ["ada"]
"""
PEOPLE = [
    Recipient(id="ada", name="Ada", email="ada@example.com", phone="+15005550011"),
    Recipient(id="ben", name="Ben", email="ben@example.com"),
]
HURT, WELL = "hurt-1", "well-1"
OF_NOTHING = "of_nothing"
"""The name of a metric that nobody reads."""
DAMAGE: dict[str, dict[str, str]] = {
    "incident": {
        "state": LOUD,
        "severity": LOUD,
        "opened_at": NEVER,
        "last_seen_at": NEVER,
        "policy": "0" * 64,
        "series": BROKEN,
        "content_labels": BROKEN,
        "content_severity": LOUD,
        "content_occurred_at": NEVER,
    },
    "contact": {"addresses": BROKEN, "channels": "[1"},
    "step": {"to": BROKEN, "state": LOUD, "after": "soon", "due_at": NEVER},
    "escalation": {
        "state": LOUD,
        "severity": LOUD,
        "started_at": NEVER,
        "policy": "0" * 64,
        "carried": BROKEN,
        "critical_at": NEVER,
    },
    "notification": {
        "state": LOUD,
        "kind": LOUD,
        "severity": LOUD,
        "created_at": NEVER,
        "incident_event": BROKEN,
    },
    "queued notification": {"due_at": NEVER, "deferred_by": LOUD},
    "attempt": {"state": LOUD, "result": LOUD, "evidence": LOUD, "started_at": NEVER, "lease_until": NEVER, "ended_at": NEVER},
    "receipt": {"result": LOUD, "received_at": NEVER},
    "critical": {"at": NEVER},
    "notice": {"at": NEVER},
    "provider_health": {"spent": BROKEN, "throttled_until": NEVER},
    "lane": {"left_at": NEVER, "urgent_until": NEVER, "calm_until": NEVER},
    "pause": {"scope": LOUD, "paused_at": NEVER},
    "override": {"people": BROKEN, "begins_at": NEVER},
    "calendar": {"shifts": BROKEN, "fetched_at": NEVER},
    "user": {"role": LOUD, "created_at": NEVER},
    "api_key": {"scopes": LOUD, "created_at": NEVER},
    "feed": {"made_at": NEVER},
    "outage": {"began_at": NEVER},
    "set_aside": {"at": NEVER},
    "inbound_entry": {"integration": LOUD, "did": LOUD, "first_at": NEVER, "last_at": NEVER},
    "hand_over": {"at": NEVER, "before": BROKEN, "until": NEVER},
    "opt_out": {"at": NEVER},
    "number": {"texted_at": NEVER, "responded_at": BROKEN},
    "roster": {"changed_at": NEVER, "stored_at": NEVER},
    "rollup": {"rolled_up_at": NEVER},
    "metric_total": {"labels": BROKEN, "buckets": BROKEN},
    "metric_period": {"at": NEVER, "labels": BROKEN, "buckets": BROKEN},
    "silence": {"matchers": BROKEN, "begins_at": NEVER, "author_kind": LOUD, "due_at": NEVER},
    "silenced_incident": {"began_at": NEVER},
    "watched_job": {"timetable": BROKEN, "runs": BROKEN, "passed": BROKEN, "pings": BROKEN, "miss": LOUD, "wake_at": NEVER},
    "absence": {"began_at": NEVER},
    "paused_interval": {"began_at": NEVER},
    "heartbeat": {"at": NEVER},
    "reply_code": {"severity": LOUD, "issued_at": NEVER},
    "spent": {"hour": NEVER},
}
"""What is damaged of a table: a column, and the value that it gets."""
OF_INCIDENTS = ("incident", "contact", "step", "escalation", "notification", "queued notification", "attempt", "receipt")


@dataclass
class Scene:
    """A flow with an incident that is hurt and its neighbour, an administrator, and a key."""

    driver: Driver
    url: str
    folder: Path
    admin: Visit
    key: str
    hurt: str
    well: str

    def sql(self, text: str, *values: object) -> list[Any]:
        def work(ledger: Any) -> list[Any]:
            db = ledger._unit.db
            cursor = execute(db, text.replace("?", db.param), *values)
            return list(cursor.fetchall()) if cursor.description else []

        found: list[Any] = self.driver.flow.deps.transactions.run(work)
        return found

    @property
    def pages(self) -> Sequence[str]:
        """The pages of the dashboard."""
        return (
            *("/incidents", "/incidents?state=OPEN", "/incidents?text=one", f"/incidents/{self.hurt}", f"/incidents/{self.well}"),
            *(f"/incidents/{self.well}?everybody=1", "/messages", "/messages?recipient=ada", f"/messages?key={HURT}"),
            *("/messages?state=FAILED", "/messages.csv", "/people", "/people/ada", "/oncall", "/health"),
            *("/silences", "/heartbeats", "/heartbeats/nightly"),
        )

    @property
    def resources(self) -> Sequence[str]:
        """What the API shows."""
        return (
            *("/v1/incidents", "/v1/incidents?state=OPEN", f"/v1/incidents/{self.hurt}", f"/v1/incidents/{self.well}"),
            *("/v1/messages", "/v1/messages?recipient=ada", "/v1/recipients", "/v1/recipients/ada", "/v1/oncall"),
            *("/v1/oncall/primary", "/v1/oncall/primary/overrides", "/metrics"),
            *("/v1/silences", "/v1/heartbeats"),
        )

    def ask(self, path: str) -> Any:
        return self.admin.request("GET", path, headers={"authorization": f"Bearer {self.key}", "cookie": ""})

    def run(self, *arguments: str) -> Any:
        variables = {"NOTIFYFLOW_DATABASE_URL": self.url, "NOTIFYFLOW_DIRECTORY": str(self.folder / "directory.toml")}
        return CliRunner().invoke(app, arguments, env={**variables, "COLUMNS": "300"})

    def link(self, incident_id: str) -> str:
        until = self.driver.clock.now() + timedelta(days=1)
        return f"/a/{sign_link(self.driver.flow.deps.secret_keys, incident_id, 'ada', until)}"


CLI = (
    *(("list",), ("list", "--all"), ("list", "--all", "--json"), ("status",), ("status", HURT), ("status", WELL)),
    *(("status", WELL, "--json"), ("status", WELL, "--markdown"), ("status", "--broken"), ("log",), ("log", "--json")),
    *(("oncall", "show"), ("users", "list"), ("keys", "list"), ("oncall", "feed", "list"), ("check",)),
    *(("silence", "list"), ("silence", "list", "--json"), ("heartbeats",), ("heartbeats", "--json")),
)
"""The commands that show something."""


@pytest.fixture
def scene(tmp_path: Path, database_url: str) -> Iterator[Scene]:
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    variables = {
        "NOTIFYFLOW_PUBLIC_URL": ORIGIN,
        "NOTIFYFLOW_DATABASE_URL": database_url,
        "NOTIFYFLOW_DIRECTORY": str(tmp_path / "directory.toml"),
        "NOTIFYFLOW_OPS_RECIPIENTS": json.dumps([{"id": "ops", "email": "ops@example.com"}]),
    }
    with Driver(variables, folder=tmp_path) as driver:
        yield _set_up(driver, database_url, tmp_path)


def _set_up(driver: Driver, url: str, folder: Path) -> Scene:
    flow = driver.flow
    steps = [Step(to=["ben"], after=timedelta(minutes=5)), Step(to=["@primary"], after=timedelta(minutes=5))]
    ids = []
    for key, script in ((WELL, ""), (HURT, "email: 550; sms: 30006; call: busy")):
        driver.sandbox.script(script)
        ids.append(
            flow.notify(Incident(key=key, title=f"{key} one", severity=Severity.CRITICAL), PEOPLE[:1], then=steps).incident_id
        )
        driver.advance(minutes=1)
    driver.advance(minutes=2)
    now = driver.clock.now()
    flow.pauses.start(Paused.CHANNEL, "email", span=timedelta(hours=9), by="ada")
    flow.notify(Incident(key="held-1", title="held one"), PEOPLE[1:])
    driver.advance(seconds=2)
    flow.oncall.change(Wish(people=("ben",), schedules=("primary",), ends_at=now + timedelta(days=1), by="ada"))
    flow.feeds().make(schedule="primary", by="ada")
    a_silence(flow, "team=quiet")
    flow.notify(Incident(key="silent-1", title="silent one", labels={"team": "quiet"}), PEOPLE[1:])
    admin = visit(flow, Role.ADMIN)
    _, key = flow.access().create("billing", {KeyScope.READ, KeyScope.OPERATE}, valid_for=None, namespace=ALL)
    flow.access().create("other", ALL_SCOPES, valid_for=None)
    flow.users().add("cleo", Role.VIEWER, password="correct horse battery")
    scene = Scene(driver, url, folder, admin, key, hurt=ids[1], well=ids[0])
    flow.deps.transactions.run(lambda ledger: _fill(ledger, ids[1], now))
    roll_up_all(flow.deps)
    return scene


def _fill(ledger: Any, incident_id: str, now: datetime) -> None:
    """Store rows of the tables that are empty yet."""
    came = {"first_at": now, "last_at": now}
    opened = InboundEntry(
        incident_id=incident_id, integration=Via.ALERTMANAGER, api_key="billing", route="", did=InboundEffect.OPENED, **came
    )
    ledger.inbound_log.count([opened])
    ledger.hand_overs.add(HandOver(schedule="primary", at=now, before=("ada",), after=("ben",), until=now), incident_id)
    ledger.replies.opt_out("+15005550006", "+15005550019", at=now)
    counts = {"name": OF_NOTHING, "labels": {}, "count": 1, "sum_s": 1.0, "buckets": (1,)}
    ledger.rollups._unit.insert(MetricTotalRow, [counts])
    ledger.rollups._unit.insert(MetricPeriodRow, [counts | {"minutes": 60, "at": now}])
    claimed = ledger.roster.claim_calendar("office", "source", before=now, now=now)
    shift = Shift(begins_at=now, ends_at=now + timedelta(days=1), people=("ben",), why=DutyReason.CALENDAR)
    ledger.roster.put_shifts(claimed, Calendar(schedule="office", shifts=(shift,), fetched_at=now), etag="", last_modified="")
    ledger.operations.add_notice("a reason", "twilio", at=now)
    ledger.lanes.lock(["a lane"], "sms")
    ledger.heartbeat.claim(before=now, now=now)
    ledger.intervals._store([("all", "", now - timedelta(minutes=1), now, True)], at=now)
    ledger.set_asides._unit.insert(
        SetAsideRow,
        [
            {
                "row_id": "r1",
                "machine": "receipt",
                "incident_id": "",
                "escalation_id": "",
                "severity": "INFO",
                "relation": "receipt",
                "code": "ValueError",
                "what": "no",
                "at": now,
                "until": now,
                "times": 1,
                "is_aside": False,
                "is_paging": False,
                "is_counted": True,
                "is_reported": True,
            }
        ],
    )


_OF_HURT = f"(SELECT id FROM notifyflow_incident WHERE key = '{HURT}')"
_FIRST = f"(SELECT MIN(id) FROM notifyflow_{{}} WHERE incident_id = {_OF_HURT})"
_PAGES = f"SELECT id FROM notifyflow_notification WHERE incident_id = {_OF_HURT}"
_CHOSEN = {
    "incident": (f"id = {_OF_HURT}", "id"),
    "contact": (f"incident_id = {_OF_HURT} AND recipient_id = 'ada'", "recipient_id"),
    **{each: (f"id = {_FIRST.format(each)}", "id") for each in ("step", "escalation", "notification")},
    "queued notification": ("state = 'QUEUED'", "id"),
    "attempt": (f"id = (SELECT MIN(id) FROM notifyflow_attempt WHERE notification_id IN ({_PAGES}))", "id"),
    "critical": (f"escalation_id = {_FIRST.format('escalation')}", "escalation_id"),
    **dict.fromkeys(("metric_total", "metric_period"), (f"name = '{OF_NOTHING}'", "name")),
    "user": ("name = 'cleo'", "id"),
    "api_key": ("name = 'other'", "id"),
}
"""Which row of a table is damaged: the condition that finds it, and the column of its id. Of other tables, all are."""


@contextmanager
def damaged(scene: Scene, table: str, column: str, value: str) -> Iterator[str]:
    """Damage a row in the block; return its id. Health looks for it, since it has not looked for ten seconds."""
    scene.driver.advance(seconds=10)
    where, id_column = _CHOSEN.get(table, ("1 = 1", ""))
    table = table.split()[-1]
    ((before, row_id), *_) = scene.sql(f'SELECT "{column}", {id_column or "1"} FROM notifyflow_{table} WHERE {where}')
    scene.sql(f'UPDATE notifyflow_{table} SET "{column}" = ? WHERE {where}', value)
    try:
        yield str(row_id)
    finally:
        scene.sql(f'UPDATE notifyflow_{table} SET "{column}" = ? WHERE {where}', before)
        scene.sql("DELETE FROM notifyflow_set_aside WHERE row_id <> 'r1'")


def test_no_door_fails_because_of_a_damaged_row(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is opened for the tables that it reads; all are for a table that none of them seemed to read."""
    read = _tables_read(scene, monkeypatch)
    found: list[str] = []
    for table, columns in DAMAGE.items():
        doors = [door for door, tables in read.items() if table.split()[-1] in tables] or list(read)
        for number, (column, value) in enumerate(columns.items()):
            with damaged(scene, table, column, value):
                failed = [each for door in doors if isinstance(door, str) or number == 0 for each in _failures(scene, door)]
            found += [f"{table}.{column}: {each}" for each in failed]
    assert not found, "\n".join(found)


def test_no_page_waits_because_of_another_damaged_row(scene: Scene) -> None:
    """The first attempt of each fails, so that a sweep has to find it, too."""
    flow = scene.driver.flow
    flow.pauses.end(Paused.CHANNEL, "email", by="ada")
    flow.pauses.start(Paused.CHANNEL, "teams", span=timedelta(hours=9), by="ada")
    found: list[str] = []
    for table, columns in DAMAGE.items():
        for column, value in columns.items() if table not in OF_INCIDENTS else list(columns.items())[:1]:
            key = f"{table}.{column}".replace(" ", "-")
            scene.driver.sandbox.script("email: 451 once, then ok")
            with damaged(scene, table, column, value):
                flow.notify(
                    Incident(key=key, title="new", severity=Severity.CRITICAL), [Recipient(id=key, email=f"{key}@example.com")]
                )
                scene.driver.advance(seconds=5)
                ((page,),) = (each.notifications for each in flow.status(key).escalations)
            found += [f"{key}: {page.state}"] if page.state is not NotificationState.SENT else []
    assert not found


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [("override", "people", BROKEN), ("calendar", "shifts", BROKEN), ("calendar", "fetched_at", NEVER)],
)
def test_a_duty_goes_on_beside_a_damaged_override_or_calendar(scene: Scene, table: str, column: str, value: str) -> None:
    """The directory changes meanwhile, and somebody takes a shift. Who is on duty without the damaged row is paged."""
    flow, path = scene.driver.flow, scene.folder / "directory.toml"
    with damaged(scene, table, column, value):
        path.write_text(f'{path.read_text()}\n[recipients.cyd]\nemail = "cyd@example.com"\n')
        scene.driver.advance(seconds=5)
        day = scene.driver.clock.now() + timedelta(days=3)
        flow.oncall.change(
            Wish(people=("cyd",), schedules=("primary",), begins_at=day, ends_at=day + timedelta(days=1), by="ada")
        )
        people = [Recipient(id="eve", email="eve@example.com")]
        then = [Step(to=["@primary"], after=timedelta(minutes=1))]
        flow.notify(Incident(key="new-1", title="new", severity=Severity.CRITICAL), people, then=then)
        scene.driver.advance(minutes=2)
        paged = [each.facts.recipient_id for each in flow.status("new-1").escalations]
        assert paged == ["eve", "ada" if table == "override" else "ben"]
        ((row_id, severity),) = scene.sql("SELECT row_id, severity FROM notifyflow_set_aside WHERE machine = ?", table)
        assert (row_id in scene.run("status", "--broken").stdout, severity) == (True, "INFO")


def test_a_damaged_policy_keeps_no_page_back_where_the_settings_have_it(scene: Scene) -> None:
    flow = scene.driver.flow
    flow.pauses.end(Paused.CHANNEL, "email", by="ada")
    scene.driver.sandbox.script("email: ok")
    with damaged(scene, "policy", "document", BROKEN):
        for known in (policies._policies, policies._snapshots, policies._kept):  # as in a process that is started now
            known.clear()
        assert WELL in scene.run("list").output
        for number in range(policies._MOST):  # and meets many others
            policies._remember(policies._policies, str(number), DEFAULT)
        flow.notify(
            Incident(key="new-1", title="new", severity=Severity.CRITICAL), [Recipient(id="eve", email="eve@example.com")]
        )
        scene.driver.advance(seconds=5)
        assert flow.status("new-1").escalations[0].notifications[0].state is NotificationState.SENT
        assert DEFAULT in [load_policy(each) for (each,) in scene.sql("SELECT document FROM notifyflow_policy") if each != BROKEN]


def _tables_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> dict[str | tuple[str, ...], set[str]]:
    """Open all doors, and return the tables that each reads."""
    statements: list[str] = []
    run = Database.execute_sql
    with monkeypatch.context() as patch:
        patch.setattr(Database, "execute_sql", lambda db, sql, *values: statements.append(sql) or run(db, sql, *values))
        read: dict[str | tuple[str, ...], set[str]] = {}
        for door in (*scene.pages, scene.link(scene.well), scene.link(scene.hurt), *scene.resources, *CLI):
            statements.clear()
            assert list(_failures(scene, door)) == []
            read[door] = set(re.findall(r"\bnotifyflow_(\w+)", " ".join(statements)))
    return read


def _failures(scene: Scene, door: str | tuple[str, ...]) -> Iterator[str]:
    """Open a page, a resource of the API, or a command; yield what is wrong."""
    if isinstance(door, tuple):
        yield from _failures_of_command(scene, door)
        return
    response = scene.ask(door) if door in scene.resources else scene.admin.get(door)
    if response.status_code >= 500:
        yield f"{door} {response.status_code}"
    if door in ("/incidents", "/messages", "/messages.csv", "/v1/incidents", "/v1/messages") and WELL not in response.text:
        yield f"{door} lacks the neighbour"


def _failures_of_command(scene: Scene, command: tuple[str, ...]) -> Iterator[str]:
    result = scene.run(*command)
    if not (result.exception is None or isinstance(result.exception, SystemExit | NotifyflowError)):
        yield f"{' '.join(command)} {result.exception!r}"
    if command[0] in ("list", "log") and WELL not in result.output:
        yield f"{' '.join(command)} lacks the neighbour"


def test_alerts_beside_a_damaged_incident_are_taken_and_the_sender_is_told_which_is_damaged(scene: Scene) -> None:
    _, key = scene.driver.flow.access().create("prometheus", {KeyScope.INGEST}, valid_for=None)

    def send(status: str) -> Any:
        alerts = [{"status": status, "fingerprint": each, "labels": {"alertname": each}} for each in ("a", "b")]
        headers = {"authorization": f"Bearer {key}", "cookie": ""}
        return scene.admin.request("POST", "/v1/alertmanager", headers=headers, json={"alerts": alerts})

    assert send("firing").status_code == 202
    ((hurt,),) = scene.sql("SELECT id FROM notifyflow_incident WHERE key = 'alertmanager/a'")
    for column, value in DAMAGE["incident"].items():
        ((before,),) = scene.sql(f"SELECT {column} FROM notifyflow_incident WHERE id = ?", hurt)
        scene.sql(f"UPDATE notifyflow_incident SET {column} = ? WHERE id = ?", value, hurt)
        refused = send("firing")
        name = f"{hurt}: the column {column.removeprefix('content_')} cannot be read"
        assert (refused.status_code, name in refused.json()["detail"]) == (503, True), refused.text
        refused = send("resolved")
        assert refused.status_code == (202 if column.startswith("content_") else 503), column
        assert scene.sql("SELECT COUNT(*) FROM notifyflow_incident WHERE key = 'alertmanager/b' AND state <> 'RESOLVED'") == [
            (0,)
        ]
        scene.sql(f"UPDATE notifyflow_incident SET {column} = ? WHERE id = ?", before, hurt)
        assert send("firing").status_code == 202
        ((hurt,),) = scene.sql("SELECT id FROM notifyflow_incident WHERE key = 'alertmanager/a' AND state <> 'RESOLVED'")


def test_what_is_left_out_is_counted_on_the_page_in_the_api_and_by_the_command_and_named_on_health(scene: Scene) -> None:
    with damaged(scene, "incident", "severity", LOUD) as row_id:
        name = f"incident {row_id}: the column severity cannot be read (ValueError)"
        assert f"1 row is left out because it is damaged: {name}" in words(scene.admin.get("/incidents").text)
        response = scene.ask("/v1/incidents")
        assert (response.headers[LEFT_OUT], [each["key"] for each in response.json()["incidents"]][-1]) == ("1", WELL)
        listed = scene.run("list", "--all")
        assert name in listed.stderr
        assert name in scene.run("status", "--broken").stdout
        assert row_id in [each["row_id"] for each in json.loads(scene.run("status", "--broken", "--json").stdout)["damaged"]]
        assert name in words(scene.admin.get("/health").text)
    assert LEFT_OUT not in scene.ask("/v1/incidents").headers
    assert "left out" not in scene.admin.get("/incidents").text


def test_an_instant_that_sets_a_pace_is_written_anew(scene: Scene) -> None:
    for table, column in (("rollup", "rolled_up_at"), ("roster", "changed_at")):
        scene.sql(f"UPDATE notifyflow_{table} SET {column} = ?", NEVER)
    roll_up_all(scene.driver.flow.deps)
    assert WELL in scene.run("list").output
    assert "counted up to" in words(scene.admin.get("/health").text)
    assert not [each for each in scene.sql("SELECT changed_at FROM notifyflow_roster") if str(each[0]) == NEVER]


def test_health_looks_for_damage_again_after_ten_seconds(scene: Scene) -> None:
    with damaged(scene, "incident", "severity", LOUD) as row_id:
        assert row_id in scene.admin.get("/health").text
    scene.driver.advance(seconds=9)
    assert row_id in scene.admin.get("/health").text
    scene.driver.advance(seconds=1)
    assert row_id not in scene.admin.get("/health").text


def test_a_visitor_of_one_namespace_sees_how_many_rows_are_left_out_and_not_which(scene: Scene) -> None:
    other = visit(scene.driver.flow, Role.VIEWER, name="eve", namespaces=[SHARED])
    with damaged(scene, "incident", "severity", LOUD) as row_id:
        page = words(other.get("/incidents").text)
        assert "1 row is left out because it is damaged." in page
        assert row_id not in page
        assert row_id not in other.get("/health").text


@pytest.mark.parametrize("limit", [1, 2])
def test_pages_lose_nothing_behind_a_damaged_row(scene: Scene, limit: int) -> None:
    def keys() -> list[str]:
        found, cursor = [], ""
        while cursor is not None:
            page = scene.ask(f"/v1/incidents?limit={limit}{cursor and '&cursor=' + cursor}").json()
            assert len(page["incidents"]) == limit or page["next_cursor"] is None
            found += [each["key"] for each in page["incidents"]]
            cursor = page["next_cursor"]
        return found

    whole = keys()
    with damaged(scene, "incident", "content_labels", BROKEN):
        assert keys() == [each for each in whole if each != HURT]


def test_messages_behind_damaged_ones_are_reached_page_by_page(scene: Scene) -> None:
    def ids() -> list[str]:
        found, cursor = [], ""
        while cursor is not None:
            page = scene.ask(f"/v1/messages?limit=2{cursor and '&cursor=' + cursor}").json()
            assert len(page["messages"]) == 2 or page["next_cursor"] is None
            found += [each["id"] for each in page["messages"]]
            cursor = page["next_cursor"]
        return found

    whole = ids()
    with damaged(scene, "attempt", "started_at", NEVER) as attempt_id, damaged(scene, "notification", "kind", LOUD) as row_id:
        ((whose,),) = scene.sql("SELECT notification_id FROM notifyflow_attempt WHERE id = ?", attempt_id)
        assert ids() == [each for each in whole if each not in (row_id, whose)]


@pytest.mark.parametrize(
    ("table", "column"), [("notification", "severity"), ("attempt", "started_at"), ("escalation", "severity")]
)
def test_a_damaged_row_of_an_incident_is_named_in_its_place(scene: Scene, table: str, column: str) -> None:
    with damaged(scene, table, column, LOUD if column == "severity" else NEVER) as row_id:
        if table == "attempt":
            ((row_id,),) = scene.sql("SELECT notification_id FROM notifyflow_attempt WHERE id = ?", row_id)
        machine = "notification" if table == "attempt" else table
        name = f"{machine} {row_id}: the column {column}"
        page = words(scene.admin.get(f"/incidents/{scene.hurt}").text)
        assert f"{HURT} one" in page
        assert name in page.partition("Who is paged")[2 if table != "escalation" else 0]
        assert name in " ".join(scene.run("status", HURT).stdout.replace("│", " ").split())
        (document,) = scene.ask(f"/v1/incidents/{scene.hurt}").json()["damaged"]
        assert (document["table"], document["row_id"], document["column"], document["owner"]) == (machine, row_id, column, table)


def test_the_page_the_resource_and_the_command_of_a_damaged_incident_say_what_is_wrong_and_what_to_do(scene: Scene) -> None:
    with damaged(scene, "incident", "opened_at", NEVER) as row_id:
        wrong = f"incident {row_id} is damaged: the column opened_at of its row in the table notifyflow_incident cannot be read"
        page = scene.admin.get(f"/incidents/{row_id}")
        assert page.status_code == 409
        assert wrong in words(page.text)
        assert f"notifyflow status --release {row_id}" in words(page.text)
        problem = scene.ask(f"/v1/incidents/{row_id}")
        assert (problem.status_code, problem.json()["type"]) == (409, "urn:notifyflow:problem:damaged-incident")
        assert wrong in problem.json()["detail"]
        for name in (HURT, row_id):
            shown = scene.run("status", name)
            assert isinstance(shown.exception, DamagedIncident)
            assert wrong in str(shown.exception)
        link = scene.admin.get(scene.link(row_id))
        assert link.status_code == 409
        assert "The incident is damaged." in link.text


def test_a_damaged_incident_is_neither_acknowledged_nor_resolved_and_every_door_says_why(scene: Scene) -> None:
    headers = {"authorization": f"Bearer {scene.key}"}
    with damaged(scene, "incident", "opened_at", NEVER) as row_id:
        for act in ("acknowledge", "resolve"):
            assert scene.admin.send("/incidents", f"/incidents/{row_id}/{act}").status_code == 409
            assert scene.admin.request("POST", f"/v1/incidents/{row_id}/{act}", headers=headers).status_code == 409
            with pytest.raises(DamagedIncident, match=row_id):
                getattr(scene.driver.flow, act)(HURT, by="ada")
        assert isinstance(scene.run("ack", HURT).exception, DamagedIncident)
        assert scene.admin.request("POST", scene.link(row_id)).status_code == 409
    assert scene.driver.flow.status(HURT).facts.state is IncidentState.OPEN


@pytest.mark.parametrize("act", ["acknowledge", "resolve"])
@pytest.mark.parametrize("machine", ["notification", "escalation", "incident"])
def test_what_the_database_refuses_to_write_is_left_and_named(scene: Scene, machine: str, act: str) -> None:
    headers = {"authorization": f"Bearer {scene.key}"}
    where, _ = _CHOSEN[machine]
    ((row_id,),) = scene.sql(f"SELECT id FROM notifyflow_{machine} WHERE {where}")
    deps = scene.driver.flow.deps
    with refused(deps, machine, row_id, Damage.REFUSED):
        response = scene.admin.request("POST", f"/v1/incidents/{scene.hurt}/{act}", headers=headers)
        if machine == "incident":
            assert (response.status_code, response.json()["type"]) == (409, "urn:notifyflow:problem:damaged-incident")
            assert "the database refuses to write its row" in response.json()["detail"]
        else:
            assert response.status_code == 200, response.text
            assert (response.json()["has_changed"], response.json()["left"]) == (True, [row_id])
    assert scene.run("status", "--release", row_id).exit_code == 0
    escalations = scene.driver.flow.status(HURT).escalations
    assert any(each.facts.state in LIVE and each.facts.is_current for each in escalations) == (machine == "incident")


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("notification", "severity", LOUD),
        ("attempt", "started_at", NEVER),
        ("escalation", "severity", LOUD),
        ("contact", "addresses", BROKEN),
        ("step", "to", BROKEN),
        ("incident", "content_labels", BROKEN),
    ],
)
@pytest.mark.parametrize("act", ["acknowledge", "resolve"])
def test_an_incident_is_taken_and_ended_whatever_else_of_it_is_damaged(
    scene: Scene, table: str, column: str, value: str, act: str
) -> None:
    headers = {"authorization": f"Bearer {scene.key}"}
    with damaged(scene, table, column, value):
        response = scene.admin.request("POST", f"/v1/incidents/{scene.hurt}/{act}", headers=headers)
        assert response.status_code == 200, response.text
        assert response.json()["has_changed"]
    status = scene.driver.flow.status(HURT)
    assert status.facts.state is (IncidentState.ACKNOWLEDGED if act == "acknowledge" else IncidentState.RESOLVED)
    ended = [each.facts.state for each in status.escalations if each.facts.is_current]
    left = 1 if table == "escalation" else 0
    assert sum(state in LIVE for state in ended) <= left


def words(page: str) -> str:
    """Return the text of a page, single-spaced."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
