"""The example of a plug-in's channel: its distribution as an installer leaves it, and the service that it pages over."""

import hashlib
import hmac
import json
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

PROJECT = Path(__file__).parents[1] / "examples" / "pager-channel"
SECRET = "the secret of the pagers"
DEADLINE_S = 30

for _folder in (str(PROJECT / "src"), str(PROJECT / "tests")):
    if _folder not in sys.path:
        sys.path.append(_folder)


def install(folder: Path) -> None:
    """Write the metadata that an installer writes for the distribution; its module stays where it is."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = "".join(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items())
        for group, points in project["entry-points"].items()
    )
    (metadata / "entry_points.txt").write_text(groups)


@dataclass
class Page:
    """A page, as the service keeps it."""

    id: str
    fields: dict[str, Any]
    status: str = "sent"
    is_recalled: bool = False
    texts: list[str] = field(default_factory=list)


class PagerService:
    """A pager service over real HTTP; pagers show nothing until ``show`` is called."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.is_losing_responses = False
        self.url = ""
        self._lock = threading.Lock()

    def of(self, number: str) -> Page:
        """Return the last page to a pager."""
        return [page for page in self.pages if page.fields["to"] == number][-1]

    def show(self, page: Page) -> None:
        """Show a page, and report that."""
        page.status = "shown"
        self._call(page.fields["callback_url"], {"id": page.id, "status": page.status}).raise_for_status()

    def press(self, page: Page, *, secret: str = SECRET) -> requests.Response:
        """Press the button of the pager that shows a page."""
        token = page.fields["reply_token"]
        return self._call(page.fields["reply_url"], {"event": f"{page.id}:ok", "button": "ok", "token": token}, secret=secret)

    def respond(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(path)
        fields = json.loads(body) if body else {}
        with self._lock:
            match method, parts.path.strip("/").split("/"):
                case "POST", ["pages"]:
                    page = Page(f"page-{len(self.pages) + 1}", fields, texts=[fields["text"]])
                    self.pages.append(page)
                    return (0 if self.is_losing_responses else 201), {"id": page.id}
                case "GET", ["pages"]:
                    wanted = parse_qs(parts.query)["reference"]
                    found = [page for page in self.pages if page.fields["reference"] in wanted]
                    return 200, {"pages": [{"id": page.id, "status": page.status} for page in found]}
                case _, ["pages", page_id, *action]:
                    (page,) = (page for page in self.pages if page.id == page_id)
                    if method == "POST" and action == ["recall"]:
                        page.is_recalled = True
                    elif method == "POST":
                        page.texts.append(fields["text"])
                    return 200, {"id": page.id, "status": page.status}
        return 404, {}

    @staticmethod
    def _call(url: str, fields: dict[str, str], *, secret: str = SECRET) -> requests.Response:
        body = json.dumps(fields).encode()
        headers = {"X-Pager-Signature": hmac.digest(secret.encode(), body, hashlib.sha256).hex()}
        return requests.post(url, data=body, headers=headers, timeout=DEADLINE_S)


@contextmanager
def pager_service() -> Iterator[PagerService]:
    service = PagerService()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, value = service.respond(self.command, self.path, body)
            self.close_connection = True
            if not status:
                return
            sent = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = handle_any  # noqa: N815 - http.server's names

        def log_message(self, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False

    server = Server(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
