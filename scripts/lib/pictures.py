"""Takes the pictures of the documentation: the demo's output, the sandbox's inbox, and the page behind the link."""

import base64
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from notifyflow import Incident, NotifyFlow, Policy, Recipient, Settings, Severity
from notifyflow.cli import log, serving
from notifyflow.cli.demo import show
from notifyflow.cli.exits import Exit
from notifyflow.core.policy import Tier
from notifyflow.sandbox.system import Sandbox
from tests.browser import Browser, browser

FOLDER = Path("docs/pictures")
INCIDENT = Incident(
    key="db-1",
    title="orders db is down",
    body="No primary since 02:13 UTC. Orders are refused.",
    severity=Severity.CRITICAL,
    source="grafana",
    url="https://grafana.example.com/d/orders",
    labels={"team": "orders"},
)
EVERYWHERE = Policy(name="everywhere", tiers=(Tier(name="all", channels=("email", "slack", "teams", "push", "sms", "voice")),))


def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    log.to_file(StringIO())
    picture_the_demo()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder, Sandbox() as sandbox, serving.listen("127.0.0.1", 0) as web:
        variables = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{folder}/pictures.db",
            "NOTIFYFLOW_PUBLIC_URL": serving.url_of(web),
        }
        with (
            NotifyFlow(Settings.from_variables(variables)) as flow,
            serving.served(flow.asgi(), web),
            browser(Path(folder)) as page,
        ):
            link = fill_the_inbox(flow, sandbox)
            shoot(page, link, "acknowledge", width=390, height=620, scale=2)
            shoot(page, sandbox.url, "inbox", width=860, height=1560, scale=1)


def picture_the_demo() -> None:
    """Run the demo and return the end of its output."""
    console = Console(record=True, width=110, file=StringIO())
    if show.run(console) is not Exit.OK:
        raise SystemExit("The demo told something that is not true.")
    console.save_svg(str(FOLDER / "demo.svg"), title="notifyflow demo")


def fill_the_inbox(flow: NotifyFlow, sandbox: Sandbox) -> str:
    """Page one person on every channel; return the link in her email."""
    ada = Recipient(
        id="ada",
        name="Ada",
        email="ada@example.com",
        slack=sandbox.slack_url("ada"),
        teams=sandbox.teams_url("ada"),
        push=sandbox.push_arn("ada"),
        phone="+15005550011",
        timezone="Europe/Berlin",
    )
    flow.notify(INCIDENT, [ada], policy=EVERYWHERE)
    for channel in EVERYWHERE.tiers[0].channels:
        done = "completed" if channel == "voice" else "delivered" if channel == "sms" else "sent"
        sandbox.inbox.wait_for(lambda message, channel=channel, done=done: (message.channel, message.status) == (channel, done))
    return next(link for link in sandbox.inbox.messages(channel="email")[0].links if "/a/" in link)


def shoot(page: Browser, url: str, name: str, *, width: int, height: int, scale: int) -> None:
    """Take a picture of a page."""
    page.call("Emulation.setScrollbarsHidden", hidden=True)
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    page.open(url)
    picture = page.call("Page.captureScreenshot", format="png")["data"]
    (FOLDER / f"{name}.png").write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    main()
