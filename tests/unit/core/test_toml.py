import tomllib
from datetime import UTC, date, datetime, time

from hypothesis import example, given
from hypothesis import strategies as st

from notifyflow.core.toml import without, write_toml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = (
    TEXTS
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.dates()
    | st.times()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=5)
EVERY_KIND = {
    "text": 'a "b" \\ \x7f \x00 \n ü 😀',
    "whole": 3,
    "part": 1e20,
    "is": [True, False],
    "at": [datetime(2026, 12, 7, 9, tzinfo=UTC), date(2026, 12, 7), time(9)],
    "a.b": {"": {}},
}


def test_each_kind_of_value_is_written_as_toml_has_it():
    values = {"text": 'a "b"', "whole": 3, "is": [True, False], "at": [date(2026, 12, 7), time(9)], "in": {"a.b": 0.5}}
    assert write_toml(values).splitlines() == [
        '"text" = "a \\"b\\""',
        '"whole" = 3',
        '"is" = [true, false]',
        '"at" = [2026-12-07, 09:00:00]',
        '"in" = {"a.b" = 0.5}',
    ]


@given(st.dictionaries(TEXTS, VALUES))
@example(EVERY_KIND)
def test_what_is_written_is_read_back_as_it_was(tables: dict[str, object]):
    assert tomllib.loads(write_toml(tables)) == tables


def test_keys_are_left_out_of_one_table():
    document = write_toml({"people": {"ada": {"x": 1}, "ben": {}}, "others": {"ada": {}}})
    assert tomllib.loads(without(document, "people", ["ada", "zoe"])) == {"people": {"ben": {}}, "others": {"ada": {}}}
    assert without(document, "none", ["ada"]) == document
