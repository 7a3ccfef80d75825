"""The inbox page, which shows each mail, text, card and call as its reader would see it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from itertools import groupby

from jinja2 import Environment, PackageLoader, Template
from markupsafe import Markup, escape

from notifyflow.sandbox.inbox import URL, Inbox, Piece

HEADERS: Mapping[str, str] = {"Cache-Control": "no-store"}
_SHOWN = 100
_BOLD = re.compile(r"(?<![\w*])(\*{1,2})(?=\S)([^*\n]+?)(?<=\S)\1(?![\w*])")


def as_values(inbox: Inbox) -> list[dict[str, object]]:
    """Return all messages as values for JSON, oldest first."""
    return [{**asdict(message), "links": message.links} for message in inbox.messages()]


def render(inbox: Inbox) -> str:
    """Render the page with the newest hundred messages, newest first; ``/inbox.json`` has all."""
    messages = inbox.messages()
    shown = messages[: -_SHOWN - 1 : -1]
    return _template().render(messages=shown, counts=inbox.counts(), left_out=len(messages) - len(shown))


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
