"""Every test that the security page names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "security.rst").read_text(encoding="utf-8")
NAMED = re.findall(r"\| ``(?P<file>[\w/]+\.py)``: (?P<sentence>[^\n]+)", PAGE)


@pytest.mark.parametrize(("file", "sentence"), NAMED)
def test_a_defence_has_its_tests(file: str, sentence: str) -> None:
    folder = ROOT if file.startswith("notifyflow/") else ROOT / "tests"
    source = (folder / file).read_text(encoding="utf-8")
    assert f"def test_{sentence.replace(' ', '_')}(" in source


def test_every_threat_has_a_test() -> None:
    rows = PAGE.split("   * - ")[2:]
    assert len(rows) >= 15
    assert all("| ``" in row for row in rows)
