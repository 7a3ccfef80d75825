"""What is tried with the image: a page through it, its stop, its death, and what it refuses."""

import base64
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from urllib.request import urlopen

from psycopg import sql

from notifyflow import NotifyFlow, Settings
from notifyflow.core.accounts.users import Role
from tests.browser import Browser
from tests.chaos.field import Field, Verdict, until
from tests.dashboard import PASSWORD
from tests.image.podman import Container, How, Volume, many, run
from tests.servers.ports import reserve_port
from tests.servers.postgres import Postgres
from tests.servers.redis import Redis

WORKER = ("dramatiq", "notifyflow.worker", "--processes", "1", "--threads", "8")
READY = "Worker process is ready"
CHANNELS = ("email", "slack", "teams", "push", "sms", "voice")
POLICY = f"""
[everywhere]
[[everywhere.tiers]]
name = "all"
channels = {list(CHANNELS)}
"""
KILLS = 10
PEOPLE = 20


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A start that was refused: why, by which command, with which exit code, and in which words."""

    why: str
    command: str
    code: int
    said: str


@dataclass(frozen=True, kw_only=True)
class Inbox:
    """A sandbox in a container: its inbox page, the settings that lead to it, and addresses of Ada's in it."""

    url: str
    settings: Mapping[str, str]
    addresses: Mapping[str, str]

    def reached(self) -> dict[str, str]:
        """Return the channels on which it accepted something, each with its provider."""
        with urlopen(f"{self.url}/inbox.json", timeout=10) as response:
            return {message["channel"]: message["provider"] for message in json.load(response) if message["is_accepted"]}


@contextmanager
def sandbox_container() -> Iterator[Inbox]:
    """Run the sandbox from the image."""
    port = reserve_port()
    with Container(How(variables={}, volumes={}), "notifyflow", "sandbox", "--port", str(port)) as sandbox:
        sandbox.await_line("# To receive incident events")
        settings = dict(re.findall(r"^export (NOTIFYFLOW_\w+)=(.*)$", sandbox.log, re.MULTILINE))
        addresses = dict(re.findall(r"^#   (slack|teams|push) +(\S+)$", sandbox.log, re.MULTILINE))
        yield Inbox(url=f"http://127.0.0.1:{port}", settings=settings, addresses=addresses)


def page_through(how: How, inbox: Inbox) -> dict[str, str]:
    """Page a person on every channel with ``notifyflow send``; return the channels on which the sandbox was reached."""
    ada = {"id": "ada", "name": "Ada", "email": "ada@example.com", "phone": "+15005550006", **inbox.addresses}
    document = {"key": "db-1", "title": "orders db is down", "severity": "CRITICAL", "recipients": [ada]}
    # it would wait for a receipt of the push message, which the sandbox does not send
    sent = run(how, "notifyflow", "send", "-", "--policy", "everywhere", "--timeout", "10", text=json.dumps(document))
    until(lambda: set(inbox.reached()) >= set(CHANNELS), what=f"the sandbox was not reached on each channel\n{sent.stdout}")
    return {channel: provider for channel, provider in inbox.reached().items() if channel in CHANNELS}


def embedded(folder: Path, user: str) -> dict[str, str]:
    """Run ``up`` on a named volume as some user; return the channels on which a person was reached."""
    (folder / "policies.toml").write_text(POLICY)
    with sandbox_container() as inbox, Volume() as volume:
        port = reserve_port()
        variables = {
            **inbox.settings,
            "NOTIFYFLOW_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "NOTIFYFLOW_POLICIES": "/etc/notifyflow/policies.toml",
            "NOTIFYFLOW_SES_FROM": "pages@example.com",
            "NOTIFYFLOW_PROVIDER_ORDER": "ses",  # with a model of botocore's
        }
        how = How(variables=variables, volumes={volume: "/data", str(folder): "/etc/notifyflow:ro"}, user=user)
        with Container(how, "notifyflow", "up", "--port", str(port)) as up:
            up.await_line("Listening on")
            reached = page_through(how, inbox)
            assert up.stop() == 0, up.log
            return reached


def divided(server: Postgres, broker: Redis, folder: Path, page: Browser, picture: Path) -> dict[str, str]:
    """Run a web service and two workers on PostgreSQL and Redis, page a person, and picture the dashboard."""
    (folder / "policies.toml").write_text(POLICY)
    with sandbox_container() as inbox, ExitStack() as stack:
        port = reserve_port()
        variables = {
            **inbox.settings,
            "NOTIFYFLOW_DATABASE_URL": server.url(server.create_database()),
            "NOTIFYFLOW_BROKER_URL": broker.url,
            "NOTIFYFLOW_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "NOTIFYFLOW_POLICIES": "/etc/notifyflow/policies.toml",
        }
        how = How(variables=variables, volumes={str(folder): "/etc/notifyflow:ro"})
        upgraded = run(how, "notifyflow", "db", "upgrade")
        assert upgraded.returncode == 0, upgraded.stdout
        web = stack.enter_context(Container(how, "notifyflow", "web", "--port", str(port)))
        workers = many(stack, 2, how, *WORKER)
        web.await_line("Listening on")
        for worker in workers:
            worker.await_line(READY)
        reached = page_through(how, inbox)
        with NotifyFlow(Settings.from_variables({**variables, "NOTIFYFLOW_POLICIES": str(folder / "policies.toml")})) as flow:
            flow.users().add("grace", Role.ADMIN, password=PASSWORD)
            incident_id = flow.status("db-1").facts.id
        picture.write_bytes(_picture(page, f"http://127.0.0.1:{port}", incident_id))
        assert [each.stop() for each in (web, *workers)] == [0, 0, 0]
        return reached


