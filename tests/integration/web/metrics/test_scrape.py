"""The metrics of a system that has lived through something: whole, well-formed, cheap to read, and nothing personal."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from notifyflow import Incident, Recipient, Severity
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.metrics.families import FAMILIES
from notifyflow.core.oncall.pings import Ping, Signal
from notifyflow.core.oncall.watched_jobs import JobState
from notifyflow.pipeline.rollup import roll_up_all
from notifyflow.testing import Driver
from notifyflow.web.metrics.exposition import GAUGES, LIST_READS, MISSES
from tests.asgi import Client

DOCS = Path(__file__).parents[4] / "docs"
MONITORING = DOCS / "monitoring"
ADA = Recipient(
    id="ada-lovelace", name="Ada", email="ada@example.com", phone="+15005550011", slack="https://hooks.slack.com/T/B/x"
)
DIRECTORY = """
[recipients.ada-lovelace]
email = "ada@example.com"
[recipients.bob]
[recipients.eve]
email = "eve@example.com"
[default]
to = ["ada-lovelace", "bob"]
[schedules.night]
timezone = "UTC"
layers = [{ who = ["bob"], from = 2016-01-04T09:00:00, every = "1d", only = "Mon-Fri" }]
[schedules.legacy]
timezone = "UTC"
ical = "https://calendar.example.com/duty.ics"
[heartbeats.backup]
every = "1h"
[heartbeats.export]
every = "1h"
"""

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    directory = tmp_path_factory.mktemp("directory") / "directory.toml"
    directory.write_text(DIRECTORY)
    variables = {"NOTIFYFLOW_DIRECTORY": str(directory), "NOTIFYFLOW_METRICS_HOSTS": "127.0.0.1,10.0.0.0/8"}
    with Driver(variables) as driver:
        yield driver


@pytest.fixture(scope="module")
def client(driver: Driver) -> Client:
    return Client(driver.flow.asgi())


def live(driver: Driver) -> None:
    driver.sandbox.script("email: 550")
    driver.flow.notify(
        Incident(key="orders-db", title="the lost orders db", severity=Severity.CRITICAL), [ADA], policy="insistent"
    )
    driver.advance(minutes=12)
    driver.flow.acknowledge("orders-db", by="ada-lovelace")
    driver.advance(minutes=1)
    roll_up_all(driver.flow.deps)


def samples(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def value(of: Samples, name: str, **labels: str) -> float:
    return of[name, frozenset(labels.items())]


def promtool(*arguments: str, text: str = "") -> str:
    done = subprocess.run(["promtool", *arguments], input=text, text=True, capture_output=True, cwd=MONITORING, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_series_is_there_before_anything_has_happened(client: Client) -> None:
    found = samples(client.get("/metrics").text)
    counted = {
        name: number for (name, _), number in found.items() if not name.endswith(("_timestamp_seconds", "_info", "_created"))
    }
    assert {f"{name}_total" for name, family in FAMILIES.items() if not family.bounds_s} <= counted.keys()
    assert value(found, "notifyflow_critical_failures_total", severity="CRITICAL") == 0
    twilio = {"channel": "sms", "provider": "twilio"}
    assert value(found, "notifyflow_failures_total", **twilio, reason="refused_us") == 0
    assert value(found, "notifyflow_accepted_seconds_bucket", channel="voice", severity="CRITICAL", le="10.0") == 0
    assert value(found, "notifyflow_circuit", **twilio, state="closed") == 1
    assert value(found, "notifyflow_unreachable_people") == 1, "bob has no address, and no route leads to eve"
    assert value(found, "notifyflow_oncall_gaps", schedule="night") in (4, 5), "one each weekend"
    assert value(found, "notifyflow_oncall_unreachable_people") == 1
    assert value(found, "notifyflow_operations_recipients") == 0
    assert value(found, "notifyflow_calendar_read_timestamp_seconds", schedule="legacy") == 0
    assert len(found) < 2500


def test_what_has_happened_is_counted_and_nothing_personal_is_shown(driver: Driver, client: Client) -> None:
    live(driver)
    text = client.get("/metrics").text
    found = samples(text)
    smtp = {"channel": "email", "provider": "smtp"}
    assert value(found, "notifyflow_attempts_total", **smtp, severity="CRITICAL", outcome="permanent_failure") > 0
    assert value(found, "notifyflow_accepted_seconds_count", channel="sms", severity="CRITICAL") > 0
    assert value(found, "notifyflow_human_seconds_sum", severity="CRITICAL") == 720
    assert value(found, "notifyflow_human_seconds_bucket", severity="CRITICAL", le="600.0") == 0
    assert value(found, "notifyflow_human_seconds_bucket", severity="CRITICAL", le="900.0") == 1
    now = driver.clock.now().timestamp()
    assert value(found, "notifyflow_oldest_due_timestamp_seconds") == now
    assert now - value(found, "notifyflow_last_sweep_timestamp_seconds") < 60
    assert value(found, "notifyflow_counted_timestamp_seconds") == now
    for private in ("ada", "example.com", "+1500", "orders", "lost"):
        assert private not in text.lower()


def test_what_is_due_and_who_was_not_reached_is_shown(tmp_path: Path) -> None:
    directory = tmp_path / "directory.toml"
    directory.write_text(DIRECTORY.partition("[schedules")[0])  # operations are told of a calendar that cannot be read
    with Driver({"NOTIFYFLOW_DIRECTORY": str(directory), "NOTIFYFLOW_METRICS_HOSTS": "127.0.0.1"}) as driver:
        client = Client(driver.flow.asgi())
        driver.sandbox.script("email: 550\nsms: 400\nvoice: 400")
        driver.flow.notify(Incident(key="a", title="a", severity=Severity.CRITICAL), [ADA])
        opened_at = driver.clock.now().timestamp()
        found = samples(client.get("/metrics").text)
        assert value(found, "notifyflow_oldest_due_timestamp_seconds") == opened_at
        driver.advance(minutes=20)
        roll_up_all(driver.flow.deps)
        found = samples(client.get("/metrics").text)
        assert value(found, "notifyflow_oldest_unacknowledged_timestamp_seconds", severity="CRITICAL") == opened_at
        assert value(found, "notifyflow_critical_failures_total", severity="CRITICAL") == 1
        assert value(found, "notifyflow_unreachable_people") == 2


def test_a_failure_is_untold_until_a_page_of_operations_is_accepted() -> None:
    operations = [{"id": "olga", "email": "olga@example.com"}]
    variables = {"NOTIFYFLOW_OPS_RECIPIENTS": json.dumps(operations), "NOTIFYFLOW_METRICS_HOSTS": "127.0.0.1"}
    with Driver(variables) as driver:
        client = Client(driver.flow.asgi())
        driver.sandbox.script("email: 550\nsms: 400\nvoice: 400\nslack: 404")
        driver.flow.notify(Incident(key="a", title="a", severity=Severity.CRITICAL), [ADA])
        driver.advance(minutes=12)
        now = driver.clock.now().timestamp()
        found = samples(client.get("/metrics").text)
        assert value(found, "notifyflow_operations_recipients") == 1
        assert now - 720 <= value(found, "notifyflow_operations_untold_timestamp_seconds") < now
        driver.sandbox.script("all: ok")
        driver.advance(minutes=20)
        found = samples(client.get("/metrics").text)
        assert value(found, "notifyflow_operations_untold_timestamp_seconds") == driver.clock.now().timestamp()


def test_prometheus_accepts_what_is_shown(client: Client) -> None:
    promtool("check", "metrics", text=client.get("/metrics").text)


def test_the_watched_jobs_are_counted_by_state_and_each_has_its_last_success(driver: Driver, client: Client) -> None:
    watch, now = driver.flow._service.watched_jobs, driver.clock.now()
    watch.receive("backup", Ping(signal=Signal.SUCCESS, at=now), "GET")
    watch.receive("export", Ping(signal=Signal.FAIL, at=now), "GET")
    watch.sweep()
    found = samples(client.get("/metrics").text)
    states = {state: value(found, "notifyflow_heartbeats", state=state) for state in JobState}
    assert {state: count for state, count in states.items() if count} == {"up": 1, "failed": 1}
    for name, figures in {"backup": (1, now.timestamp(), 0), "export": (0, 0, 1)}.items():
        names = ("up", "success_timestamp_seconds", "misses_total")
        assert tuple(value(found, f"notifyflow_heartbeat_{each}", heartbeat=name) for each in names) == figures


def test_openmetrics_is_shown_to_those_who_accept_it(client: Client) -> None:
    plain = client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=")
    response = client.request("GET", "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert {family.name for family in read_openmetrics(response.text)} == {*FAMILIES, *GAUGES, LIST_READS.name, MISSES.name}


def test_only_listed_hosts_and_keys_for_the_metrics_are_admitted(driver: Driver) -> None:
    application = driver.flow.asgi()
    listed, other, odd = (Client(application, host=host) for host in ("10.1.2.3", "192.0.2.1", "unix"))
    assert listed.get("/metrics").status_code == 200
    assert other.get("/metrics").status_code == odd.get("/metrics").status_code == 401
    for scope in KeyScope:
        key = driver.flow.access().create(
            "prometheus", [scope], valid_for=None, heartbeat="backup" if scope is KeyScope.PING else None
        )[1]
        response = other.request("GET", "/metrics", headers={"authorization": f"Bearer {key}"})
        assert response.status_code == (200 if scope is KeyScope.METRICS else 403)
    forged = {"x-forwarded-for": "10.1.2.3", "forwarded": "for=10.1.2.3"}
    assert other.request("GET", "/metrics", headers=forged).status_code == 401


def test_the_reference_lists_every_metric_with_its_labels() -> None:
    page = (DOCS / "how-to/monitor.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^   \* - ``(notifyflow_\w+)``\n     -(.*)\n", page, re.MULTILINE)
    listed = {name: tuple(re.findall(r"``(\w+)``", labels)) for name, labels in rows}
    families = (*FAMILIES.values(), LIST_READS, MISSES)
    shown = {each.name if each.bounds_s else f"{each.name}_total": each.labels for each in families}
    assert listed == shown | {name: labels for name, (_, labels) in GAUGES.items()}


def test_the_rules_do_what_their_tests_say_and_each_alert_is_shown_firing_and_silent() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")
    alerts = re.findall(r"^      - alert: (\w+)$", (MONITORING / "alerts.yml").read_text(), re.MULTILINE)
    tests = (MONITORING / "alerts_test.yml").read_text()
    silent = set(re.findall(r"alertname: (\w+), eval_time: \w+, exp_alerts: \[\]", tests))
    firing = set(re.findall(r"alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels", tests))
    assert set(alerts) == silent == firing
    page = (DOCS / "how-to/monitor.rst").read_text(encoding="utf-8")
    assert re.findall(r"^   \* - ``(Notifyflow\w+)``$", page, re.MULTILINE) == alerts


def test_every_expression_names_metrics_and_labels_that_exist(client: Client) -> None:
    found = samples(client.get("/metrics").text)
    names = {name for name, _ in found}
    labels = {label for _, pairs in found for label, _ in pairs} | {"instance"}
    dashboard = json.loads((MONITORING / "grafana.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(expressions) >= 15
    rules = "".join((MONITORING / each).read_text() for each in ("alerts.yml", "alerts_test.yml"))
    used = set(re.findall(r"notifyflow_\w+", "\n".join([*expressions, rules])))
    assert used <= names
    grouped = re.findall(r"by \(([^)]*)\)", "\n".join([*expressions, rules]))
    assert {label.strip() for some in grouped for label in some.split(",")} <= labels
