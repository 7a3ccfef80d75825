import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifyflow.errors import InvalidRequest
from notifyflow.web.frame.cursors import read, write


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_a_list_goes_on_where_it_was_left(last_id: str):
    assert read("all", write("all", last_id)) == last_id


def test_a_list_begins_at_its_beginning():
    assert read("all", None) == ""


@given(st.text())
def test_what_is_no_cursor_is_refused(cursor: str):
    with pytest.raises(InvalidRequest, match="cursor: it belongs to another list"):
        read("all", cursor)


def test_the_cursor_of_another_list_is_refused():
    with pytest.raises(InvalidRequest):
        read("some", write("all", "id"))
