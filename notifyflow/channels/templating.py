"""Renders messages from Jinja2 templates: package data, which templates in an operator's folder may replace.

A template can use ``FIELDS`` and the values that its channel adds. Its extension decides how
values are escaped: ``.html.jinja`` and ``.xml.jinja`` escape markup, ``.mrkdwn.jinja`` escapes Slack's control characters,
``.txt.jinja`` escapes nothing.

If an operator's template fails, the error is logged and the shipped template is used, so that the page goes out.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined, TemplateError, Undefined

from notifyflow.core.model import Kind, Severity
from notifyflow.core.wording import text
from notifyflow.core.wording.content import Content
from notifyflow.errors import Fault
from notifyflow.log import get_logger

_MARKUP = (".html.jinja", ".xml.jinja")
_MRKDWN = ".mrkdwn.jinja"
FIELDS = (*(field.name for field in fields(Content)), "details", "first_link", "links", "other_labels", "look", "web_addresses")
OPTIONAL = ("slack/text.mrkdwn.jinja",)
"""Templates that operators may have, and that are not shipped."""
_log = get_logger(__name__)

SAMPLE = Content(
    kind=Kind.PAGE,
    severity=Severity.CRITICAL,
    title="orders db is down",
    key="db-1",
    recipient_name="Ada",
    occurred="Wed 25 Nov 03:14 CET",
    occurred_utc="02:14 UTC",
    body="No answer for 30 s.",
    url="https://example.com/db-1",
    link="https://example.com/a/token",
    labels={"team": "orders", "runbook_url": "https://example.com/runbooks/db"},
    also_paged="Ben",
)


def escape_mrkdwn(value: str) -> str:
    """Escape text for Slack: only these three characters (docs.slack.dev, "Formatting message text", "Escaping text")."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Templates:
    """The templates; the operator's take precedence over ours."""

    def __init__(self, folder: Path | None = None) -> None:
        """Set the folder of the operator's own templates, laid out like the shipped ones: ``email/subject.txt.jinja``."""
        self._shipped = _Set(PackageLoader("notifyflow.channels"))
        self._own = _Set(FileSystemLoader(folder)) if folder else None

    def render(self, name: str, content: Content | None, **more: object) -> str:
        """Render a template, by its path below the folder, with a message's content, if any, and the channel's values."""
        own = self.render_own(name, content, **more)
        return self._shipped.render(name, _values(content, more)) if own is None else own

    def render_own(self, name: str, content: Content | None, **more: object) -> str | None:
        """Render the operator's template of that name; None if there is none, or if it fails."""
        if self._own and name in self._own:
            try:
                return self._own.render(name, _values(content, more))
            except Exception as error:  # noqa: BLE001 - the page goes out even if the template fails
                _log.error("channels.template_failed", template=name, error=type(error).__name__)
        return None

    def faults(self, channel: str, **more: object) -> tuple[Fault, ...]:
        """Try the operator's own templates of one channel, a folder, on a sample with the values that the channel adds."""
        values = _values(SAMPLE, more)
        own = self._own
        names = [name for name in own.names if name.startswith(f"{channel}/")] if own else []
        known = {*self._shipped.names, *OPTIONAL}
        return tuple(fault for name in names if own and (fault := _fault(own, name, values, name in known)))


def _values(content: Content | None, more: Mapping[str, object]) -> Mapping[str, object]:
    if content is None:
        return more
    return {**{name: getattr(content, name) for name in FIELDS}, **more}


class _Set:
    """The templates of one folder, with the three ways of escaping values."""

    def __init__(self, loader: BaseLoader) -> None:
        def environment(**options: Any) -> Environment:
            made = Environment(  # noqa: S701 - only markup is escaped as markup
                loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False, **options
            )
            made.filters["cut"] = text.cut
            made.globals["headline"] = text.HEADLINE_LIMIT
            return made

        self._plain = environment(autoescape=False)
        self._markup = environment(autoescape=True)
        self._mrkdwn = environment(autoescape=False, finalize=_escape)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    @property
    def names(self) -> list[str]:
        return self._plain.list_templates(extensions=["jinja"])

    def render(self, name: str, values: Mapping[str, object]) -> str:
        chosen = self._markup if name.endswith(_MARKUP) else self._mrkdwn if name.endswith(_MRKDWN) else self._plain
        return chosen.get_template(name).render(values).strip()


def _escape(value: object) -> object:
    return value if isinstance(value, Undefined) else escape_mrkdwn(str(value))


def _fault(own: _Set, name: str, values: Mapping[str, object], is_known: bool) -> Fault | None:
    where = f"NOTIFYFLOW_TEMPLATES/{name}"
    if not is_known:
        return Fault(where, "replaces no template of ours", "Look at its name; docs/reference/templates.rst lists the templates")
    try:
        own.render(name, values)
    except Exception as error:  # noqa: BLE001 - a template may do anything
        what = f"fails: {error}" if isinstance(error, TemplateError) else f"fails with {type(error).__name__}"
        return Fault(where, what, "Mend the template; until then the shipped one is used")
    return None
