"""One folder of Jinja2 templates, and how values are escaped in them.

Importing it loads Jinja2, which only rendering needs: ``templating`` imports it with the first message, or at a start.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from jinja2 import BaseLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined, TemplateError, Undefined

from notifyflow.core import text

_MARKUP = (".html.jinja", ".xml.jinja")
_MRKDWN = ".mrkdwn.jinja"


class TemplateFolder:
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

    @classmethod
    def shipped(cls) -> Self:
        """Return the shipped templates."""
        return cls(PackageLoader("notifyflow.channels"))

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return the templates of an operator."""
        return cls(FileSystemLoader(path))

    def __contains__(self, name: str) -> bool:
        return name in self.names

    @property
    def names(self) -> list[str]:
        """The paths of all templates, below the folder."""
        return self._plain.list_templates(extensions=["jinja"])

    def render(self, name: str, values: Mapping[str, object]) -> str:
        """Render a template; it raises what the template raises."""
        chosen = self._markup if name.endswith(_MARKUP) else self._mrkdwn if name.endswith(_MRKDWN) else self._plain
        return chosen.get_template(name).render(values).strip()

    @staticmethod
    def is_of_template(error: Exception) -> bool:
        """Return whether an error is about the template itself, so that its text helps the author."""
        return isinstance(error, TemplateError)


def escape_mrkdwn(value: str) -> str:
    """Escape text for Slack: only these three characters (docs.slack.dev, "Formatting message text", "Escaping text")."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escape(value: object) -> object:
    return value if isinstance(value, Undefined) else escape_mrkdwn(str(value))
