"""The inbox page: each mail, text, card and call as its reader would see it."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import cache

from jinja2 import Environment, PackageLoader, Template

from notifyflow.sandbox.inbox import Inbox

HEADERS: Mapping[str, str] = {"Cache-Control": "no-store"}


def as_values(inbox: Inbox) -> list[dict[str, object]]:
    """Give all messages as values for JSON, oldest first."""
    return [{**asdict(message), "links": message.links} for message in inbox.messages()]


def render(inbox: Inbox) -> str:
    """Render the page, newest message first."""
    return _template().render(messages=tuple(reversed(inbox.messages())), counts=inbox.counts())


@cache
def _template() -> Template:
    return Environment(loader=PackageLoader("notifyflow.sandbox", "."), autoescape=True).get_template("inbox.html")
