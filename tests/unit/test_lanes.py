"""No channel holds all the threads, and whoever is turned away is served all the same."""

import pytest

from notifyflow.engine.lanes import Lanes


@pytest.mark.parametrize(("threads", "width"), [(1, 1), (2, 1), (8, 4), (9, 4)])
def test_a_channel_has_half_of_the_threads_at_most(threads: int, width: int) -> None:
    lanes = Lanes(1)
    lanes.share(threads)
    assert [lanes.enter("sms") for _ in range(width + 1)] == [True] * width + [False]
    assert lanes.enter("email")


def test_who_is_inside_looks_again_for_those_who_were_turned_away() -> None:
    lanes = Lanes(2)
    assert lanes.enter("sms")
    assert not lanes.enter("sms")
    assert not lanes.leave("sms")
    assert lanes.leave("sms")
    assert lanes.enter("sms")


def test_who_drops_out_makes_room() -> None:
    lanes = Lanes(2)
    assert lanes.enter("sms")
    assert not lanes.enter("sms")
    lanes.drop_out("sms")
    assert lanes.enter("sms")
