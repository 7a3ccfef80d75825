"""The sizes of sets that are remembered while others are in the way."""

from notifyflow.pipeline.transaction.pressure import Pressure


def test_a_size_is_halved_by_what_does_not_pass_and_doubled_by_what_does() -> None:
    pressure = Pressure()
    assert pressure.most("claim", 100) == 100
    pressure.met("claim", 100)
    assert (pressure.most("claim", 100), pressure.most("record", 100)) == (50, 100)
    pressure.met("claim", 40)
    assert pressure.most("claim", 100) == 20
    pressure.met("claim", 1)
    pressure.passed("claim", 19)
    assert pressure.most("claim", 100) == 20
    pressure.passed("claim", 20)
    assert pressure.most("claim", 100) == 40