def stop_in_good_order(field: Field) -> tuple[float, Verdict]:
    """Stop workers in the middle of sends; return how long it took in seconds, and the verdict after others went on."""
    field.sandbox.script("all: slow 700 ms")
    with ExitStack() as stack:
        workers = many(stack, 2, _how(field), *WORKER)
        for worker in workers:
            worker.await_line(READY)
        field.notify(PEOPLE)
        until(lambda: field.seen() > 0)
        began = time.monotonic()
        codes = [worker.stop() for worker in workers]
        took_s = time.monotonic() - began
        assert codes == [0, 0], codes
    field.sandbox.script("")
    with ExitStack() as stack:
        many(stack, 1, _how(field), *WORKER)
        field.settle()
    verdict = field.verdict()
    assert verdict.is_clean
    assert verdict.doubts == 0, "a stop puts nothing in doubt"
    return took_s, verdict


def kill_under_load(field: Field) -> Verdict:
    """Kill one of two containers with -9 again and again while pages are sent; podman starts it again by itself."""
    field.sandbox.script("all: slow 300 ms")
    with ExitStack() as stack:
        workers = many(stack, 2, _how(field, "--restart=always"), *WORKER)
        for worker, number in zip(cycle(workers), range(1, KILLS + 1), strict=False):
            until(lambda of=worker, times=1 + (number - 1) // 2: of.log.count(READY) >= times)  # type: ignore[misc]
            seen = field.seen()
            field.notify(PEOPLE)
            until(lambda before=seen: field.seen() > before)  # type: ignore[misc]
            worker.kill()
        field.settle()
        assert [worker.stop() for worker in workers] == [0, 0]
    verdict = field.verdict()
    assert verdict.is_clean, verdict
    return verdict


def refusals(server: Postgres, broker: Redis, folder: Path) -> Iterator[Refusal]:
    """Start with what cannot work."""
    older, newer = server.create_database(), server.create_database()
    shared = {"NOTIFYFLOW_BROKER_URL": broker.url}
    upgraded = run(How(variables={"NOTIFYFLOW_DATABASE_URL": server.url(newer)}, volumes={}), "notifyflow", "db", "upgrade")
    assert upgraded.returncode == 0, upgraded.stdout
    server.execute(sql.SQL("UPDATE notifyflow_migration SET version = 99, oldest = 99"), newer)
    root_only = folder / "root-only"
    root_only.mkdir(mode=0o700)
    up, web = ("notifyflow", "up", "--port", "0"), ("notifyflow", "web", "--port", "0")

    def told(why: str, how: How, *command: str) -> Refusal:
        ended = run(how, *command)
        assert ended.returncode, f"{why} was not refused"
        said = re.sub(r"^\[.*\n?", "", ended.stdout, flags=re.MULTILINE)  # dramatiq's own lines
        return Refusal(why=why, command=" ".join(command[:2]), code=ended.returncode, said=said.strip())

    for name, what in (
        ("an unknown URL", "mysql://db/pages"),
        ("no schema", server.url(older)),
        ("a newer schema", server.url(newer)),
    ):
        how = How(variables={**shared, "NOTIFYFLOW_DATABASE_URL": what}, volumes={})
        yield told(name, how, *web)
        yield told(name, how, *WORKER)
    yield told("a folder that the user may not write", How(variables={}, volumes={str(root_only): "/data"}), *up)
    yield told("SQLite in memory", _sqlite("/tmp/pages.db"), *up)
    yield told("SQLite in the container's layer", _sqlite("/opt/pages.db", is_read_only=False), *up)


def _sqlite(file: str, *, is_read_only: bool = True) -> How:
    return How(variables={"NOTIFYFLOW_DATABASE_URL": f"sqlite:///{file}"}, volumes={}, is_read_only=is_read_only)


def _how(field: Field, *more: str) -> How:
    return How(variables=field.variables, volumes={}, more=more)


def _picture(page: Browser, url: str, incident_id: str) -> bytes:
    """Log in, and return a picture of the page of an incident."""
    page.call("Emulation.setScrollbarsHidden", hidden=True)
    page.call("Emulation.setDeviceMetricsOverride", width=1100, height=800, deviceScaleFactor=1, mobile=False)
    page.open(f"{url}/login")
    page.write("#name", "grace")
    page.write("#password", PASSWORD)
    page.click("form.fields button")
    page.open(f"{url}/incidents/{incident_id}")
    return base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"])
