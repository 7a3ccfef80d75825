"""The inbox page, which shows each mail, text, card and call as its reader would see it."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from itertools import groupby

from jinja2 import Environment, PackageLoader, Template
from markupsafe import Markup, escape

from notifyflow.errors import Fault
from notifyflow.sandbox.http import Request
from notifyflow.sandbox.inbox import URL, Inbox, Message, Piece

SEARCHED = ("channel", "to", "text")
_PROGRAM = files("notifyflow.sandbox").joinpath("inbox.js").read_text("utf-8")
_HASH = base64.b64encode(hashlib.sha256(_PROGRAM.encode()).digest()).decode()
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (  # mails are shown in frames, which inherit this, and have styles of their own
        f"default-src 'none'; script-src 'sha256-{_HASH}'; connect-src 'self'; style-src 'unsafe-inline'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""The headers of the page: it loads nothing, and runs no other script than its own, whatever a message holds."""
_SHOWN = 100
_BOLD = re.compile(r"(?<![\w*])(\*{1,2})(?=\S)([^*\n]+?)(?<=\S)\1(?![\w*])")


def as_values(messages: Iterable[Message]) -> list[dict[str, object]]:
    """Return messages as values for JSON."""
    return [{**asdict(message), "links": message.links} for message in messages]


def render(inbox: Inbox, query: Mapping[str, str], script: str, faults: Iterable[Fault] = ()) -> str:
    """Render the page: the newest hundred messages of a search, newest first, the script, and what is wrong with a new one."""
    messages = find(inbox, query)
    shown = messages[: -_SHOWN - 1 : -1]
    return _template().render(
        messages=shown,
        counts=inbox.counts(),
        left_out=len(messages) - len(shown),
        query={name: query.get(name, "") for name in SEARCHED},
        script=script,
        faults=faults,
        program=Markup(_PROGRAM),  # noqa: S704 - our own file
    )


def find(inbox: Inbox, query: Mapping[str, str]) -> tuple[Message, ...]:
    """Return the messages that a query asks for, oldest first."""
    return inbox.search(**{name: query.get(name, "") for name in SEARCHED})


def is_same_origin(request: Request) -> bool:
    """Return whether a form was sent by this page, or by a program that is no browser; both headers are the browser's own."""
    site, origin = request.headers.get("sec-fetch-site", "none"), request.headers.get("origin", "")
    return site in ("none", "same-origin") and origin in ("", f"http://{request.headers.get('host', '')}")


def mark_up(text: str) -> Markup:
    """Make URLs links and ``*words*`` bold, as chat programs do; everything else is escaped."""
    made, end = Markup(), 0
    for url in URL.finditer(text):
        made += _bold(text[end : url.start()]) + Markup('<a href="{0}" target="_blank" rel="noreferrer">{0}</a>').format(url[0])
        end = url.end()
    return made + _bold(text[end:])


def _bold(text: str) -> Markup:
    return Markup(_BOLD.sub(r"<strong>\2</strong>", str(escape(text))))  # noqa: S704 - escaped just before


def runs(pieces: Iterable[Piece]) -> list[list[Piece]]:
    """Group neighbouring pieces of one kind, so that facts form one table."""
    return [list(run) for _, run in groupby(pieces, key=lambda piece: piece.kind)]


@cache
def _template() -> Template:
    environment = Environment(loader=PackageLoader("notifyflow.sandbox", ""), autoescape=True)
    environment.filters |= {"links": mark_up, "runs": runs}
    return environment.get_template("inbox.html")
