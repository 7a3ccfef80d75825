"""Renders messages from Jinja2 templates: package data, which templates in an operator's folder may replace.

A template can use ``FIELDS`` and the values that its channel adds. Its extension decides how
values are escaped: ``.html.jinja`` and ``.xml.jinja`` escape markup, ``.mrkdwn.jinja`` escapes Slack's control characters,
``.txt.jinja`` escapes nothing.

If an operator's template fails, the error is logged and the shipped template is used, so that the page goes out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from notifyflow.core.delivery.model import Kind, Severity
from notifyflow.core.messages.bundle_words import bundle_of
from notifyflow.core.messages.content import Content
from notifyflow.errors import Fault
from notifyflow.log import get_logger

if TYPE_CHECKING:
    from notifyflow.channels.template_folder import TemplateFolder

_PROPERTIES = ("action", "counted", "details", "links", "look", "other_labels", "short_titles", "web_addresses")
FIELDS = (*(field.name for field in fields(Content)), *_PROPERTIES)
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
SAMPLE_BUNDLE = bundle_of([SAMPLE] * 5, named=3, oldest=SAMPLE, link="https://example.com/a/all", reply="ALL 42")


class Templates:
    """The templates; the operator's take precedence over ours."""

    def __init__(self, folder: Path | None = None) -> None:
        """Set the folder of the operator's own templates, laid out like the shipped ones: ``email/subject.txt.jinja``."""
        self._folder = folder

    @cached_property
    def _shipped(self) -> "TemplateFolder":
        from notifyflow.channels.template_folder import TemplateFolder  # with Jinja2, by what renders

        return TemplateFolder.shipped()

    @cached_property
    def _own(self) -> "TemplateFolder | None":
        if self._folder is None:
            return None
        from notifyflow.channels.template_folder import TemplateFolder

        return TemplateFolder.at(self._folder)

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
        """Try the operator's own templates of one channel, a folder, on samples with the values that the channel adds."""
        own = self._own
        if own is None:
            return ()
        values = [_values(sample, more) for sample in (SAMPLE, SAMPLE_BUNDLE)]
        known = {*self._shipped.names, *OPTIONAL}
        names = [name for name in own.names if name.startswith(f"{channel}/")]
        return tuple(fault for name in names if (fault := _fault(own, name, values, name in known)))


def _values(content: Content | None, more: Mapping[str, object]) -> Mapping[str, object]:
    if content is None:
        return more
    return {**{name: getattr(content, name) for name in FIELDS}, **more}


def _fault(own: "TemplateFolder", name: str, values: Iterable[Mapping[str, object]], is_known: bool) -> Fault | None:
    where = f"NOTIFYFLOW_TEMPLATES/{name}"
    if not is_known:
        return Fault(where, "replaces no template of ours", "Look at its name; docs/reference/templates.rst lists the templates")
    try:
        for each in values:
            own.render(name, each)
    except Exception as error:  # noqa: BLE001 - a template may do anything
        what = f"fails: {error}" if own.is_of_template(error) else f"fails with {type(error).__name__}"
        return Fault(where, what, "Mend the template; until then the shipped one is used")
    return None
