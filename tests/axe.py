"""What axe-core finds wrong with a page: contrast, names, roles, landmarks, what the keyboard cannot reach."""

import json
from pathlib import Path

from tests.browser import Browser

_SOURCE = (Path(__file__).parent / "data" / "axe.min.js").read_text(encoding="utf-8")
_STILL = (
    "addEventListener('DOMContentLoaded', () => { const still = new CSSStyleSheet();"  # which no content security policy refuses
)
_STILL += " still.replaceSync('* { transition: none !important }');"  # a colour on its way to another is none to judge
_STILL += " document.adoptedStyleSheets.push(still) })"


def prepare(page: Browser) -> None:
    """Load axe-core into every page that is opened from now on."""
    for source in (_SOURCE, _STILL):
        page.call("Page.addScriptToEvaluateOnNewDocument", source=source)


def faults(page: Browser, *rules: str, within: str = "html") -> list[str]:
    """Return what axe finds on the page as it is shown now.

    Args:
        page: The page, opened after ``prepare``.
        rules: Only these rules; by default all.
        within: A selector of the parts to look at.
    """
    options = json.dumps({"resultTypes": ["violations"], "preload": False} | ({"runOnly": rules} if rules else {}))
    shown = "each => each.nodes.map(node => `${each.id}: ${node.target}: ${node.failureSummary}`)"
    return list(
        page.evaluate(
            "new Promise(requestAnimationFrame)"  # what a page does after it was resized is done
            f".then(() => axe.run({within!r}, {options})).then(result => result.violations.flatMap({shown}))"
        )
    )
