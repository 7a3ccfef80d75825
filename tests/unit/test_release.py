"""Pages say how the package is installed."""

import re
from pathlib import Path

from packaging.version import Version

from notifyflow.version import __version__

TOP = Path(__file__).parents[2]


def test_until_the_first_release_pages_say_what_to_install_meanwhile() -> None:
    pages = [TOP / "README.rst", *(TOP / "docs").rglob("*.rst")]
    lines = [line for page in pages for line in page.read_text(encoding="utf-8").splitlines()]
    installing = [line for line in lines if re.search(r"pip install (--upgrade )?notifyflow\b(?!`)", line)]
    assert len(installing) >= 5
    is_published = Version(__version__) >= Version("0.1.0")
    assert [line for line in installing if ("  # not published yet: " in line) is is_published] == []
