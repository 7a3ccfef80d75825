"""How the documentation is built; ``scripts/docs`` builds it."""

import re
from pathlib import Path

from sphinx.application import Sphinx

import notifyflow

project = "notifyflow"
author = "The notifyflow authors"
copyright = "2026, the notifyflow authors"  # Sphinx's name for it
release = version = notifyflow.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "diagrams/*.rst", "figures/*.rst"]
html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}
html_title = "notifyflow"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
templates_path = ["_templates"]
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
napoleon_use_ivar = True

# Every cross-reference resolves; the names below belong to other projects, whose inventories a build without network cannot read.
nitpicky = True
nitpick_ignore = [
    ("py:class", name)
    for name in (
        "collections.abc.Callable",
        "collections.abc.Callable[[]",
        "collections.abc.Collection",
        "collections.abc.Iterable",
        "collections.abc.Iterator",
        "collections.abc.Mapping",
        "collections.abc.Sequence",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "enum.StrEnum",
        "pathlib.Path",
        "Connection",
        "FastAPI",
        "ssl.SSLContext",
        "notifyflow.core.delivery.series_carried.Carried",
        "notifyflow.core.delivery.series_carried.Series",
    )
]
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"


def _show_factories(*event: object) -> tuple[str, object] | None:
    """Return a signature that Sphinx can parse: ``<factory>``, a dataclass's mark of a computed default, is no expression."""
    *_, signature, returns = event
    return (signature.replace("<factory>", "..."), returns) if isinstance(signature, str) else None


def _link_files(app: Sphinx, path: Path, docname: str, content: list[str]) -> None:
    """Rewrite the links of an included file of the repository, which lead to files, for the site."""
    del app, docname
    text = re.sub(r"`([^`<]+?) <docs/([\w/.-]+)\.rst>`_", r":doc:`\1 </\2>`", content[0])
    text = re.sub(r"`([^`<]+?) <README\.rst>`_", r":doc:`\1 </index>`", text)
    content[0] = re.sub(r"`([^`<]+?) <([\w.-]+)>`_", rf":download:`\1 <../../{path.parent.name}/\2>`", text)


def setup(app: Sphinx) -> None:
    """Connect to Sphinx."""
    app.connect("autodoc-process-signature", _show_factories)
    app.connect("include-read", _link_files)
