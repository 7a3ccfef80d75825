"""Takes a gallery of all messages and pages, for whoever changes them, and the pictures of the documentation."""

import base64
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from dashboard import dashboard
from jinja2 import Environment, FileSystemLoader
from messages import INCIDENTS, messages
from rich.console import Console
from terminal import picture_the_status

from notifyflow import Incident, NotifyFlow, Policy, Recipient, Settings, Severity
from notifyflow.app import log_output
from notifyflow.cli.demo import show
from notifyflow.cli.frame import serving
from notifyflow.cli.frame.exits import Exit
from notifyflow.core.delivery.policy import Tier
from notifyflow.core.limits.pauses import PauseScope
from notifyflow.sandbox.system import Sandbox
from tests.browser import Browser, browser

DOCS = Path("docs/pictures")
GALLERY = Path("docs/_build/gallery")
PHONE, DESKTOP, WINDOW = 390, 1100, 780
IN_DOCS = {
    **{f"{channel} page CRITICAL": channel for channel in ("email", "slack", "teams", "push", "sms", "voice")},
    **{f"{channel} bundle CRITICAL": f"{channel}-bundle" for channel in ("push", "sms")},
    "web acknowledge": "acknowledge",
    "web acknowledged": "acknowledged",
    "web bundle": "bundle",
}
TOP_IN_DOCS = {f"{channel} bundle CRITICAL": f"{channel}-bundle" for channel in ("email", "slack", "voice")}
WIDE_IN_DOCS = {f"dashboard {name}": name for name in ("incidents", "incident", "silences", "oncall", "heartbeats")}
CLEO = "+15005550013"
TOGETHER = {
    Severity.CRITICAL: ("orders db has no primary", "checkout refuses orders"),
    Severity.ERROR: ("search answers 500 to one in five", "billing runs late"),
    Severity.WARNING: ("the queue of invoices is long",),
}
AT_ONCE = (
    "mail is late",
    "search is slow",
    "orders db has no primary",
    "checkout refuses orders",
    "billing runs late",
    "login is slow in eu-1",
    "the queue of invoices is long",
)
EVERYWHERE = Policy(name="everywhere", tiers=(Tier(name="all", channels=("email", "slack", "teams", "push", "sms", "voice")),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One picture of the gallery."""

    group: str
    name: str
    file: str


def main() -> None:
    """Take all pictures."""
    for folder in (DOCS, GALLERY):
        folder.mkdir(parents=True, exist_ok=True)
    with log_output.into(StringIO()):
        picture_the_demo()
        picture_the_status(DOCS / "status.svg")
        with TemporaryDirectory(ignore_cleanup_errors=True) as folder, browser(Path(folder)) as page:
            page.call("Emulation.setScrollbarsHidden", hidden=True)
            shots = [*shoot_messages(page), *shoot_pages(page, folder), *shoot_dashboard(page)]
    template = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True).get_template("gallery.html")
    groups = {name: [shot for shot in shots if shot.group == name] for name in dict.fromkeys(shot.group for shot in shots)}
    (GALLERY / "index.html").write_text(template.render(groups=groups))
    print(GALLERY / "index.html")


def picture_the_demo() -> None:
    """Run the demo and picture the end of its output."""
    console = Console(record=True, width=110, file=StringIO())
    if show.run(console) is not Exit.OK:
        raise SystemExit("The demo told something that is not true.")
    console.save_svg(str(DOCS / "demo.svg"), title="notifyflow demo")


def shoot_messages(page: Browser) -> Iterator[Shot]:
    """Picture every message; those of a small screen only as on one."""
    for channel, occasion, severity, html in messages():
        source = GALLERY / f"{channel}-{occasion}-{severity}.html".replace(" ", "-").replace(",", "")
        source.write_text(html)
        widths = (PHONE, DESKTOP) if channel in ("email", "slack", "teams") else (PHONE,)
        group = f"{channel}: {occasion}"
        yield from shoot(page, source.absolute().as_uri(), group, f"{channel} {occasion} {severity}", widths)


def shoot_pages(page: Browser, folder: str) -> Iterator[Shot]:
    """Picture every page of the web service and of the sandbox."""
    with Sandbox() as sandbox, serving.listen("127.0.0.1", 0) as web:
        url = serving.url_of(web)
        variables = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{folder}/pictures.db",
            "NOTIFYFLOW_PUBLIC_URL": url,
        }
        with NotifyFlow(Settings.from_variables(variables)) as flow, serving.served(flow.asgi(), web):
            pages = {"acknowledge": page_ada(flow, sandbox, INCIDENTS[0])}
            (DOCS / "inbox.png").write_bytes(picture(page, sandbox.url, 720, "light", height=878))
            call_about_several(flow, sandbox)
            (DOCS / "call.png").write_bytes(
                picture(page, f"{sandbox.url}/?channel=voice&to={CLEO[1:]}", 720, "light", height=WINDOW)
            )
            pages |= {f"acknowledge, {each.severity}": page_ada(flow, sandbox, each) for each in INCIDENTS[1:]}
            pages |= {
                "bundle": page_at_once(flow, sandbox),
                "unknown link": f"{url}/a/unknown",
                "start": url,
                "sandbox inbox": sandbox.url,
            }
            for name, link in pages.items():
                yield from shoot(page, link, "web", f"web {name}", (PHONE, DESKTOP))
            flow.acknowledge(INCIDENTS[0].key, by="ada")
            flow.acknowledge(INCIDENTS[1].key, by="ben")
            flow.resolve(INCIDENTS[2].key, by="ben")
            later = {
                "acknowledged": "acknowledge",
                "acknowledged by Ben": "acknowledge, ERROR",
                "resolved": "acknowledge, WARNING",
            }
            for name, before in later.items():
                yield from shoot(page, pages[before], "web", f"web {name}", (PHONE, DESKTOP))


def shoot_dashboard(page: Browser) -> Iterator[Shot]:
    """Picture every page of the dashboard."""
    for name, link in dashboard(page):
        yield from shoot(page, link, "dashboard", f"dashboard {name}", (PHONE, DESKTOP))


def page_ada(flow: NotifyFlow, sandbox: Sandbox, incident: Incident) -> str:
    """Page one person on every channel, and another in Slack; return the link in the first one's email."""
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
    seen = max((message.number for message in sandbox.inbox.messages()), default=0)
    flow.notify(incident, [ada, Recipient(id="ben", name="Ben", slack=sandbox.slack_url("ben"))], policy=EVERYWHERE)
    for channel in EVERYWHERE.tiers[0].channels:
        done = "completed" if channel == "voice" else "delivered" if channel == "sms" else "sent"
        wanted = (channel, done)
        sandbox.inbox.wait_for(
            lambda message, wanted=wanted: message.number > seen and (message.channel, message.status) == wanted
        )
    mail = sandbox.inbox.wait_for(lambda message: message.number > seen and message.to == "ada@example.com")
    return next(link for link in mail.links if "/a/" in link)


def page_at_once(flow: NotifyFlow, sandbox: Sandbox) -> str:
    """Page one person about several incidents at once, and let things happen to some; return the link of the message."""
    cleo = Recipient(id="cleo", name="Cleo", slack=sandbox.slack_url("cleo"), timezone="Europe/Berlin")
    for number, title in enumerate(AT_ONCE):
        flow.notify(Incident(key=f"at-once-{number}", title=title, severity=Severity.ERROR), [cleo])
    message = sandbox.inbox.wait_for(lambda message: " incidents: " in message.text)
    flow.acknowledge("at-once-4", by="Ben")
    flow.resolve("at-once-5", by="ops")
    flow.notify(Incident(key="at-once-6", title=AT_ONCE[6], severity=Severity.CRITICAL), [cleo])
    links = [link for link in message.links if "/a/" in link]
    return next(link for link in links if " open</h1>" in requests.get(link, timeout=10).text)


def call_about_several(flow: NotifyFlow, sandbox: Sandbox) -> None:
    """Call one person about several incidents; they press a key when the third title is said."""
    sandbox.script(f"call to {CLEO}: key 1 at 3")
    flow.pauses.start(PauseScope.CHANNEL, "voice", span=timedelta(hours=1), by="ops", is_for_critical=True)
    policy = Policy(name="phone", tiers=(Tier(name="all", channels=("voice",)),))
    for severity, titles in TOGETHER.items():
        for title in titles:
            flow.notify(
                Incident(key=title, title=title, severity=severity),
                [Recipient(id="cleo", name="Cleo", phone=CLEO)],
                policy=policy,
            )
    flow.pauses.end(PauseScope.CHANNEL, "voice", by="ops")
    sandbox.inbox.wait_for(lambda message: (message.to, message.status) == (CLEO, "completed"))


def shoot(page: Browser, url: str, group: str, name: str, widths: tuple[int, ...]) -> Iterator[Shot]:
    """Picture a page in all its forms for the gallery, and as the documentation shows it."""
    for width in widths:
        for scheme in ("light", "dark"):
            file = f"{name} {width} {scheme}.png".replace(" ", "-").replace(",", "")
            (GALLERY / file).write_bytes(picture(page, url, width, scheme))
            yield Shot(group=group, name=f"{name}, {width} px, {scheme}", file=file)
    if name in IN_DOCS:
        (DOCS / f"{IN_DOCS[name]}.png").write_bytes(picture(page, url, PHONE, "light", scale=1.5))
    if name in TOP_IN_DOCS:
        (DOCS / f"{TOP_IN_DOCS[name]}.png").write_bytes(picture(page, url, PHONE, "light", height=WINDOW))
    if name in WIDE_IN_DOCS:
        (DOCS / f"{WIDE_IN_DOCS[name]}.png").write_bytes(picture(page, url, DESKTOP, "light", height=WINDOW))


def picture(page: Browser, url: str, width: int, scheme: str, *, scale: float = 1, height: int = 0) -> bytes:
    """Return a picture of a page, by default as high as the page."""
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    for tall in (height or 100, height):
        shown = tall or page.evaluate("document.documentElement.scrollHeight")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=shown, deviceScaleFactor=scale, mobile=False)
        if tall:
            page.open(url)
    return smaller(base64.b64decode(page.call("Page.captureScreenshot", format="png")["data"]))


def smaller(png: bytes) -> bytes:
    """Return the same picture, compressed as well as zlib can (PNG specification, clauses 5.3 and 10)."""
    head, data, at = png[:8], b"", 8
    kept = []
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        data += content if kind == b"IDAT" else b""
        kept += [] if kind == b"IDAT" else [(kind, content)]
        at += length + 12
    kept.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(data), 9)))
    chunks = (struct.pack(">I", len(each)) + kind + each + struct.pack(">I", zlib.crc32(kind + each)) for kind, each in kept)
    return head + b"".join(chunks)


if __name__ == "__main__":
    main()
