"""Renders the HTML pages; it decides nothing and knows no request.

A page that needs no login is one file with its style inside. The content security policy allows that style and nothing else, so
that a page opens at once on a slow connection, and a hostile title stays text. The dashboard's pages load assets, and set their
own headers.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from notifyflow.core.diagrams import diagram_svg
from notifyflow.core.insight import attempt_words
from notifyflow.core.insight.bundled_words import waiting_for
from notifyflow.core.messages import looks
from notifyflow.core.messages.evidence import VOUCHED
from notifyflow.core.messages.ways import way
from notifyflow.core.text import HEADLINE_LIMIT, cut, masked

_templates = Environment(
    loader=PackageLoader("notifyflow.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_templates.filters |= {"cut": cut, "masked": masked, "segment": partial(quote, safe=""), "way": way}
_style = _templates.get_template("page.css").render()
_style_hash = base64.b64encode(hashlib.sha256(_style.encode()).digest()).decode()
_templates.globals["style"] = Markup(_style)  # noqa: S704 - our own file, without any value in it
_templates.globals["headline"] = HEADLINE_LIMIT
_templates.globals["state_looks"] = looks.NOTIFICATIONS
_templates.globals |= {"attempt_look": attempt_words.look, "coded": attempt_words.coded, "vouched": VOUCHED}
_templates.globals |= {"in_one_message": attempt_words.in_one_message, "waiting_for": waiting_for}
_templates.globals["lifecycle_style"] = Markup(diagram_svg.STYLE)  # noqa: S704 - as above

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_style_hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
"""The headers of every response that sets no others: nothing is loaded, cached, framed or indexed, and links send no referrer."""


def render(template: str, values: Mapping[str, Any]) -> str:
    """Render a page from its file in ``templates/``, which escapes the values."""
    return _templates.get_template(template).render(values)


def stylesheet(folder: str) -> str:
    """Return the colours and all styles of a folder in ``templates/``, as one file; ``base.css`` comes first."""
    parts = _templates.list_templates(filter_func=lambda name: name.startswith(f"{folder}/") and name.endswith(".css"))
    ordered = sorted(parts, key=lambda name: (not name.endswith("/base.css"), name))
    return "".join(_templates.get_template(name).render() for name in ("colours.css", *ordered))


def refusal(headline: str, detail: str, notice: str) -> str:
    """Render the page about an error: what happened, and what to do."""
    return render("refusal.html", {"headline": headline, "detail": detail, "notice": notice})
