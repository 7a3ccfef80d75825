"""Threads give way to urgent rings: as many as rings wait, and no more."""

from notifyflow.engine.precedence import Precedence


class Line:
    """Urgent rings that wait for a thread."""

    def __init__(self) -> None:
        self.length = 0

    def __call__(self) -> int:
        return self.length


def test_as_many_threads_give_way_as_rings_wait() -> None:
    line = Line()
    precedence = Precedence(line)
    assert not precedence.takes_thread()
    line.length = 2
    assert [precedence.takes_thread() for _ in range(4)] == [True, True, False, False]


def test_a_ring_that_still_waits_when_a_thread_is_free_claims_another() -> None:
    line = Line()
    precedence = Precedence(line)
    line.length = 1
    assert precedence.takes_thread()
    precedence.note_free()
    assert precedence.takes_thread()


def test_a_thread_that_never_becomes_free_is_forgotten_when_no_ring_waits() -> None:
    line = Line()
    precedence = Precedence(line)
    line.length = 1
    assert precedence.takes_thread()
    line.length = 0
    assert not precedence.takes_thread()
    line.length = 1
    assert precedence.takes_thread()


def test_a_free_thread_that_no_ring_waited_for_counts_for_nothing() -> None:
    line = Line()
    precedence = Precedence(line)
    precedence.note_free()
    line.length = 1
    assert [precedence.takes_thread() for _ in range(2)] == [True, False]
