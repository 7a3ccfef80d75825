"""No provider occupies all the threads, and a thread that is turned away finds its work done by others."""

import pytest

from notifyflow.engine.bulkheads import Bulkheads


@pytest.mark.parametrize(
    ("threads", "width", "urgent_width"), [(1, 1, 1), (2, 1, 1), (3, 2, 2), (6, 4, 5), (12, 8, 10), (15, 10, 12)]
)
def test_a_bulkhead_has_two_thirds_of_the_threads_and_some_more_for_urgent_rings(
    threads: int, width: int, urgent_width: int
) -> None:
    bulkheads = Bulkheads(1)
    bulkheads.share(threads)
    assert [bulkheads.enter("twilio", "sms", ["n1"]) for _ in range(width + 1)] == [True] * width + [False]
    more = urgent_width - width
    assert [bulkheads.enter("twilio", "sms", ["n1"], is_urgent=True) for _ in range(more + 1)] == [True] * more + [False]
    assert bulkheads.enter("ses", "email", ["n2"])


def test_a_thread_that_leaves_sends_for_those_turned_away() -> None:
    bulkheads = Bulkheads(2)
    assert bulkheads.enter("twilio", "sms", ["n1"])
    assert not bulkheads.enter("twilio", "voice", ["n2"])
    assert not bulkheads.enter("twilio", "voice", ["n3", "n4"])
    assert bulkheads.leave("twilio") == ("voice", {"n2", "n3", "n4"})
    assert bulkheads.leave("twilio") is None
    assert bulkheads.enter("twilio", "sms", ["n5"])


def test_as_many_threads_continue_as_were_turned_away_and_fit() -> None:
    bulkheads = Bulkheads(6)
    assert all(bulkheads.enter("smtp", "email", [f"in {number}"]) for number in range(4))
    assert not any(bulkheads.enter("smtp", "email", [f"out {number}"]) for number in range(3))
    rung = {"out 0", "out 1", "out 2"}
    assert [bulkheads.leave("smtp") for _ in range(4)] == [("email", rung), ("email", set()), ("email", set()), None]
    assert bulkheads.enter("smtp", "email", ["in 4"])
    assert not any(bulkheads.enter("smtp", "email", [f"out {number}"]) for number in range(50))
    assert [each and each[0] for each in [bulkheads.leave("smtp") for _ in range(4 + 4)]] == ["email"] * 4 + [None] * 4


def test_a_thread_let_in_for_an_urgent_ring_leaves_its_place_to_the_next_one() -> None:
    bulkheads = Bulkheads(6)
    assert all(bulkheads.enter("smtp", "email", [f"in {number}"]) for number in range(4))
    assert not bulkheads.enter("smtp", "email", ["out"])
    for number in range(3):
        assert bulkheads.enter("smtp", "email", [f"urgent {number}"], is_urgent=True)
        assert bulkheads.leave("smtp") is None, "the four inside send for those turned away"
    assert bulkheads.leave("smtp") == ("email", {"out"})


def test_a_thread_that_drops_out_makes_room() -> None:
    bulkheads = Bulkheads(2)
    assert bulkheads.enter("twilio", "sms", ["n1"])
    assert not bulkheads.enter("twilio", "sms", ["n2"])
    bulkheads.drop_out("twilio")
    assert bulkheads.enter("twilio", "sms", ["n3"])
