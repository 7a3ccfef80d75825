"""The page about templates lists every template, and every field that they can use."""

import re
from pathlib import Path

from notifyflow.channels import templating

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "templates.rst").read_text(encoding="utf-8")
SHIPPED = Path(templating.__file__).parent / "templates"
NAMES = re.findall(r"^   \* - ``([^`]+)``$", PAGE, flags=re.MULTILINE)


def test_every_template_is_listed() -> None:
    shipped = {str(path.relative_to(SHIPPED)) for path in SHIPPED.rglob("*.jinja")}
    assert {name for name in NAMES if "/" in name} == shipped | set(templating.OPTIONAL)


def test_every_field_has_a_meaning_and_an_example() -> None:
    table = PAGE.partition("\nFields\n")[2]
    rows = re.findall(r"^   \* - ``\w+``\n     - \S[^*]*?\n     - \S", table, flags=re.MULTILINE)
    assert len(rows) == len(templating.FIELDS)


def test_every_field_is_listed_once() -> None:
    assert sorted(name for name in NAMES if "/" not in name) == sorted(templating.FIELDS)
