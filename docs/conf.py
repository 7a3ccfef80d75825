"""How the documentation is built; ``scripts/docs`` builds it."""

import notifyflow

project = "notifyflow"
author = "The notifyflow authors"
copyright = "2026, the notifyflow authors"  # Sphinx's name for it
release = version = notifyflow.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.graphviz", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "diagrams/*.rst", "figures/*.rst"]
html_theme = "furo"
html_title = "notifyflow"
graphviz_output_format = "svg"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
nitpick_ignore_regex = [("py:.*", ".*")]
pygments_style = "friendly"
pygments_dark_style = "native"
