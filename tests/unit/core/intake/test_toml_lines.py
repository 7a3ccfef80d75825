"""A fault of the directory names the line on which its value stands."""

import tomllib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.core.intake.toml_lines import with_lines
from notifyflow.core.oncall.directory import read_directory
from notifyflow.core.toml import write_toml
from notifyflow.errors import Fault, InvalidDirectory

DOCUMENT = """# Who there is
[recipients.ada]
name = "Ada"

[recipients."ben.b"]
email = \"\"\"
[default]
to = \"\"\"
quiet = '[routes] # no comment'

[groups]
orders = [
  "ada",  # she knows "[most]"
  "ben",
]

[[routes]]  # the first
match = { team = "orders" }
to = ["ada"]

[[routes]]
then = [
  { after = "10m", to = ["ada"] },
]
schedules.odd.only = "x"

[[schedules.primary.layers]]
who = ["ada"]
[[schedules.primary.layers]]
who = []
[schedules.primary.layers.extra]
x = 1
"""


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("recipients", 2),
        ("recipients.ada.name", 3),
        ("recipients.ada.phone", 2),
        ("recipients.ben.b.email", 6),
        ("recipients.ben.b.quiet", 9),
        ("groups.orders[1]", 12),
        ("routes[0].match.team", 18),
        ("routes[0].to[0]", 19),
        ("routes[1]", 21),
        ("routes[1].then[0].after", 22),
        ("routes[1].to", 21),
        ("routes[1].schedules.odd.only", 25),
        ("schedules.primary.layers[0].who[0]", 28),
        ("schedules.primary.layers[1].who", 30),
        ("schedules.primary.layers[1].extra.x", 32),
        ("default", None),
        ("document", None),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_place_has_a_line(where: str, line: int | None, end: str):
    (fault,) = with_lines([Fault(where, "is odd", "Correct it")], DOCUMENT.replace("\n", end))
    assert fault.line == line
    assert fault.place == (where if line is None else f"{where} (line {line})")


def test_a_document_that_is_not_valid_says_its_line_itself():
    fault = Fault("document", "it is not valid TOML", "Correct it")
    for document in ("[recipients\nx =", "x = = 1\n"):
        assert with_lines([fault], document) == (fault,)
    assert with_lines([], "[recipients\nx =") == ()


def test_what_is_beneath_an_empty_key_is_not_taken_for_what_is_around_it():
    (fault,) = with_lines([Fault("x", "is odd", "Correct it")], '[""]\nx = 1\n[y]\n"" = { x = 2 }\n[x]\n')
    assert fault.line == 5


TEXT = st.text(st.sampled_from("ab.[]{}#'\\\"\n=é"), max_size=8)
VALUES = st.recursive(
    TEXT | st.integers() | st.booleans(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)


@given(st.dictionaries(TEXT, VALUES, max_size=6))
@example({"": {"=": []}, "=": {}})
def test_every_key_of_any_document_has_its_line(tables: dict[str, object]):
    document = write_toml(tables)
    assert tomllib.loads(document) == tables
    for line, name in enumerate(tables, start=1):
        (fault,) = with_lines([Fault(name or "document", "is odd", "Correct it")], document)
        assert fault.line == line or "." in name or "[" in name or not name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2026-12-07", "2026-12-07 has no time"),
        ("09:00:00", "09:00:00 is not a date and time"),
        ("true", "true is not a date and time"),
        ('["x", true, 2026-12-07]', '["x", true, 2026-12-07] is not a date and time'),
    ],
)
def test_a_fault_shows_values_as_the_file_has_them(value: str, shown: str):
    layer = f'layers = [{{ who = ["ada"], from = {value}, every = "1d" }}]'
    with pytest.raises(InvalidDirectory) as refused:
        read_directory(f'recipients.ada = {{}}\ndefault.to = ["ada"]\n[schedules.x]\ntimezone = "UTC"\n{layer}', SHIPPED)
    (fault,) = refused.value.faults
    assert fault.what == shown
