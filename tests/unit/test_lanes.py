"""No provider holds all the threads, and whoever is turned away is served all the same."""

import pytest

from notifyflow.engine.lanes import Lanes


@pytest.mark.parametrize(("threads", "width"), [(1, 1), (2, 1), (8, 4), (9, 4)])
def test_a_lane_has_half_of_the_threads_at_most(threads: int, width: int) -> None:
    lanes = Lanes(1)
    lanes.share(threads)
    assert [lanes.enter("twilio", "sms") for _ in range(width + 1)] == [True] * width + [False]
    assert lanes.enter("ses", "email")


def test_who_is_inside_looks_again_for_those_who_were_turned_away() -> None:
    lanes = Lanes(2)
    assert lanes.enter("twilio", "sms")
    assert not lanes.enter("twilio", "voice")
    assert not lanes.enter("twilio", "voice")
    assert lanes.leave("twilio") == "voice"
    assert lanes.leave("twilio") is None
    assert lanes.enter("twilio", "sms")


def test_who_drops_out_makes_room() -> None:
    lanes = Lanes(2)
    assert lanes.enter("twilio", "sms")
    assert not lanes.enter("twilio", "sms")
    lanes.drop_out("twilio")
    assert lanes.enter("twilio", "sms")
