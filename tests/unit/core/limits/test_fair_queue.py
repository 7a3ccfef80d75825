"""Who goes next, when several namespaces have something due."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from notifyflow.core.limits.fair_queue import in_order, slots_of_each, starts

SERVED = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50), max_size=4)
NAMES = st.lists(st.sampled_from("abcd"), min_size=1, unique=True)


def test_who_was_away_begins_one_row_behind_the_others_and_saves_nothing_up():
    assert starts({"flood": 3000, "late": 12}, ["flood", "late", "new"]) == {"flood": 3000, "late": 2999, "new": 2999}
    assert starts({}, ["a", "b"]) == {"a": 0, "b": 0}


def test_slots_go_round():
    assert slots_of_each({"flood": 3000, "late": 2999}, 1) == {"late": 1}
    assert slots_of_each({"flood": 3000, "late": 2999}, 4) == {"late": 2, "flood": 2}
    assert slots_of_each({"a": 0, "b": 0, "c": 0}, 2) == {"a": 1, "b": 1}


def test_what_was_claimed_is_sent_in_the_order_of_the_queue():
    claimed = {"flood": ["f1", "f2", "f3"], "late": ["l1"]}
    assert in_order({"flood": 3000, "late": 2999}, claimed) == ["l1", "f1", "f2", "f3"]


@given(SERVED, NAMES, st.integers(1, 40))
def test_no_namespace_gets_more_than_one_slot_beyond_what_each_other_had_from_the_same_start(
    served: dict[str, int], names: list[str], slots: int
):
    begun = starts(served, names)
    granted = Counter(slots_of_each(begun, slots))
    assert granted.total() == slots
    ends = [begun[name] + granted[name] for name in names]
    assert max(ends) - min(ends) <= 1


@given(SERVED, NAMES, st.integers(1, 40))
def test_the_queue_holds_everything_once_and_each_namespace_in_its_own_order(
    served: dict[str, int], names: list[str], slots: int
):
    begun = starts(served, names)
    claimed = {name: [f"{name}{number}" for number in range(granted)] for name, granted in slots_of_each(begun, slots).items()}
    queue = in_order(begun, claimed)
    assert Counter(queue) == Counter(each for some in claimed.values() for each in some)
    assert all([each for each in queue if each in set(some)] == some for some in claimed.values())
