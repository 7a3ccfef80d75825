"""Rewrites a README for a package index, which has neither the pictures nor the pages that it leads to.

    python scripts/lib/long_description.py TREE VERSION

Where ``project_urls`` of TREE/setup.cfg names the ``Source``, a web address of the repository, they lead to the tag there.
Otherwise the text of a link and the description of a picture stay.
"""

import configparser
import re
import sys
from pathlib import Path

_PICTURE = re.compile(r"^\.\. image:: (?!https?:)(\S+)\n((?:   .*\n)+)", re.MULTILINE)
_LINK = re.compile(r"`([^`<]+?)\s+<(?!https?:)([^`>]+)>`_")


def rewritten(text: str, source: str | None, version: str) -> str:
    """Return the text without a relative address."""

    def picture(found: re.Match[str]) -> str:
        if source:
            return f".. image:: {source}/raw/v{version}/{found[1]}\n{found[2]}"
        return f"*{' '.join(found[2].split()).removeprefix(':alt: ')}*\n"

    def link(found: re.Match[str]) -> str:
        return f"`{found[1]} <{source}/blob/v{version}/{found[2]}>`_" if source else found[1]

    return _LINK.sub(link, _PICTURE.sub(picture, text))


def source_of(configuration: str) -> str | None:
    """Return the web address of the repository that a setup.cfg names."""
    setup = configparser.ConfigParser()
    setup.read_string(configuration)
    urls = dict(re.findall(r"^(\w+)\s*=\s*(\S+)", setup["metadata"].get("project_urls", ""), re.MULTILINE))
    return urls.get("Source", "").rstrip("/") or None


if __name__ == "__main__":
    tree, readme = Path(sys.argv[1]), Path(sys.argv[1]) / "README.rst"
    text = rewritten(readme.read_text(encoding="utf-8"), source_of((tree / "setup.cfg").read_text(encoding="utf-8")), sys.argv[2])
    readme.write_text(text, encoding="utf-8")
