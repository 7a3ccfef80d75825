"""Which connection gives way when there are too many."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from notifyflow.cli.frame.pools import ClientConnections, ConnectionPool
from notifyflow.web.frame.site import Site


class Wire:
    """A connection that notes whether it was ended."""

    def __init__(self, pool: ConnectionPool, owner: str | None) -> None:
        self.pool = pool
        self.owner = owner
        self.is_open = True

    def give_way(self) -> None:
        self.pool.leave(self, self.owner)
        self.is_open = False


def entered(pool: ConnectionPool, owner: str | None, *, waits: bool = True) -> Wire:
    wire = Wire(pool, owner)
    if not pool.enter(wire, owner):
        wire.give_way()
    elif waits:
        pool.wait(wire, owner)
    return wire


def test_of_an_owner_with_too_many_the_one_that_waited_longest_gives_way():
    pool = ConnectionPool(most=10, most_of_one=2)
    first, second, other = entered(pool, "a"), entered(pool, "a"), entered(pool, "b")
    pool.wait(first, "a")  # it began to wait anew
    third = entered(pool, "a")
    assert [each.is_open for each in (first, second, other, third)] == [True, False, True, True]


def test_of_a_full_pool_the_owner_with_most_gives_way():
    pool = ConnectionPool(most=4, most_of_one=3)
    one, several = entered(pool, "a"), [entered(pool, "b") for _ in range(3)]
    entered(pool, "c")
    assert one.is_open
    assert [each.is_open for each in several] == [False, True, True]


def test_a_connection_that_works_does_not_give_way():
    pool = ConnectionPool(most=2, most_of_one=1)
    works = entered(pool, "a", waits=False)
    assert not entered(pool, "a").is_open
    entered(pool, "b", waits=False)
    assert not entered(pool, "c").is_open
    pool.wait(works, "a")
    assert entered(pool, "c").is_open
    assert not works.is_open


def test_a_proxy_has_no_limit_and_gives_way_last():
    pool = ConnectionPool(most=4, most_of_one=1)
    behind = [entered(pool, None) for _ in range(3)]
    alone = entered(pool, "a")
    entered(pool, "b")
    assert not alone.is_open
    assert all(each.is_open for each in behind)
    entered(pool, None)
    assert [each.is_open for each in behind] == [True] * 3


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60), st.integers(1, 8), st.integers(1, 8))
def test_no_limit_is_passed_and_who_gives_way_for_another_had_most(entering: list[tuple[str, bool]], most: int, most_of_one: int):
    pool = ConnectionPool(most=most, most_of_one=most_of_one)
    wires: list[tuple[Wire, bool]] = []
    for owner, waits in entering:
        before, may_end = Counter(each.owner for each, _ in wires), {each.owner for each, is_waiting in wires if is_waiting}
        newcomer = entered(pool, owner, waits=waits)
        ended = [each.owner for each, _ in wires if not each.is_open]
        wires = [(each, is_waiting) for each, is_waiting in (*wires, (newcomer, waits)) if each.is_open]
        counts = Counter(each.owner for each, _ in wires)
        assert sum(counts.values()) <= most
        assert max(counts.values(), default=0) <= most_of_one
        assert len(ended) <= 1
        for each in ended:
            assert each == owner or before[each] == max(before[other] for other in may_end)


def test_a_quarter_of_the_connections_is_for_those_that_are_known():
    held = ClientConnections(1_000, Site())
    assert (held.unknown._most, held.unknown._most_of_one, held.known._most, held.known._most_of_one) == (750, 500, 250, 125)
    assert ClientConnections(1, Site()).unknown._most == 1
